"""Publishing a config: what is left to do, and from when on mig-manager can be trusted to read it."""

from __future__ import annotations

from dataclasses import replace

from autoslicer.core import names
from autoslicer.core.actions import Action, Publish, TouchPod, WakeAt
from autoslicer.core.changes.attempts import Config
from autoslicer.core.changes.transition import with_condition
from autoslicer.core.configs import render
from autoslicer.core.nodes import gpu_operator
from autoslicer.core.phases import condition
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ConfigMapRow, ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from autoslicer.core.times import rfc3339, seconds

CONFIG_MAP_LIMIT = 1024 * 1024
"""bytes; the API server stores no larger ConfigMap"""
UNTOUCHED_SECONDS = 90.0
"""until a running pod's file follows its ConfigMap: the kubelet's sync period and the age of its cache"""
PUBLISHED = "Published"
"""the condition that keeps since when the ConfigMap has the config, where mig-manager's pod is not touched"""


def config_map(change: ReconfigurationRow, snapshot: Snapshot) -> ConfigMapRow | None:
    """The ConfigMap of the change's policy; where that is gone, the one with the config that it asked for."""
    policy = snapshot.policies.get(change.policy)
    if policy is not None:
        return snapshot.config_maps.get(policy.config_map)
    pod = gpu_operator.mig_manager(snapshot, change.node)
    mounted = None if pod is None else snapshot.config_maps.get((pod.namespace, pod.config_map))
    return mounted if mounted is not None and change.target in (mounted.configs or ()) else None


def full(change: ReconfigurationRow, config: Config, snapshot: Snapshot) -> Verdict | None:
    """Why the config does not fit into the ConfigMap any more; None where it does, or is there already."""
    where = config_map(change, snapshot)
    if where is None or config.name in (where.configs or ()):
        return None
    if where.size + len(render({config.name: config.entries}).encode()) < CONFIG_MAP_LIMIT:
        return None
    message = (
        f"ConfigMap {where.namespace}/{where.name} would pass {CONFIG_MAP_LIMIT} bytes; "
        "remove configs that no node uses"
    )
    return Verdict(change.node, Reason.ConfigMapFull, message)


def outstanding(
    change: ReconfigurationRow, config: Config, snapshot: Snapshot, now: float, *, touchable: bool
) -> tuple[Action, ...]:
    """What is still to do until mig-manager's file holds the config: the ConfigMap, then a touch of its pod.

    The kubelet projects a changed ConfigMap within a minute or two, and at once where an annotation of the
    pod changes. A touch from before the config was published has projected a file without it, so that
    publishing always comes with a touch, where the pod may be touched.
    """
    there = published(change, config, snapshot)
    if there and (not touchable or touched(change, config, snapshot) is not None):
        return ()
    where = config_map(change, snapshot)
    if where is None:
        return ()
    publish = () if there else (Publish(where.namespace, where.name, {config.name: config.entries}),)
    pod = gpu_operator.mig_manager(snapshot, change.node)
    if pod is None or not touchable:
        return publish
    touch = TouchPod(pod.namespace, pod.name, pod.uid, names.PUBLISHED, f"{config.name}@{rfc3339(now)}")
    return (*publish, touch)


def awaited(
    change: ReconfigurationRow,
    config: Config,
    snapshot: Snapshot,
    now: float,
    settle: float,
    *,
    touchable: bool,
) -> tuple[Action, ...]:
    """What is to be done, or the time to wait for, until mig-manager can read the config; empty once it can.

    Args:
        change: that is being published, as `noted` gives it.
        config: to publish.
        snapshot: the cluster.
        now: seconds since the epoch.
        settle: seconds from the touch until the file is trusted.
        touchable: mig-manager's pod may be touched; else the kubelet's own time is waited for.
    """
    if todo := outstanding(change, config, snapshot, now, touchable=touchable):
        return todo
    if gpu_operator.mig_manager(snapshot, change.node) is None:
        # the file of a pod that is yet to come is projected when it starts
        return ()
    at = touched(change, config, snapshot)
    if at is None:
        seen = condition(change.status, PUBLISHED)
        at, settle = (now if seen is None else seen.since), UNTOUCHED_SECONDS
    return () if now >= at + settle else (WakeAt(at + settle),)


def noted(
    change: ReconfigurationRow, config: Config, snapshot: Snapshot, now: float, *, touchable: bool
) -> ReconfigurationRow:
    """The change with a note of since when the ConfigMap has its config, where no touch tells that."""
    if touchable or touched(change, config, snapshot) is not None:
        return change
    value = "True" if published(change, config, snapshot) else "False"
    message = "mig-manager's pod may not be touched; the kubelet brings the config in its own time"
    status = with_condition(change.status, PUBLISHED, value, "NotTouched", message, now)
    return replace(change, status=status)


def published(change: ReconfigurationRow, config: Config, snapshot: Snapshot) -> bool:
    """The ConfigMap has the config under its name."""
    where = config_map(change, snapshot)
    return where is not None and (where.configs or {}).get(config.name) == config.entries


def touched(change: ReconfigurationRow, config: Config, snapshot: Snapshot) -> float | None:
    """When the node's mig-manager pod was touched for this config (seconds), or None."""
    pod = gpu_operator.mig_manager(snapshot, change.node)
    name, _, at = (pod.published if pod else "").partition("@")
    if name != config.name:
        return None
    try:
        return seconds(at)
    except ValueError:
        return None
