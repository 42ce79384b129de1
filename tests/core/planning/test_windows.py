"""Batching windows."""

from __future__ import annotations

from hypothesis import event, given
from hypothesis import strategies as st

from autoslicer.core.planning.windows import batches

times = st.lists(st.integers(0, 200).map(float), max_size=30)


@given(times, st.integers(0, 20), st.integers(0, 60))
def test_no_arrival_waits_longer_than_the_maximum(arrivals: list[float], idle: int, longest: int) -> None:
    """A pod's batch closes neither before the pod came nor more than the longest window after it."""
    found = {at: b.closes for at, b in batches(arrivals, idle=idle, longest=longest).items()}
    event(f"batches: {min(len(set(found.values())), 3)}")
    assert set(found) == set(arrivals)
    assert all(arrival <= at <= arrival + longest for arrival, at in found.items())


@given(times, st.integers(1, 20), st.integers(20, 60))
def test_a_batch_closes_after_a_quiet_time(arrivals: list[float], idle: int, longest: int) -> None:
    """A batch that closes before its longest window does so because nothing came for the idle time."""
    found = {at: b.closes for at, b in batches(arrivals, idle=idle, longest=longest).items()}
    for at in set(found.values()):
        batch = [arrival for arrival, closing in found.items() if closing == at]
        assert at == min(max(batch) + idle, min(batch) + longest)
        assert not [other for other in arrivals if max(batch) < other <= at]


@given(times, st.lists(st.integers(201, 300).map(float), max_size=5))
def test_a_closed_batch_is_not_opened_again(arrivals: list[float], later: list[float]) -> None:
    """What comes after a batch has closed never changes when it closed."""
    old = batches(arrivals, idle=5, longest=30)
    new = batches([*arrivals, *later], idle=5, longest=30)
    closed = [at for at, batch in old.items() if not [late for late in later if late <= batch.closes]]
    assert all(new[at] == old[at] for at in closed)
