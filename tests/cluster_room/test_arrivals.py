"""The moment at which a pod was found unschedulable, which conditions tell in whole seconds only."""

from __future__ import annotations

import math
import time

from autoslicer.cluster.arrivals import RECENT_SECONDS, Arrivals
from tests.build import NOON, Pod, pod


def _turned_away(ago: float) -> Pod:
    """A pod whose condition was written so long ago, as the API server rounds it."""
    return pod("ns/p").unschedulable(math.floor(time.time() - ago))


def test_a_fresh_condition_counts_from_the_moment_it_came_in() -> None:
    """A pod that was just turned away waits from now on, not from the second that had begun before."""
    arrivals, turned_away = Arrivals(), _turned_away(0)
    before = time.time()
    first = arrivals.pod(turned_away.raw).unschedulable_since
    assert first is not None
    assert before <= first <= time.time()
    time.sleep(0.05)
    assert arrivals.pod(turned_away.labels({"new": "label"}).raw).unschedulable_since == first


def test_an_old_condition_counts_as_written() -> None:
    """What was there before this process began keeps its time, and so does what a fast clock wrote."""
    written = NOON
    assert Arrivals().pod(pod("ns/p").unschedulable(written).raw).unschedulable_since == written
    ahead = math.floor(time.time() + 60)
    assert Arrivals().pod(pod("ns/p").unschedulable(ahead).raw).unschedulable_since == ahead


def test_a_later_verdict_counts_anew() -> None:
    """A pod that was turned away again waits from then on."""
    arrivals = Arrivals()
    arrivals.pod(_turned_away(60).raw)
    again = arrivals.pod(_turned_away(0).raw).unschedulable_since
    assert again is not None
    assert time.time() - again < RECENT_SECONDS / 2


def test_nothing_is_remembered_of_pods_that_wait_no_more() -> None:
    """The memory holds waiting pods alone: it goes with the pod, and finished pods never enter it."""
    arrivals = Arrivals()
    waiting = arrivals.pod(_turned_away(0).raw)
    assert len(arrivals._seen) == 1
    bound = arrivals.pod(_turned_away(0).on("gpu-a").raw)
    arrivals.forget(waiting, bound)
    assert len(arrivals._seen) == 0
    ended = arrivals.pod(_turned_away(0).phase("Failed").raw)
    arrivals.forget(None, None)
    assert ended.unschedulable_since is not None
    assert len(arrivals._seen) == 0
    arrivals.forget(arrivals.pod(_turned_away(0).raw), None)
    assert len(arrivals._seen) == 0
