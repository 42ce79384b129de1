"""Where the jobs of a simulation come from: a trace of one of three formats, or a generator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from simulations.workload.coming import NOBODY, There
from simulations.workload.generate import Generation, generate
from simulations.workload.job import Job
from simulations.workload.lines import Lenient
from simulations.workload.migbench import read_migbench
from simulations.workload.native import read_native
from simulations.workload.openb import read_openb
from solver.geometry import Geometry


class Format(StrEnum):
    """Of a trace."""

    AUTOSLICER = "autoslicer"
    MIGBENCH = "migbench"
    OPENB = "openb"


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace in a file.

    Attributes:
        path: of the file.
        format: of its lines.
        geometry: of the GPUs that shares of a GPU are turned into profiles of; only `Format.OPENB` needs one.
    """

    path: Path
    format: Format
    geometry: Geometry | None = None


Source = Trace | Generation


def jobs(source: Source, lenient: Lenient = None, there: There = NOBODY) -> Iterator[Job]:
    """The jobs, sorted by arrival; every call begins anew.

    Args:
        source: where they come from.
        lenient: counts the lines of a trace that are wrong, which are skipped then.
        there: names of pods that are there at the start; see `InTurn`.

    Raises:
        InputError: the trace cannot be read, or a line is wrong and `lenient` is None.
        ValueError: a trace of openb is without a geometry.
    """
    if isinstance(source, Generation):
        return generate(source, there)
    match source.format:
        case Format.AUTOSLICER:
            return read_native(source.path, lenient, there)
        case Format.MIGBENCH:
            return read_migbench(source.path, lenient, there)
        case Format.OPENB:
            if source.geometry is None:
                raise ValueError(f"{source.path}: a trace of openb needs the geometry of the GPUs")
            return read_openb(source.path, source.geometry, lenient, there)
