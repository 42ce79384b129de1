"""Quantities and times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoslicer.core.quantity import LIMIT, parse
from autoslicer.core.times import rfc3339, seconds


@pytest.mark.parametrize(
    ("resource", "text", "amount"),
    [
        ("cpu", "2", 2000),
        ("cpu", "1500m", 1500),
        ("cpu", "0.5", 500),
        ("cpu", 0.5, 500),
        ("cpu", "1u", 1),  # rounded up
        ("memory", "1Gi", 2**30),
        ("memory", "1.5Gi", 3 * 2**29),
        ("memory", "128974848", 128974848),
        ("memory", "129e6", 129_000_000),
        ("memory", "129M", 129_000_000),
        ("memory", "100m", 1),  # a tenth of a byte
        ("nvidia.com/mig-1g.10gb", 7, 7),
        ("memory", "9Ei", LIMIT),  # capped as Kubernetes does
        ("memory", "1e999", LIMIT),
        ("pods", "+110", 110),
    ],
)
def test_amounts(resource: str, text: str | int | float, amount: int) -> None:
    """A quantity means what Kubernetes takes it for, rounded up to whole units."""
    assert parse(resource, text) == amount


@pytest.mark.parametrize(
    "text", ["", "x", "1 Gi", "1gi", "1e", "--1", "-1", "1" * 65, "nan", True, float("inf"), "١"]
)
def test_what_is_no_quantity(text: str | float) -> None:
    """Anything else is refused in a sentence that names the resource."""
    with pytest.raises(ValueError, match="memory"):
        parse("memory", text)


@given(st.integers(0, 10**12))
def test_milli_and_whole_cpus_agree(milli: int) -> None:
    """A cpu amount is the same in thousandths and as a decimal fraction."""
    assert parse("cpu", f"{milli}m") == milli == parse("cpu", f"{milli // 1000}.{milli % 1000:03}")


@given(st.integers(-62_000_000_000_000_000, 250_000_000_000_000_000))
def test_timestamps_round_trip(micros: int) -> None:
    """What is written as a timestamp is read back to the microsecond."""
    at = micros / 1_000_000
    assert abs(seconds(rfc3339(at)) - at) < 2e-5


def test_timestamps_as_kubernetes_writes_them() -> None:
    """Times have whole seconds, micro times six digits, and other offsets and digits are understood."""
    assert seconds("2026-11-20T12:00:00Z") == 1795176000.0
    assert seconds("2026-11-20T12:00:00.250000Z") == 1795176000.25
    assert seconds("2026-11-20T13:00:00.123456789+01:00") == pytest.approx(1795176000.123456, abs=1e-5)
    assert rfc3339(1795176000.0) == "2026-11-20T12:00:00Z"
    assert rfc3339(1795176000.25) == "2026-11-20T12:00:00.250000Z"


@pytest.mark.parametrize("text", ["", "now", "2026-11-20", "2026-13-20T12:00:00Z", "2026-11-20 12:00:00Z"])
def test_what_is_no_timestamp(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match="timestamp"):
        seconds(text)
