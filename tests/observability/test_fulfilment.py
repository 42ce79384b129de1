"""Which pods count as served, and by what."""

from __future__ import annotations

import itertools

import pytest

from autoslicer.core import reading
from autoslicer.core.rows import PodRow, ReconfigurationRow
from autoslicer.observability.fulfilment import Fulfilment
from autoslicer.observability.metrics import Metrics
from tests.build import NOON, Pod, change, pod

WAITS = pod("ns/p").wants({"1g.10gb": 1}).created(NOON - 60)
BOUND = WAITS.on("gpu-a", at=NOON - 15)


class Watched:
    """A Fulfilment that sees pods come and go among these changes."""

    def __init__(self, *changes: ReconfigurationRow) -> None:
        self.metrics = Metrics()
        self._rows = {row.name: row for row in changes}
        self._fulfilment = Fulfilment(self.metrics, lambda: self._rows)

    def sees(self, *sights: Pod | None) -> Watched:
        """See one pod after the other."""
        rows: list[PodRow | None] = [None if sight is None else reading.pod(sight.raw) for sight in sights]
        for old, new in itertools.pairwise(rows):
            self._fulfilment.see(old, new, NOON)
        return self

    def counted(self) -> dict[tuple[str, str], float]:
        """What was counted, by profile and way."""
        [family] = self.metrics.requests_fulfilled.collect()
        return {
            (sample.labels["profile"], sample.labels["by"]): sample.value
            for sample in family.samples
            if sample.value
        }

    def waited(self, profile: str) -> tuple[float, float]:
        """Number and sum of the waits of a profile."""
        [family] = self.metrics.request_wait_seconds.collect()
        found = {s.name: s.value for s in family.samples if s.labels["profile"] == profile}
        return found["autoslicer_request_wait_seconds_count"], found["autoslicer_request_wait_seconds_sum"]


def reshape(
    node: str = "gpu-a", serves: tuple[str, ...] = ("ns/p",), phase: str = "Done"
) -> ReconfigurationRow:
    """A change of the node that reached Labelled while the pod waited."""
    made = change(node, [{"7g.80gb": 1}], [{"1g.10gb": 7}], phase="Labelled", serves=serves)
    row = reading.change(made.set("status.phase", phase).raw)
    assert isinstance(row, ReconfigurationRow)
    return row


def test_a_pod_that_found_a_free_slice_counts_as_free() -> None:
    """A pod that the scheduler turned away first and then bound counts once, with its wait."""
    watched = Watched().sees(None, WAITS, BOUND, BOUND.phase("Running"), BOUND.phase("Succeeded"), None)
    assert watched.counted() == {("1g.10gb", "free"): 1}
    assert watched.waited("1g.10gb") == (1, 45)


def test_a_pod_that_was_bound_at_once_is_not_counted() -> None:
    """Who never waited for a slice is no success of ours, unlike who was turned away first."""
    untried = WAITS.untried().phase("Pending")
    assert Watched().sees(None, untried, BOUND).counted() == {}
    assert Watched().sees(None, untried, WAITS, BOUND).counted() == {("1g.10gb", "free"): 1}


def test_a_pod_that_is_bound_at_first_sight_is_not_counted() -> None:
    """A restarted controller, whose first list shows the pods that it served before, counts nothing twice."""
    assert Watched(reshape()).sees(None, BOUND, BOUND.phase("Running")).counted() == {}


def test_another_pod_under_the_same_name_does_not_complete_the_wait() -> None:
    """A pod that was replaced between two sights never was seen to be bound."""
    assert Watched(reshape()).sees(WAITS, BOUND.set("metadata.uid", "other")).counted() == {}


@pytest.mark.parametrize("phase", ["Labelled", "Applied", "Verified", "Done"])
def test_a_pod_on_the_node_that_was_cut_for_it_counts_as_reshape(phase: str) -> None:
    """However far its change has got when the pod is bound, the slice came from it."""
    assert Watched(reshape(phase=phase)).sees(WAITS, BOUND).counted() == {("1g.10gb", "reshape"): 1}


@pytest.mark.parametrize(
    "other",
    [reshape(node="gpu-b"), reshape(serves=("ns/q",))],
    ids=["another node was cut", "for another pod"],
)
def test_what_was_not_cut_for_it_is_free(other: ReconfigurationRow) -> None:
    """A change of another node, or one that serves only others, is not why the pod is served."""
    assert Watched(other).sees(WAITS, BOUND).counted() == {("1g.10gb", "free"): 1}


def test_an_older_reshape_is_not_why_a_newer_pod_is_served() -> None:
    """A pod of a name that a change once served, created after the node was cut, found a free slice."""
    later = WAITS.created(NOON - 5)
    assert Watched(reshape()).sees(later, later.on("gpu-a", at=NOON)).counted() == {("1g.10gb", "free"): 1}


def test_a_pod_counts_under_its_first_profile() -> None:
    """A pod that asks for several profiles counts once, under the first by name."""
    both = WAITS.wants({"3g.40gb": 1, "1g.10gb": 2})
    assert Watched().sees(both, both.on("gpu-a")).counted() == {("1g.10gb", "free"): 1}


def test_pods_without_slices_are_not_ours() -> None:
    """A pod that waited for cpu, or for a whole GPU, is not counted."""
    for asked in ({"cpu": "1"}, {"nvidia.com/gpu": "1"}):
        waits = pod("ns/p").resources(asked)
        assert Watched().sees(waits, waits.on("gpu-a")).counted() == {}


def test_a_clock_that_runs_behind_gives_no_negative_wait() -> None:
    """A binding that seems to precede the creation counts as no wait at all."""
    watched = Watched().sees(WAITS, WAITS.on("gpu-a", at=NOON - 61))
    assert watched.waited("1g.10gb") == (1, 0)
