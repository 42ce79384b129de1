"""Publishing a config: what is left to do, and from when on mig-manager can be trusted to read it."""

from __future__ import annotations

from dataclasses import replace

from autoslicer.core import gpu_operator, names
from autoslicer.core.actions import Action, Publish, TouchPod, WakeAt
from autoslicer.core.configs import entries_of, render
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from autoslicer.core.times import rfc3339, seconds
from autoslicer.core.transition import condition, with_condition

CONFIG_MAP_LIMIT = 1024 * 1024
"""bytes; the API server stores no larger ConfigMap"""
UNTOUCHED_SECONDS = 90.0
"""until a running pod's file follows its ConfigMap: the kubelet's sync period and the age of its cache"""
PUBLISHED = "Published"
"""the condition that keeps since when the ConfigMap has the config, where mig-manager's pod is not touched"""


def full(change: ReconfigurationRow, snapshot: Snapshot) -> Verdict | None:
    """Why the config does not fit into the ConfigMap any more; None where it does, or is there already.

    The policy and its ConfigMap are in the snapshot.
    """
    where, entries = (
        snapshot.config_maps[snapshot.policies[change.policy].config_map],
        entries_of(change.gpus),
    )
    if change.target in (where.configs or ()):
        return None
    if where.size + len(render({change.target: entries}).encode()) < CONFIG_MAP_LIMIT:
        return None
    message = (
        f"ConfigMap {where.namespace}/{where.name} would pass {CONFIG_MAP_LIMIT} bytes; "
        "remove configs that no node uses"
    )
    return Verdict(change.node, Reason.ConfigMapFull, message)


def outstanding(
    change: ReconfigurationRow, snapshot: Snapshot, now: float, *, touchable: bool
) -> tuple[Action, ...]:
    """What is still to do until mig-manager's file holds the config: the ConfigMap, then a touch of its pod.

    The kubelet projects a changed ConfigMap within a minute or two, and at once where an annotation of the
    pod changes. A touch from before the config was published has projected a file without it, so that
    publishing always comes with a touch, where the pod may be touched. The policy is in the snapshot.
    """
    if published(change, snapshot) and (not touchable or touched(change, snapshot) is not None):
        return ()
    config_map, entries = snapshot.policies[change.policy].config_map, entries_of(change.gpus)
    publish = () if published(change, snapshot) else (Publish(*config_map, {change.target: entries}),)
    pod = gpu_operator.mig_manager(snapshot, change.node)
    if pod is None or not touchable:
        return publish
    touch = TouchPod(pod.namespace, pod.name, pod.uid, names.PUBLISHED, f"{change.target}@{rfc3339(now)}")
    return (*publish, touch)


def awaited(
    change: ReconfigurationRow, snapshot: Snapshot, now: float, settle: float, *, touchable: bool
) -> tuple[Action, ...]:
    """What is to be done, or the time to wait for, until mig-manager can read the config; empty once it can.

    Args:
        change: that is being published, as `noted` gives it.
        snapshot: the cluster, with the policy of the change.
        now: seconds since the epoch.
        settle: seconds from the touch until the file is trusted.
        touchable: mig-manager's pod may be touched; else the kubelet's own time is waited for.
    """
    if todo := outstanding(change, snapshot, now, touchable=touchable):
        return todo
    at = touched(change, snapshot)
    if at is None:
        seen = condition(change.status, PUBLISHED)
        at, settle = (now if seen is None else seen.since), UNTOUCHED_SECONDS
    return () if now >= at + settle else (WakeAt(at + settle),)


def noted(
    change: ReconfigurationRow, snapshot: Snapshot, now: float, *, touchable: bool
) -> ReconfigurationRow:
    """The change with a note of since when the ConfigMap has its config, where no touch tells that."""
    if touchable or touched(change, snapshot) is not None:
        return change
    value = "True" if published(change, snapshot) else "False"
    message = "mig-manager's pod may not be touched; the kubelet brings the config in its own time"
    status = with_condition(change.status, PUBLISHED, value, "NotTouched", message, now)
    return replace(change, status=status)


def published(change: ReconfigurationRow, snapshot: Snapshot) -> bool:
    """The ConfigMap has the config of the change under its name. The policy is in the snapshot."""
    where = snapshot.config_maps.get(snapshot.policies[change.policy].config_map)
    return where is not None and (where.configs or {}).get(change.target) == entries_of(change.gpus)


def touched(change: ReconfigurationRow, snapshot: Snapshot) -> float | None:
    """When the node's mig-manager pod was touched for this config (seconds), or None."""
    pod = gpu_operator.mig_manager(snapshot, change.node)
    config, _, at = (pod.published if pod else "").partition("@")
    if config != change.target:
        return None
    try:
        return seconds(at)
    except ValueError:
        return None
