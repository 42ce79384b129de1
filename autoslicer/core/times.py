"""Kubernetes timestamps as seconds since the epoch, and back."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d{1,9}))?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=8192)
def seconds(text: str) -> float:
    """The moment that an RFC 3339 timestamp names, in seconds since the epoch, to the microsecond.

    Raises:
        ValueError: `text` is no such timestamp.

    >>> seconds("1970-01-01T00:01:00Z"), seconds("1970-01-01T01:00:00.25+01:00")
    (60.0, 0.25)
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:64]!r} is not a timestamp; it should read like 2026-11-20T12:00:00Z")
    if match[1]:
        # datetime knows microseconds; Kubernetes' MicroTime has six digits, other writers up to nine
        text = text[: match.start(1)] + match[1][:6].ljust(6, "0") + text[match.end(1) :]
    try:
        return (datetime.fromisoformat(text) - _EPOCH) / timedelta(seconds=1)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is not a timestamp: {error}") from None


def noted(text: str) -> float | None:
    """The moment that a note names, in seconds since the epoch; None where it names none."""
    try:
        return seconds(text)
    except ValueError:
        return None


def rfc3339(at: float) -> str:
    """The timestamp, in UTC, of a moment in seconds since the epoch; a fraction only where there is one.

    >>> rfc3339(60.0), rfc3339(0.25)
    ('1970-01-01T00:01:00Z', '1970-01-01T00:00:00.250000Z')
    """
    moment = _EPOCH + timedelta(microseconds=round(at * 1_000_000))
    spec = "microseconds" if moment.microsecond else "seconds"
    return moment.isoformat(timespec=spec).removesuffix("+00:00") + "Z"
