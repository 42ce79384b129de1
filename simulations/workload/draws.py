"""Random numbers that are the same on every platform and Python: all from `random()` and exact arithmetic."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping
from decimal import Context, Decimal

_EXACT = Context(prec=20)
"""its exponential function is rounded correctly; that of C libraries differs in the last digit"""


class Draws:
    """A stream of random numbers; streams of one seed and different purposes do not depend on each other."""

    def __init__(self, seed: int, purpose: str) -> None:
        """Start the stream of this purpose anew; the same arguments give the same numbers."""
        digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
        self._source = random.Random(int.from_bytes(digest, "big"))

    def uniform(self) -> float:
        """From 0 to less than 1."""
        return self._source.random()

    def exponential(self) -> float:
        """Mean 1.

        By comparisons alone (von Neumann 1951): the length of a falling run of uniform numbers is odd with
        probability exp(-first).
        """
        whole = 0
        while True:
            first = last = self.uniform()
            odd = True
            while (following := self.uniform()) < last:
                last, odd = following, not odd
            if odd:
                return whole + first
            whole += 1

    def normal(self) -> float:
        """Mean 0, standard deviation 1.

        The larger part of a pair of exponentials is accepted as the absolute value where the other exceeds
        (x - 1)^2 / 2 (Devroye, Non-Uniform Random Variate Generation, II.3.2).
        """
        while True:
            size, bound = self.exponential(), self.exponential()
            if 2 * bound > (size - 1) * (size - 1):
                return size if self.uniform() < 0.5 else -size

    def lognormal(self, sigma: float) -> float:
        """Median 1; the logarithm has the standard deviation `sigma`."""
        return float(_EXACT.exp(Decimal(sigma * self.normal())))

    def choice(self, weights: Mapping[str, float]) -> str:
        """A key, as often as its weight is part of the sum; the order of the keys does not matter."""
        names = sorted(weights)
        left = self.uniform() * math.fsum(weights[name] for name in names)
        for name in names:
            left -= weights[name]
            if left < 0:
                return name
        # what rounding left over belongs to the last that can be drawn
        return next(name for name in reversed(names) if weights[name])
