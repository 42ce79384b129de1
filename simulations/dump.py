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
        return snapshot.read(_document(path, name))
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        where = f"{name}:{error.lineno}: is no JSON: {error.msg}"
        raise InputError(plain(f"{where}; autoslicer snapshot and kubectl get -o json write dumps")) from None
    except RecursionError:
        raise InputError(f"{name}: is nested too deeply to be a dump") from None
    except ValueError as error:
        raise InputError(plain(f"{name}: {error}")) from None


def _document(path: Path, name: str) -> object:
    def no_constant(constant: str) -> object:
        raise InputError(f"{name}: {constant} is no number of JSON")

    with path.open("rb") as file:
        try:
            return json.load(file, parse_constant=no_constant)
        except (json.JSONDecodeError, InputError):
            raise
        except UnicodeDecodeError as error:
            byte = f"byte {error.start + 1} is 0x{error.object[error.start]:02x}"
            raise InputError(f"{name}: is not UTF-8 text: {byte}") from None
        except ValueError:  # Python reads no number of so many digits
            raise InputError(f"{name}: holds a number of thousands of digits; no dump has one") from None
