"""The kinds of scalar that a scenario's fields have, each checked as the field that it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from autoslicer.api.sentences import shown
from autoslicer.api.values import YEAR_SECONDS
from autoslicer.core import quantity
from solver import geometry

_FEW = 5


def rule(why: str) -> PydanticCustomError:
    """The error of a field, in words that say what would be right."""
    return PydanticCustomError("rule", "{why}", {"why": why})


def closest(word: str, known: Collection[str]) -> str:
    """A few of the known words, those first that the word may have been meant to be."""
    near = get_close_matches(word, known, n=_FEW, cutoff=0.5) or sorted(known)[:_FEW]
    return ", ".join(near)


def repeated(items: Iterable[str]) -> str:
    """An item that comes again; empty where none does."""
    return next((item for item, times in Counter(items).items() if times > 1), "")


def _quantity(resource: str, least: int) -> Callable[[Any], str]:
    def text(given: Any) -> str:
        if isinstance(given, bool) or not isinstance(given, str | int | float):
            raise rule("it must be a quantity, such as 2, 500m or 16Gi")
        try:
            amount = quantity.parse(resource, given)
        except ValueError as error:
            what, _, right = str(error).removeprefix(f"{resource}: ").partition("; ")
            raise rule(f"{what}; {right or 'it must be 0 or more'}") from None
        if amount < least:
            raise rule(f"{shown(given)} is too little; there must be some {resource}")
        return str(given)

    return text


def _known_product(product: str) -> str:
    if geometry.by_product(product) is None:
        near = closest(product, geometry.products())
        raise rule(f"{shown(product)} is no GPU that can do MIG; known ones are {near}")
    if geometry.plain_product(product) != product:
        raise rule(f"leave out what the operator appends: {geometry.plain_product(product)}")
    return product


Cpu = Annotated[str, BeforeValidator(_quantity("cpu", 0))]
Memory = Annotated[str, BeforeValidator(_quantity("memory", 0))]
NodeCpu = Annotated[str, BeforeValidator(_quantity("cpu", 1))]
NodeMemory = Annotated[str, BeforeValidator(_quantity("memory", 1))]
Product = Annotated[str, AfterValidator(_known_product)]
Seconds = Annotated[float, Field(ge=0, le=YEAR_SECONDS, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, le=YEAR_SECONDS, allow_inf_nan=False)]
Part = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
File = Annotated[str, Field(min_length=1, max_length=4096)]
