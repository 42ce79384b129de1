"""What tells different stories of a node's layout, and which of them is true: that decides the cure.

The stories are those of the label `nvidia.com/mig.config` (what ought to be), of mig-manager's state, of the
node's agent, of GPU feature discovery and of the device plugin (`status.allocatable`). The cures are those
that operators know: where the GPUs are right and Kubernetes is stale, the pods that tell the old story are
restarted; where the layout itself is wrong or has failed, it is asked for again; else nobody can tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from autoslicer.core import names
from autoslicer.core.nodes import evidence, gpu_operator, idleness, layouts
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import GpuTarget, MigNodeRow, NodeRow, PodRow
from autoslicer.core.snapshot import Snapshot
from solver.problem import Counts, counts
from solver.profile_name import resource_name

REPAIRABLE = frozenset(
    {Reason.LayoutDrift, Reason.ApplyFailed, Reason.ModeChangeForbidden, Reason.NodeBusy, Reason.GpuBusy}
)
"""refusals of a node that do not keep its drift from being told; a node in use is repaired once it is idle"""
Layouts = tuple[Counts | None, ...]
"""of each GPU by index; None where MIG is off"""


class Way(StrEnum):
    """Which way a drift goes."""

    STALE = "Stale"
    """the GPUs are as they ought to be; what Kubernetes tells of them is old"""
    LAYOUT = "Layout"
    """the GPUs are not as the label asks"""
    UNCLEAR = "Unclear"
    """nobody can tell which story is true"""


@dataclass(frozen=True, slots=True)
class Drift:
    """What differs on a node.

    Attributes:
        way: which way it goes.
        message: what differs, in a sentence.
        apps: where Kubernetes is stale, the label `app` of the operator's pods that tell the old story.
        gpus: where the layout is wrong, every GPU with what it has and what the label asks for.
    """

    way: Way
    message: str
    apps: tuple[str, ...] = ()
    gpus: tuple[GpuTarget, ...] = ()


def drift(snapshot: Snapshot, node: NodeRow, now: float) -> Drift | None:
    """What differs on the node; None where all agree, and while mig-manager works or the plugin is away.

    Args:
        snapshot: the cluster.
        node: under `mig.strategy=mixed`, not in a change.
        now: seconds since the epoch.
    """
    agent = _fresh(snapshot, node, now)
    geometries = layouts.hardware(node, agent)
    at_rest = evidence.config(node) and evidence.resting(node)
    if isinstance(geometries, Verdict) or not at_rest or not _reports(snapshot, node.name):
        return None
    wanted = layouts.meanings(snapshot, node, evidence.config(node), len(geometries))
    failed = evidence.state(node) == "failed"
    if agent is not None:
        return _by_agent(node, _held(agent), wanted, failed=failed)
    return _by_labels(snapshot, node, wanted, failed=failed)


def restartable(snapshot: Snapshot, node: str, found: Drift, since: float) -> tuple[PodRow, ...]:
    """The pods of the operator on the node that may tell an old story: they are older than the drift."""
    mine = (pod for pod in snapshot.tenants.get(node, ()) if pod.node and pod.app in found.apps)
    own = (pod for pod in mine if gpu_operator.is_operators(snapshot, pod) and not pod.terminating)
    return tuple(sorted((pod for pod in own if pod.created <= since), key=lambda pod: pod.key))


def _fresh(snapshot: Snapshot, node: NodeRow, now: float) -> MigNodeRow | None:
    agent = snapshot.mignodes.get(node.name)
    known = agent is not None and agent.gpus and all(gpu.mode_settled for gpu in agent.gpus)
    if agent is None or not known or idleness.stale(agent, now):
        return None
    return agent if str(len(agent.gpus)) == node.labels.get(names.GPU_COUNT) else None


def _held(agent: MigNodeRow) -> Layouts:
    return tuple(
        counts(Counter(instance.profile for instance in gpu.instances)) if gpu.mig_enabled else None
        for gpu in agent.gpus
    )


def _by_agent(node: NodeRow, seen: Layouts, wanted: set[Layouts], *, failed: bool) -> Drift | None:
    """The agent tells what the GPUs hold.

    What others have cut by hand is how it is, and nothing is wrong about it; where instances are missing, a
    reboot or a failed run has taken them.
    """
    offered, holds, found = evidence.advertised(node), evidence.promised(seen), _found(node)
    lacking = seen not in wanted and any(_less(seen, due) for due in wanted)
    if failed or lacking:
        return _wrong(node, wanted, (seen,), "the agent sees", failed=failed)
    if offered != holds:
        message = f"the GPUs hold {_written(holds)}, but allocatable says {_written(offered)}"
        return Drift(Way.STALE, message, (names.PLUGIN_APP,))
    if found is None or found == _slices(holds):
        return None
    message = f"the GPUs hold {_written(holds)}, but GPU feature discovery shows {_written(found)}"
    return Drift(Way.STALE, message, (names.DISCOVERY_APP,))


def _found(node: NodeRow) -> Counts | None:
    """What GPU feature discovery tells; without any label it may not be there at all, and tells nothing."""
    return evidence.discovered(node) or None


def _less(seen: Layouts, due: Layouts) -> bool:
    """No GPU holds anything that is not due, and none is in MIG mode that ought not to be."""
    return all(
        Counter(dict(has or ())) <= Counter(dict(ought or ())) and (ought is not None or has is None)
        for has, ought in zip(seen, due, strict=True)
    )


def _by_labels(snapshot: Snapshot, node: NodeRow, wanted: set[Layouts], *, failed: bool) -> Drift | None:
    """Nobody sees the GPUs themselves; two that tell the same are believed."""
    offered, found = evidence.advertised(node), _found(node)
    matching = [due for due in wanted if evidence.promised(due) == offered]
    if matching and not failed:
        if found is None or found == _slices(offered):
            return None
        message = f"allocatable says {_written(offered)}, but GPU feature discovery shows {_written(found)}"
        return Drift(Way.STALE, message, (names.DISCOVERY_APP,))
    if not wanted:
        return None
    if found is not None and found != _slices(offered):
        due = [ought for ought in wanted if _slices(evidence.promised(ought)) == found]
        message = f"allocatable says {_written(offered)}, but GPU feature discovery shows {_written(found)}"
        if due and not failed:
            return Drift(Way.STALE, f"{message}, as the label asks", (names.PLUGIN_APP,))
        return Drift(Way.UNCLEAR, f"{message}, and the label asks for {_written_all(wanted)}")
    guesses = tuple(guess for due in sorted(wanted, key=repr) if (guess := _spread(offered, due)) is not None)
    return _wrong(node, wanted, guesses, "allocatable says", failed=failed)


def _reports(snapshot: Snapshot, node: str) -> bool:
    """A device plugin is there, so that what allocatable does not show is not there."""
    return any(
        pod.app == names.PLUGIN_APP and pod.ready and gpu_operator.is_operators(snapshot, pod)
        for pod in snapshot.tenants.get(node, ())
        if pod.node
    )


def _wrong(
    node: NodeRow, wanted: set[Layouts], seen: Sequence[Layouts], who: str, *, failed: bool
) -> Drift | None:
    """The layout is not what the label asks for, or it failed."""
    if not wanted:
        return None
    asked = f"{names.MIG_CONFIG}={evidence.config(node)} asks for {_written_all(wanted)}"
    if len(wanted) > 1 or len(seen) != 1:
        return Drift(Way.UNCLEAR, f"{asked}, but {who} {_written(evidence.advertised(node))}")
    [due], [has] = wanted, seen
    state = ", and mig-manager failed" if failed else ""
    gpus = tuple(
        GpuTarget(index, before, after, before != after)
        for index, (before, after) in enumerate(zip(has, due, strict=True))
    )
    return Drift(Way.LAYOUT, f"{asked}, but {who} {_written(evidence.promised(has))}{state}", gpus=gpus)


def _spread(offered: Counts, due: Layouts) -> Layouts | None:
    """What each GPU may hold of what the node offers, where it was to hold `due`; None where that is open."""
    left = Counter(dict(offered))
    found: list[Counts | None] = []
    for layout in due:
        if layout is None or left[names.GPU_RESOURCE]:
            left[names.GPU_RESOURCE] -= 1
            found.append(None)
            continue
        here = {p: min(amount, max(0, left[resource_name(p)])) for p, amount in layout}
        left.subtract({resource_name(profile): amount for profile, amount in here.items()})
        found.append(counts(here))
    return tuple(found) if not any(left.values()) else None


def _slices(offered: Counts) -> Counts:
    """Without whole GPUs, which GPU feature discovery does not count."""
    return tuple((resource, count) for resource, count in offered if resource != names.GPU_RESOURCE)


def _written_all(wanted: Iterable[Layouts]) -> str:
    return " or ".join(sorted({_written(evidence.promised(due)) for due in wanted}))


def _written(offered: Counts) -> str:
    return " + ".join(_parts(offered)) or "nothing"


def _parts(offered: Counts) -> Iterator[str]:
    for resource, count in offered:
        yield f"{count} x {resource.removeprefix(names.MIG_RESOURCE_PREFIX)}"
