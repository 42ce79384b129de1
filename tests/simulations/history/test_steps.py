"""A figure over time is kept in few spans, and neither an extreme nor a mean is lost."""

from __future__ import annotations

import math

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from simulations.history.steps import MOST_BINS, Steps

moves = st.lists(
    st.tuples(st.floats(0.001, 2000.0), st.integers(0, 50)),
    min_size=1,
    max_size=60,
)


@given(moves, st.floats(0.5, 500.0))
def test_nothing_is_lost(found: list[tuple[float, int]], rest: float) -> None:
    """The area under the figure, its extremes in each span and its length are those of every single step."""
    steps, at, spans = Steps(), 0.0, []
    for length, value in found:
        spans.append((at, at + length, steps.value))
        at += length
        steps.set(at, value)
    spans.append((at, at + rest, steps.value))
    until = at + rest
    course = steps.course(until)
    assert len(course.means) == math.ceil(until / course.width) <= MOST_BINS
    event("spans were merged" if course.width > 1 else "no span was merged")
    for index, (mean, low, high) in enumerate(zip(course.means, course.lows, course.highs, strict=True)):
        since, to = index * course.width, min(until, (index + 1) * course.width)
        inside = [(min(end, to) - max(begin, since), value) for begin, end, value in spans]
        values = [value for length, value in inside if length > 1e-9]
        assert low <= min(values)
        assert high >= max(values)
        area = sum(length * value for length, value in inside if length > 0)
        assert mean * (to - since) == pytest.approx(area, rel=1e-6, abs=1e-6)
    assert {*course.lows, *course.highs} <= {value for _, _, value in spans}


def test_a_value_of_no_duration_leaves_no_trace() -> None:
    """What is taken back at the same moment was never to be seen."""
    steps = Steps()
    steps.set(2.0, 9)
    steps.set(2.0, 1)
    assert max(steps.course(4.0).highs) == 1
    steps.set(5.0, 9)
    steps.set(5.25, 1)
    assert max(steps.course(6.0).highs) == 9
