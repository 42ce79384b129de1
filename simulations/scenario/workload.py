"""A scenario's workload as a document has it: a trace in a file, or what is generated."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from autoslicer.api.model import Model
from autoslicer.api.sentences import shown
from autoslicer.api.values import Namespace, Word
from autoslicer.core import quantity
from simulations.scenario.values import Cpu, File, Memory, Positive, Product, Seed, Weight, closest, rule
from simulations.workload import generate as drawn
from simulations.workload import source as sources
from simulations.workload.records import MOST_SECONDS
from simulations.workload.source import Format
from solver import geometry

MOST_PODS = 100_000_000
_PRIORITY = re.compile(r"0|-?[1-9]\d{0,9}", re.ASCII)
_LIMIT = 2**31


def _some(weights: dict[str, float]) -> dict[str, float]:
    if not any(weights.values()):
        raise rule("at least one weight must be more than 0")
    return weights


def _profiles(weights: dict[str, float]) -> dict[str, float]:
    known = geometry.profile_names()
    unknown = next((name for name in weights if name not in known), None)
    if unknown is not None:
        raise rule(f"{shown(unknown)} is a profile of no GPU; some are {closest(unknown, known)}")
    return weights


def _priorities(weights: dict[str, float]) -> dict[str, float]:
    for text in weights:
        if not _PRIORITY.fullmatch(text) or not -_LIMIT <= int(text) < _LIMIT:
            raise rule(f'{shown(text)} is no priority; it must be a whole number in quotes, such as "100"')
    return weights


Profiles = Annotated[
    dict[str, Weight], Field(max_length=64), AfterValidator(_profiles), AfterValidator(_some)
]
Priorities = Annotated[
    dict[str, Weight], Field(max_length=64), AfterValidator(_priorities), AfterValidator(_some)
]
Namespaces = Annotated[dict[Namespace, Weight], Field(max_length=64), AfterValidator(_some)]


class Trace(Model):
    """Jobs that are read from a file."""

    path: File = Field(description="The trace, relative to the scenario's file.")
    format: Annotated[Format, Word] = Field(Format.AUTOSLICER, description="Of the trace's lines.")
    product: Product | None = Field(
        None,
        description="openb only: the GPU whose profiles stand for shares; absent: the cluster's one.",
    )

    @model_validator(mode="after")
    def _product_is_for_openb(self) -> Self:
        if self.product is not None and self.format is not Format.OPENB:
            raise rule("product is for the format openb alone; leave it out")
        return self

    def source(self, folder: Path, products: Collection[str]) -> sources.Trace:
        """The trace; `folder` is the scenario's, `products` are those of the cluster."""
        known = None
        if self.format is Format.OPENB and (self.product is not None or len(products) == 1):
            known = geometry.by_product(self.product or min(products))
        return sources.Trace(folder / self.path, self.format, known)


class Constant(Model):
    """Every pod runs equally long."""

    seconds: Positive


class Exponential(Model):
    """Durations without memory."""

    mean: Positive = Field(description="In seconds.")


class Lognormal(Model):
    """Many short and few very long durations."""

    median: Positive = Field(description="In seconds.")
    sigma: Annotated[float, Field(ge=0, le=5, allow_inf_nan=False)] = Field(
        description="The standard deviation of the duration's logarithm."
    )


class Durations(Model):
    """One distribution."""

    constant: Constant | None = None
    exponential: Exponential | None = None
    lognormal: Lognormal | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if [self.constant, self.exponential, self.lognormal].count(None) != 2:
            raise rule("must have one of constant, exponential and lognormal")
        return self

    def distribution(self) -> drawn.Durations:
        """The one that there is."""
        if self.constant is not None:
            return drawn.Constant(self.constant.seconds)
        if self.exponential is not None:
            return drawn.Exponential(self.exponential.mean)
        if self.lognormal is not None:
            return drawn.Lognormal(self.lognormal.median, self.lognormal.sigma)
        raise AssertionError("there is one")


class Generate(Model):
    """Jobs that are drawn from distributions."""

    seed: Seed | None = Field(None, description="Of what is drawn here; absent: the scenario's.")
    pods: Annotated[int, Field(ge=1, le=MOST_PODS)] = Field(description="How many.")
    arrival_rate: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] = Field(
        description="Pods a second on average; the times between them are exponential."
    )
    durations: Durations = Field(description="How long the pods run.")
    profiles: Profiles = Field(description="The profile that a pod asks one slice of, by weight.")
    shift_to: Profiles | None = Field(
        None, description="What the weights of profiles have become by the last pod, evenly from pod to pod."
    )
    priorities: Priorities = Field({"0": 1.0}, description="The priorities of the pods, by weight.")
    namespaces: Namespaces = Field({"team": 1.0}, description="The namespaces of the pods, by weight.")
    cpu: Cpu = Field("0", description="What each pod asks for besides its slice.")
    memory: Memory = Field("0", description="What each pod asks for besides its slice.")

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.pods / self.arrival_rate > MOST_SECONDS / 2:
            raise rule("pods divided by arrivalRate must be at most fifty years of seconds")
        return self

    def generation(self, seed: int) -> drawn.Generation:
        """What is generated; `seed` is the scenario's."""
        return drawn.Generation(
            seed=seed if self.seed is None else self.seed,
            pods=self.pods,
            arrival_rate=self.arrival_rate,
            durations=self.durations.distribution(),
            profiles=self.profiles,
            shift_to=self.shift_to,
            priorities=self.priorities,
            namespaces=self.namespaces,
            cpu=quantity.parse("cpu", self.cpu),
            memory=quantity.parse("memory", self.memory),
        )


class Workload(Model):
    """What is asked of the cluster."""

    trace: Trace | None = Field(None, description="Jobs from a file.")
    generate: Generate | None = Field(None, description="Jobs from a seed.")

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.trace is None) == (self.generate is None):
            raise rule("must have either trace or generate, and not both")
        return self

    def source(self, folder: Path, seed: int, products: Collection[str]) -> sources.Source:
        """Where the jobs come from, in a scenario with this folder and seed and these GPUs."""
        if self.trace is not None:
            return self.trace.source(folder, products)
        if self.generate is not None:
            return self.generate.generation(seed)
        raise AssertionError("there is one of the two")
