"""Kubernetes quantities as whole numbers."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import lru_cache

LIMIT = 2**63 - 1
"""Kubernetes caps every quantity at this (apimachinery, `resource.Quantity`)"""

_FORM = re.compile(
    r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d{1,3})?", re.ASCII
)
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_LONGEST = 64


@lru_cache(maxsize=8192, typed=True)
def parse(resource: str, value: str | int | float) -> int:
    """The amount of a resource, rounded up: cpu in thousandths of a core, everything else in its base unit.

    The grammar is that of apimachinery's `resource.Quantity`; larger amounts are capped at `LIMIT` as there.

    Raises:
        ValueError: `value` is no quantity, or is negative.

    >>> parse("cpu", "1.5"), parse("cpu", "100u"), parse("memory", "1Ki"), parse("nvidia.com/mig-1g.10gb", 2)
    (1500, 1, 1024, 2)
    """
    text = str(value)
    match = _FORM.fullmatch(text) if len(text) <= _LONGEST and not isinstance(value, bool) else None
    if match is None:
        raise ValueError(
            f"{resource}: {text[:_LONGEST]!r} is not a quantity; it should read like 2, 500m or 16Gi"
        )
    amount, suffix = Fraction(match[1]), match[2] or ""
    if amount < 0:
        raise ValueError(f"{resource}: {text!r} is negative")
    if suffix in _BINARY:
        amount *= _BINARY[suffix]
    else:
        amount *= Fraction(10) ** (_DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:]))
    if resource == "cpu":
        amount *= 1000
    return min(math.ceil(amount), LIMIT)
