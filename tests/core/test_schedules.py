"""When cron schedules come up."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoslicer.core import schedules
from autoslicer.core.times import rfc3339, seconds


def around(schedule: str, now: str) -> list[str]:
    """When the schedule came up last and when it comes up next."""
    at = seconds(now)
    found = schedules.latest(schedule, at), schedules.following(schedule, at)
    return ["never" if hit is None else rfc3339(hit) for hit in found]


@pytest.mark.parametrize(
    ("schedule", "latest", "following"),
    [
        ("* * * * *", "2026-11-20T12:34:00Z", "2026-11-20T12:35:00Z"),
        ("@hourly", "2026-11-20T12:00:00Z", "2026-11-20T13:00:00Z"),
        ("@daily", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"),
        ("@weekly", "2026-11-15T00:00:00Z", "2026-11-22T00:00:00Z"),
        ("@monthly", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ("@yearly", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("0 22 * * mon-fri", "2026-11-19T22:00:00Z", "2026-11-20T22:00:00Z"),
        ("*/20 9-17 * * *", "2026-11-20T12:20:00Z", "2026-11-20T12:40:00Z"),
        ("0 0 29 2 *", "2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 0 13 * fri", "2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z"),
        ("0 6 * JAN sun", "2026-01-25T06:00:00Z", "2027-01-03T06:00:00Z"),
    ],
)
def test_schedules_come_up_as_in_cron(schedule: str, latest: str, following: str) -> None:
    """In UTC; of day of month and day of week either is enough where both are given."""
    assert around(schedule, "2026-11-20T12:34:56.5Z") == [latest, following]


def test_a_schedule_has_come_up_at_its_very_moment() -> None:
    """Not a moment before."""
    assert around("0 12 * * *", "2026-11-20T12:00:00Z") == ["2026-11-20T12:00:00Z", "2026-11-21T12:00:00Z"]
    assert around("0 12 * * *", "2026-11-20T11:59:59.9Z") == ["2026-11-19T12:00:00Z", "2026-11-20T12:00:00Z"]


@given(
    st.integers(0, 59), st.integers(0, 23), st.integers(1, 31), st.integers(1, 12), st.integers(0, 2**31 - 1)
)
def test_both_ways_agree_with_the_calendar(minute: int, hour: int, day: int, month: int, now: int) -> None:
    """Neither passes over a moment that matches, in the eight years around."""
    if day > (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]:
        with pytest.raises(ValueError, match="no cron schedule"):
            schedules.checked(f"{minute} {hour} {day} {month} *")
        return
    schedule = schedules.checked(f"{minute} {hour} {day} {month} *")
    year = datetime.fromtimestamp(now, UTC).year
    hits = []
    for near in range(year - 9, year + 10):
        try:
            hits.append(datetime(near, month, day, hour, minute, tzinfo=UTC).timestamp())
        except ValueError:
            continue
    assert schedules.latest(schedule, now) == max(hit for hit in hits if hit <= now)
    assert schedules.following(schedule, now) == min(hit for hit in hits if hit > now)


@pytest.mark.parametrize(
    "text",
    ["", "noon", "0 22 * *", "0 0 22 * * *", "60 * * * *", "* 24 * * *", "0 0 31 4 *", "5-3 * * * *",
     "*/0 * * * *", "0 0 * * someday", "@reboot", "@every 5m"],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(text: str) -> None:
    """In one sentence with an example of what would be one."""
    with pytest.raises(ValueError, match="should read like") as refused:
        schedules.checked(text)
    assert "\n" not in str(refused.value)
