"""One line of JSON as fields of the right types: what has another type is told as a mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches

from autoslicer.api.values import EXPECTED, POD
from autoslicer.core.fields import kind_of
from simulations.workload.mistakes import Kind, Mistake

MOST_SECONDS = 3_153_600_000
"""a hundred years: no trace is longer"""
_POD = re.compile(POD)
_NAMESPACE, _NAME = 63, 253
"""characters that Kubernetes allows"""
_SHOWN = 40


def record(text: str) -> Mapping[str, object]:
    """The fields of a JSON object on one line.

    Raises:
        Mistake: it is no JSON object, names a field twice, or holds a number that JSON does not have.
    """
    try:
        found = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        wrong = f"is no JSON: {error.msg} at column {error.colno}"
    except RecursionError:
        wrong = "is nested too deeply"
    except ValueError:
        wrong = "holds a number of thousands of digits"
    else:
        if isinstance(found, dict):
            return found
        wrong = f"is {kind_of(found)}"
    raise Mistake(Kind.SYNTAX, "", f"the line {wrong}", "it must be one JSON object")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Mistake(Kind.SYNTAX, twice[:_SHOWN], "is there twice", "name each field once")
    return found


def _no_constant(name: str) -> object:
    raise Mistake(Kind.SYNTAX, "", f"{name} is no number of JSON", "write a finite number")


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)


def no_others(fields: Mapping[str, object], known: Collection[str]) -> None:
    """Refuse a field that is not known.

    Raises:
        Mistake: there is one.
    """
    unknown = next((name for name in fields if name not in known), None)
    if unknown is not None:
        close = get_close_matches(unknown, known, n=1)
        right = f"did you mean {close[0]}?" if close else f"the fields are {', '.join(known)}"
        raise Mistake(Kind.UNKNOWN, unknown[:_SHOWN], "is no field", right)


def required(fields: Mapping[str, object], name: str, right: str) -> object:
    """A field that must be there; `right` says what it must be.

    Raises:
        Mistake: it is missing.
    """
    if name not in fields:
        raise Mistake(Kind.MISSING, name, "is missing", f"it must be {right}")
    return fields[name]


def wrong(name: str, value: object, right: str) -> Mistake:
    """The mistake of a field whose value is not `right`."""
    shown = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else kind_of(value)
    if isinstance(value, bool | int | float):
        shown = json.dumps(value) if abs(value) < 10**_SHOWN else "a number out of range"
    return Mistake(Kind.VALUE, name, f"is {shown[: 2 * _SHOWN]}", f"it must be {right}")


def amount(fields: Mapping[str, object], name: str, unit: str, most: int = MOST_SECONDS) -> float:
    """A finite number from 0 to `most`.

    Raises:
        Mistake: it is missing or no such number.
    """
    right = f"a number of {unit} from 0 to {most}"
    value = required(fields, name, right)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise wrong(name, value, right)
    return float(value)


def pod(name: str, value: object) -> str:
    """A pod's namespace/name.

    Raises:
        Mistake: Kubernetes would not allow it.
    """
    if isinstance(value, str) and _POD.fullmatch(value):
        namespace, _, own = value.partition("/")
        if len(namespace) <= _NAMESPACE and len(own) <= _NAME:
            return value
    raise wrong(name, value, f"{EXPECTED[POD]}, in lower case")
