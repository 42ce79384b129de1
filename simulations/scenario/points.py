"""The scenarios of one study: every combination of swept values, each under every seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from autoslicer.core.plain_text import plain
from simulations.scenario import document, override
from simulations.scenario.document import Document
from simulations.scenario.load import resolved
from simulations.scenario.scenario import Scenario
from simulations.scenario.sweep import Sweep, parsed
from simulations.workload.mistakes import InputError

MOST = 100_000
"""scenarios of one study"""


@dataclass(frozen=True, slots=True)
class Point:
    """One scenario of a study.

    Attributes:
        values: those of the swept fields as they were written, by path; equal for all seeds of a combination.
        scenario: with them, and with its seed.
    """

    values: Mapping[str, str]
    scenario: Scenario

    def settings(self) -> dict[str, Any]:
        """The swept fields and what their values stand for."""
        return {path: override.parsed(f"{path}={text}").value for path, text in self.values.items()}


def points(
    file: Path, overrides: Sequence[str] = (), sweeps: Sequence[str] = (), seeds: int = 1
) -> list[Point]:
    """The scenarios in the order of the request: the last sweep varies first, and the seed before it.

    Args:
        file: the scenario's.
        overrides: `PATH=VALUE`, the same for all.
        sweeps: `PATH=VALUE,VALUE,...`; they count after the overrides.
        seeds: how many: the scenario's, and those that follow it.

    Raises:
        InputError: a sentence a line for every mistake of any of them.
    """
    found, axes = document.read(file), [parsed(text) for text in sweeps]
    _bounded(axes, seeds)
    made: list[Point] = []
    mistakes: dict[str, None] = {}
    for values in product(*(axis.values for axis in axes)):
        chosen = {axis.path: value for axis, value in zip(axes, values, strict=True)}
        try:
            made += _seeded(found, file.parent, overrides, chosen, seeds)
        except InputError as error:
            mistakes.update(dict.fromkeys(str(error).splitlines()))
    if mistakes:
        raise InputError("\n".join(mistakes))
    return made


def _bounded(axes: Sequence[Sweep], seeds: int) -> None:
    count = seeds
    for place, axis in enumerate(axes):
        count *= len(axis.values)
        if axis.path in (other.path for other in axes[:place]):
            raise InputError(plain(f"{axis.path}: is swept twice; give all of its values in one sweep"))
    if count > MOST:
        raise InputError(f"these are {count} simulations of each strategy; ask for at most {MOST}")


def _seeded(
    found: Document, folder: Path, overrides: Sequence[str], values: Mapping[str, str], seeds: int
) -> Iterator[Point]:
    fixed = [*overrides, *(f"{path}={value}" for path, value in values.items())]
    first = resolved(found, folder, fixed)
    yield Point(values, first)
    own = first.document["workload"].get("generate", {}).get("seed")
    for more in range(1, seeds):
        seed = [f"seed={first.seed + more}"]
        if own is not None:
            seed.append(f"workload.generate.seed={own + more}")
        yield Point(values, resolved(found, folder, [*fixed, *seed]))
