"""Reads the dump of a real cluster for a simulation."""

from __future__ import annotations

import json
from pathlib import Path

from autoslicer.core import snapshot
from autoslicer.core.plain_text import plain
from autoslicer.core.snapshot import Snapshot
from simulations.workload.lines import called
from simulations.workload.mistakes import InputError


def read_dump(path: Path) -> Snapshot:
    """The snapshot in a file, as `autoslicer snapshot` or `kubectl get -o json` writes it.

    Raises:
        InputError: the file cannot be read, or is no Kubernetes List in JSON.
    """
    name = called(path)
    try:
        with path.open("rb") as file:
            document = json.load(file, parse_constant=_no_constant)
        return snapshot.read(document)
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        where = f"{name}:{error.lineno}: is no JSON: {error.msg}"
        raise InputError(plain(f"{where}; autoslicer snapshot and kubectl get -o json write dumps")) from None
    except RecursionError:
        raise InputError(f"{name}: is nested too deeply to be a dump") from None
    except ValueError as error:
        raise InputError(plain(f"{name}: {error}")) from None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")
