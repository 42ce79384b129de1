"""What a change is for: pods that wait, or something that no pod waits for."""

from __future__ import annotations

from enum import StrEnum


class Cause(StrEnum):
    """Why a node's layout is changed.

    A change that is not for Demand serves no pod: none has to wait for it, and none has to come to it.
    """

    DEMAND = "Demand"
    HEADROOM = "Headroom"
    IDLE = "Idle"
    DRIFT = "Drift"
