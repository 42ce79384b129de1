"""May a node change, which of its GPUs, and can a change reach it: the hard rules, one verdict each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from autoslicer.core import evictable, fitting, names
from autoslicer.core.configs import ALL_DISABLED
from autoslicer.core.nodes import evidence, gpu_operator, idleness, layouts, owners, quarantine, refused
from autoslicer.core.phases import phase
from autoslicer.core.plan import Verdict
from autoslicer.core.policy import Policy
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import NodeRow
from autoslicer.core.snapshot import Snapshot
from solver.problem import Counts, Gpu

UNREACHABLE = frozenset({Reason.ApplyPathMissing, Reason.ApplyPathNotConfigured, Reason.ConfigMapIncomplete})
"""why no config of ours reaches a node's mig-manager, see `apply_path`"""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a plan may do with a governed node.

    Attributes:
        refusal: why the node may not change at all; None where a GPU may.
        gpus: every GPU with its layout, changeable or not; empty where the layout is not known.
        mode_change: GPUs whose MIG mode is off may be switched on.
    """

    refusal: Verdict | None
    gpus: tuple[Gpu, ...] = ()
    mode_change: bool = False


def assess(
    snapshot: Snapshot,
    node: NodeRow,
    policy: Policy | Verdict,
    now: float,
    *,
    ignore_change: str = "",
    refusals: Mapping[str, frozenset[Counts]] | None = None,
) -> Assessment:
    """Whether the node may change, and which of its GPUs; of several refusals the first in `Reason` is given.

    Args:
        snapshot: the cluster.
        node: governed by `policy`.
        policy: that governs it, or the verdict where several claim it; see `policy.governing`.
        now: seconds since the epoch.
        ignore_change: the name of a change of this node that is under way and is being looked at; it refuses
            nothing.
        refusals: what drivers have refused, where that is known already; see `refused.by_kind`.
    """
    if isinstance(policy, Verdict):
        return Assessment(policy)
    if (refusal := _refusal(snapshot, node, ignore_change, now)) is not None:
        return Assessment(refusal)
    gpus = layouts.present(snapshot, node, idleness.believed(snapshot, node.name, now))
    if isinstance(gpus, Verdict):
        return Assessment(gpus)
    known = refused.by_kind(snapshot) if refusals is None else refusals
    gpus = refused.without(gpus, refused.of_node(snapshot, node, known))
    if (overdrawn := _overdrawn(snapshot, node, ignore_change)) is not None:
        return Assessment(overdrawn)
    return _changeable(snapshot, node, policy, gpus, now, ignore_change)


def _changeable(
    snapshot: Snapshot, node: NodeRow, policy: Policy, gpus: tuple[Gpu, ...], now: float, ignore_change: str
) -> Assessment:
    """Which GPUs are idle; those without MIG only where the policy allows it and nothing is in use."""
    used = idleness.in_use(snapshot, node.name, now)
    tenants = snapshot.tenants.get(node.name, ())
    idle = not used.node and not used.gpus and not any(idleness.asks_gpu(pod) for pod in tenants)
    mode_change = policy.allow_mode_change and idle and any(gpu.layout is None for gpu in gpus)
    judged = tuple(
        replace(gpu, changeable=not used.of(gpu.index) and (gpu.layout is not None or mode_change))
        for gpu in gpus
    )
    if (untrue := _uncovered(snapshot, node, judged, ignore_change)) is not None:
        return Assessment(untrue)
    judged = evictable.with_tenants(snapshot, node, policy, judged, now)
    if any(gpu.changeable or gpu.tenants for gpu in judged):
        return Assessment(None, judged, mode_change)
    if all(gpu.layout is None for gpu in gpus) and not policy.allow_mode_change:
        message = f"MIG mode is off, and policy {policy.name} does not allow to change it"
        return Assessment(Verdict(node.name, Reason.ModeChangeForbidden, message), judged)
    if used.node or all(gpu.layout is None for gpu in gpus):
        message = used.node or "MIG mode can be changed only while nothing on the node is in use"
        return Assessment(Verdict(node.name, Reason.NodeBusy, message), judged)
    message = "; ".join(used.gpus[index] for index in sorted(used.gpus))
    return Assessment(Verdict(node.name, Reason.GpuBusy, message), judged)


def _opted_out(snapshot: Snapshot, node: NodeRow, ignore_change: str) -> Verdict | None:
    if node.annotations.get(names.IGNORE) != "true":
        return None
    return Verdict(node.name, Reason.OptedOut, f"the node is annotated {names.IGNORE}=true")


def _foreign(snapshot: Snapshot, node: NodeRow, ignore_change: str) -> Verdict | None:
    return owners.foreign(snapshot, node)


def _leaving(snapshot: Snapshot, node: NodeRow, ignore_change: str) -> Verdict | None:
    return owners.leaving(node)


def _closed(snapshot: Snapshot, node: NodeRow, ignore_change: str) -> Verdict | None:
    if node.unschedulable:
        return Verdict(node.name, Reason.Cordoned, "the node is cordoned")
    return fitting.closed(node)


def _in_change(snapshot: Snapshot, node: NodeRow, ignore_change: str) -> Verdict | None:
    change = fitting.live_change(snapshot, node.name, ignore_change=ignore_change)
    upgrade = node.labels.get(names.DRIVER_UPGRADE_STATE, "")
    message = ""
    if change is not None:
        message = f"change {change.name} is {phase(change)}"
    elif not evidence.settled(node):
        message = f"{names.MIG_CONFIG_STATE} is {evidence.state(node)}"
    elif evidence.paused(node):
        message = f"{evidence.paused(node)[0]} is paused"
    elif upgrade not in ("", "upgrade-done"):
        message = f"a driver upgrade is under way: {names.DRIVER_UPGRADE_STATE} is {upgrade}"
    return Verdict(node.name, Reason.ChangeInProgress, message) if message else None


def _failed(snapshot: Snapshot, node: NodeRow, ignore_change: str) -> Verdict | None:
    """mig-manager failed; after a change of ours an agent that agrees with the node tells what is left."""
    if evidence.state(node) != "failed":
        return None
    last = quarantine.last_failure(snapshot, node.name, ignore_change=ignore_change)
    agent = snapshot.mignodes.get(node.name)
    if last is not None and agent is not None and layouts.agrees(node, agent):
        return None
    return Verdict(
        node.name, Reason.ApplyFailed, f"mig-manager failed to apply {evidence.config(node) or 'nothing'}"
    )


def _strategy(snapshot: Snapshot, node: NodeRow, ignore_change: str) -> Verdict | None:
    strategy = node.labels.get(names.MIG_STRATEGY, "")
    if strategy == "single":
        message = f"{names.MIG_STRATEGY} is single; only nodes under mixed are changed"
        return Verdict(node.name, Reason.StrategySingle, message)
    if strategy != "mixed":
        message = f"{names.MIG_STRATEGY} is {strategy or 'absent'}: no MIG slices are offered"
        return Verdict(node.name, Reason.StrategyNone, message)
    return None


def _shared(snapshot: Snapshot, node: NodeRow, ignore_change: str) -> Verdict | None:
    for key, value in sorted(node.labels.items()):
        if not key.startswith((names.MIG_RESOURCE_PREFIX, f"{names.GPU_RESOURCE}.")):
            continue
        shared = key.endswith(".sharing-strategy") and value not in ("", "none")
        if shared or (key.endswith(".replicas") and value not in ("", "0", "1")):
            return Verdict(node.name, Reason.SharedSlices, f"slices are shared: {key} is {value}")
    return None


_Rule = Callable[[Snapshot, NodeRow, str], Verdict | None]
_OFF_LIMITS: tuple[_Rule, ...] = (_opted_out, _foreign, _leaving, _closed)
_STATE: tuple[_Rule, ...] = (_failed, _strategy, _shared)


def off_limits(snapshot: Snapshot, node: NodeRow, ignore_change: str) -> Verdict | None:
    """Why nobody but its owner may touch the node: opted out, another owner's, or closed."""
    found = (rule(snapshot, node, ignore_change) for rule in _OFF_LIMITS)
    return next((refusal for refusal in found if refusal is not None), None)


def _refusal(snapshot: Snapshot, node: NodeRow, ignore_change: str, now: float) -> Verdict | None:
    """The first rule that refuses the node, in the order of `Reason`."""
    early = off_limits(snapshot, node, ignore_change) or _in_change(snapshot, node, ignore_change)
    early = early or quarantine.refusal(snapshot, node.name, now, ignore_change=ignore_change)
    if early is not None:
        return early
    found = (rule(snapshot, node, ignore_change) for rule in _STATE)
    return next((refusal for refusal in found if refusal is not None), None)


def _overdrawn(snapshot: Snapshot, node: NodeRow, ignore_change: str) -> Verdict | None:
    left = fitting.slices(fitting.left(snapshot, node, ignore_change=ignore_change))
    short = [profile for profile, amount in left.items() if amount < 0]
    if not short:
        return None
    return Verdict(node.name, Reason.LayoutDrift, f"pods hold more {short[0]} than the node offers")


def _uncovered(
    snapshot: Snapshot, node: NodeRow, gpus: tuple[Gpu, ...], ignore_change: str
) -> Verdict | None:
    """The slices of GPUs that are idle must all be free."""
    left = fitting.slices(fitting.left(snapshot, node, ignore_change=ignore_change))
    idle: Counter[str] = Counter()
    for gpu in gpus:
        if gpu.changeable:
            idle.update(dict(gpu.layout or ()))
    short = [profile for profile, count in sorted(idle.items()) if left.get(profile, 0) < count]
    if not short:
        return None
    message = f"idle GPUs hold {idle[short[0]]} x {short[0]}, but only {left.get(short[0], 0)} are free"
    return Verdict(node.name, Reason.LayoutDrift, message)


def apply_path(snapshot: Snapshot, node: NodeRow, policy: Policy) -> Verdict | None:
    """Why a generated config cannot reach the node's mig-manager; None where it can.

    It stops actions and never a plan: a dump of nodes and pods alone shows nothing of it.
    """
    pod = gpu_operator.mig_manager(snapshot, node.name)
    if pod is None or not pod.ready:
        state = "runs" if pod is None else "is ready"
        return Verdict(node.name, Reason.ApplyPathMissing, f"no mig-manager pod {state} on node {node.name}")
    namespace, name = policy.config_map
    if (pod.namespace, pod.config_map) != policy.config_map:
        patch = f'{{"spec":{{"migManager":{{"config":{{"name":"{name}"}}}}}}}}'
        message = (
            f"mig-manager of node {node.name} reads {pod.namespace}/{pod.config_map or 'no ConfigMap'}, "
            f"not {namespace}/{name}; "
            f"kubectl patch clusterpolicies.nvidia.com/cluster-policy --type merge -p '{patch}'"
        )
        return Verdict(node.name, Reason.ApplyPathNotConfigured, message)
    row = snapshot.config_maps.get(policy.config_map)
    if row is None or row.configs is None:
        state = "does not exist" if row is None else "is not a file that mig-parted accepts"
        message = f"ConfigMap {namespace}/{name} {state}; autoslicer configs init makes it"
        return Verdict(node.name, Reason.ConfigMapIncomplete, message)
    if ALL_DISABLED not in row.configs:
        message = f"ConfigMap {namespace}/{name} lacks {ALL_DISABLED}, which the operator gives to new nodes"
        return Verdict(node.name, Reason.ConfigMapIncomplete, message)
    if (config := evidence.config(node)) not in ("", *row.configs):
        message = f"ConfigMap {namespace}/{name} lacks {config}, the label of node {node.name}"
        return Verdict(node.name, Reason.ConfigMapIncomplete, message)
    return None
