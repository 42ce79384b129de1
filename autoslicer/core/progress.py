"""One change of one node, step by step: from what is seen now to the next status and the actions that lead there."""

from __future__ import annotations

from dataclasses import dataclass

from autoslicer.core.actions import Action
from autoslicer.core.plan import Verdict
from autoslicer.core.rows import ChangeStatus, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Timing:
    """The waits of the steps, in seconds.

    Attributes:
        idle_confirm: two sightings of idleness lie at least so far apart.
        publish_settle: from the touch of the mig-manager pod until its file is trusted.
        publish_settle_untouched: the same where the pod may not be touched; the kubelet projects by itself after 60-90 s.
    """

    idle_confirm: float = 1.0
    publish_settle: float = 5.0
    publish_settle_untouched: float = 90.0


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known when a change is advanced.

    Attributes:
        snapshot: the cluster; while `needs_fresh(phase)` the node, its pods and the pods of `serves` come from reads made for this observation.
        fresh: these reads were made.
        hold: why a Waiting change may not start yet (approval, suspension, budget, cooldown); None when it may.
        sightings: times of the LISTs since the taint on which every GPU that will change was idle; see `sight`.
    """

    snapshot: Snapshot
    fresh: bool
    hold: Verdict | None
    sightings: tuple[float, ...]


def advance(change: ReconfigurationRow, observation: Observation, now: float, timing: Timing) -> tuple[ChangeStatus, tuple[Action, ...]]:
    """The next status of the change, and what must be done; equal inputs give equal outputs."""
    raise AssertionError
