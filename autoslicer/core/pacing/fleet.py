"""What holds changes back in the whole fleet, whatever its policies say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from autoslicer.core import names, times

_LONGEST = 256


@dataclass(frozen=True, slots=True)
class FleetLimits:
    """The limits that no demand can raise and no policy can lift.

    Attributes:
        starts_per_minute: changes that may start within a minute, at least 1.
        failures: none starts any more once changes of so many nodes have failed in a row; 0 for never.
        recommendation_seconds: a change that nobody approved within so long is planned for anew.
        resumed: failures that ended up to this moment are dealt with (seconds since the epoch).
        paused: who stopped the fleet, and when; empty where nobody did.
    """

    starts_per_minute: int = 30
    failures: int = 3
    recommendation_seconds: float = 86400.0
    resumed: float = 0.0
    paused: str = ""


DEFAULT_LIMITS = FleetLimits()


def told(limits: FleetLimits, annotations: Mapping[str, str]) -> FleetLimits:
    """The limits with what humans say by annotations of the Lease, see `autoslicer pause` and `resume`.

    >>> told(DEFAULT_LIMITS, {"autoslicer.dev/paused": "since noon by kim"}).paused
    'paused since noon by kim'
    """
    paused, said = "", annotations.get(names.PAUSE)
    if said is not None:
        shown = "".join(letter if letter.isprintable() else " " for letter in said[:_LONGEST])
        paused = f"paused {shown}".rstrip()
    try:
        resumed = times.seconds(annotations.get(names.RESUMED, ""))
    except ValueError:
        resumed = 0.0
    return replace(limits, paused=paused, resumed=resumed)
