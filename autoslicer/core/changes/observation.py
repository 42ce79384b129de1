"""What is known when a change is advanced, and how often its GPUs were seen idle."""

from __future__ import annotations

from dataclasses import dataclass

from autoslicer.core.changes import validation
from autoslicer.core.changes.transition import tainted
from autoslicer.core.phases import BEFORE_LABEL, Phase, phase
from autoslicer.core.plan import Verdict
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Timing:
    """The waits of the steps, in seconds.

    Attributes:
        idle_confirm: two sightings of idleness lie at least so far apart.
        publish_settle: from the touch of the mig-manager pod until its file is trusted.
        retry_backoff: from a failed attempt to the next one; doubled for each further one.
    """

    idle_confirm: float = 1.0
    publish_settle: float = 5.0
    retry_backoff: float = 30.0


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known when a change is advanced.

    Attributes:
        snapshot: the cluster. Where `fresh`, the node, its pods and the pods of `serves` come from reads
            made for this observation.
        fresh: those reads were made; without them no step before Labelled is taken.
        hold: why a Waiting change may not start yet (approval, suspension, budget, cooldown); None when it
            may.
        sightings: times of reads since the taint that found every GPU of the change idle; see `sight`.
        touchable: mig-manager's pods may be annotated, so that the kubelet looks at their files at once.
    """

    snapshot: Snapshot
    fresh: bool
    hold: Verdict | None = None
    sightings: tuple[float, ...] = ()
    touchable: bool = True

    def confirmed(self, timing: Timing) -> bool:
        """The GPUs were seen idle twice, far enough apart."""
        return bool(self.sightings) and self.sightings[-1] - self.sightings[0] >= timing.idle_confirm


def needs_fresh(change: ReconfigurationRow, hold: Verdict | None) -> bool:
    """A cache is not good enough while a label is to be set, but for a change that may not start yet."""
    here = phase(change)
    if here is Phase.WAITING:
        return hold is None
    return here in BEFORE_LABEL or here is Phase.ROLLING_BACK


def sight(
    previous: tuple[float, ...], change: ReconfigurationRow, observation: Observation, now: float
) -> tuple[float, ...]:
    """The sightings of idleness after one more observation.

    None are left as soon as the taint is away or a GPU of the change is in use. Only the first and the newest
    are kept: they span the time over which the GPUs were seen idle.
    """
    node = observation.snapshot.nodes.get(change.node)
    if node is None or not tainted(node, change):
        return ()
    if not observation.fresh:
        return previous
    if validation.in_use(change, observation.snapshot, now) is not None:
        return ()
    return (*previous[:1], now)
