"""When a pod that found no node may be tried again: kube-scheduler's backoff, and its flush of old pods."""

from __future__ import annotations

import math

INITIAL_SECONDS, LONGEST_SECONDS = 1.0, 10.0
LONGEST_AFTER = 5
"""attempts after which the backoff does not grow any more"""
STAY_SECONDS, FLUSH_SECONDS = 300.0, 30.0
"""so long after its last attempt a pod is tried without an event; it is looked for so often"""
ACTIVE = -1.0
"""the window of what waits for no backoff"""


def expiry(tried: float, attempts: int) -> float:
    """The window of a second in which the backoff ends; pods of one window come by priority and age."""
    return float(math.floor(tried + min(INITIAL_SECONDS * (1 << (attempts - 1)), LONGEST_SECONDS)))


def window(tried: float, attempts: int, now: float) -> float:
    """The window in which a pod that is woken now may be tried; ACTIVE where its backoff is over."""
    over = expiry(tried, attempts)
    return ACTIVE if over < math.floor(now) else over


def flushed(tried: float, attempts: int, now: float) -> tuple[float, int]:
    """When a pod that no event woke was tried last, and how often by now.

    The scheduler looks every FLUSH_SECONDS for pods that it tried more than STAY_SECONDS ago.
    """
    first = (math.floor((tried + STAY_SECONDS) / FLUSH_SECONDS) + 1) * FLUSH_SECONDS
    if first >= now:
        return tried, attempts
    more = int((now - first) // (STAY_SECONDS + FLUSH_SECONDS))
    last = first + more * (STAY_SECONDS + FLUSH_SECONDS)
    return last, min(attempts + 1 + more, LONGEST_AFTER)
