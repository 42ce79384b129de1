"""What holds changes back in the whole fleet, whatever its policies say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FleetLimits:
    """The limits that no demand can raise and no policy can lift.

    Attributes:
        starts_per_minute: changes that may start within a minute, at least 1.
        failures: changes in a row that may fail before none starts any more; 0 for any number.
        resumed: failures that ended before this moment are dealt with (seconds since the epoch).
    """

    starts_per_minute: int = 30
    failures: int = 3
    resumed: float = 0.0


DEFAULT_LIMITS = FleetLimits()
