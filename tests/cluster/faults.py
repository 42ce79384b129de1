"""The faults of an API server and of what lies before it, and which requests meet them."""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

WRITES = ("create", "update", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Answer:
    """An error in the API server's own form; with `lost` the request is carried out all the same."""

    status: int
    retry_after: str = ""
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Silence:
    """The request is taken and never answered; with `lost` it is carried out all the same."""

    lost: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset: at once, or with `lost` in the middle of the true answer."""

    lost: bool = False


@dataclass(frozen=True, slots=True)
class Slow:
    """The true answer, so many seconds late; with `there` it is the request that comes late to the server."""

    seconds: float
    there: bool = False


@dataclass(frozen=True, slots=True)
class HalfOpen:
    """A watch brings so many events more and then nothing, but its connection stays."""

    events: int = 0


@dataclass(frozen=True, slots=True)
class Expired:
    """A watch brings so many events more and then the one that says that it is too old (410)."""

    events: int = 0


Fault = Answer | Silence | Reset | Slow | HalfOpen | Expired


@dataclass(eq=False, slots=True)
class Rule:
    """Which requests meet the fault.

    Attributes:
        fault: what happens to them.
        verbs: get, list, watch, create, update, patch, delete; empty for all.
        path: a regular expression, searched for in the path without its query.
        times: how many requests meet it; None for all.
        skip: so many that fit are let through first.
        chance: of each that fits; drawn from the seed, the request's verb and path and how many there were.
        met: how many have met it so far.
    """

    fault: Fault
    verbs: tuple[str, ...] = ()
    path: str = ""
    times: int | None = 1
    skip: int = 0
    chance: float = 1.0
    met: int = 0

    def fits(self, verb: str, path: str) -> bool:
        """The fault is for such a request."""
        return (not self.verbs or verb in self.verbs) and re.search(self.path, path) is not None


class Rules:
    """Rules, of which the first that fits counts; all draw from one seed.

    The same requests, in whatever order different paths are asked for, meet the same faults.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._rules: list[Rule] = []
        self._drawn: Counter[tuple[int, str, str]] = Counter()
        self._lock = threading.Lock()

    def inject(self, fault: Fault, *verbs: str, path: str = "", **more: Any) -> Rule:
        """Add a rule from now on; see `Rule`. `remove` or `clear` end it."""
        rule = Rule(fault, verbs, path, **more)
        with self._lock:
            self._rules.append(rule)
        return rule

    def remove(self, rule: Rule) -> None:
        """Forget one rule."""
        with self._lock:
            self._rules.remove(rule)

    def clear(self) -> None:
        """Forget all rules; what is held up or half-open stays so."""
        with self._lock:
            self._rules.clear()

    def storm(self, chance: float) -> None:
        """Let every kind of request meet every fault that it can meet, each with this chance."""
        often: dict[str, Any] = {"times": None, "chance": chance}
        single = (*WRITES, "get", "list")
        for lost in (False, True):
            for fault in (Answer(500, lost=lost), Answer(503, lost=lost), Reset(lost=lost)):
                self.inject(fault, *single, **often)
        self.inject(Answer(409), "create", "update", "patch", **often)
        self.inject(Answer(410), "list", "watch", **often)
        self.inject(Answer(429), *single, "watch", **often)
        self.inject(Answer(429, retry_after="1"), *single, "watch", **often)
        self.inject(Slow(0.5), *single, **often)
        self.inject(Slow(0.5, there=True), *single, **often)
        self.inject(Expired(1), "watch", **often)

    def drawn(self, verb: str, path: str) -> Fault | None:
        """What a request meets that has just come in."""
        with self._lock:
            for index, rule in enumerate(self._rules):
                if not rule.fits(verb, path) or rule.met == rule.times:
                    continue
                if rule.skip:
                    rule.skip -= 1
                    continue
                self._drawn[index, verb, path] += 1
                lot = f"{self._seed}/{index}/{verb}/{path}/{self._drawn[index, verb, path]}"
                if random.Random(lot).random() < rule.chance:
                    rule.met += 1
                    return rule.fault
        return None
