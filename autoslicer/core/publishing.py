"""Publishing a config: what is left to do, and from when on mig-manager can be trusted to read it."""

from __future__ import annotations

from autoslicer.core import gpu_operator, names
from autoslicer.core.actions import Action, Publish, TouchPod, WakeAt
from autoslicer.core.configs import entries_of, render
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from autoslicer.core.times import rfc3339, seconds

CONFIG_MAP_LIMIT = 1024 * 1024
"""bytes; the API server stores no larger ConfigMap"""


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


def outstanding(change: ReconfigurationRow, snapshot: Snapshot, now: float) -> tuple[Action, ...]:
    """What is still to do until mig-manager's file holds the config: the ConfigMap, then a touch of its pod.

    The kubelet projects a changed ConfigMap within a minute or two, and at once where an annotation of the
    pod changes. A touch from before the config was published has projected a file without it, so that
    publishing always comes with a touch. The policy is in the snapshot.
    """
    policy = snapshot.policies[change.policy]
    where, entries = snapshot.config_maps.get(policy.config_map), entries_of(change.gpus)
    published = (
        where is not None and where.configs is not None and where.configs.get(change.target) == entries
    )
    if published and touched(change, snapshot) is not None:
        return ()
    publish = () if published else (Publish(*policy.config_map, {change.target: entries}),)
    pod = gpu_operator.mig_manager(snapshot, change.node)
    if pod is None:
        return publish
    touch = TouchPod(pod.namespace, pod.name, names.PUBLISHED, f"{change.target}@{rfc3339(now)}")
    return (*publish, touch)


def awaited(change: ReconfigurationRow, snapshot: Snapshot, now: float, settle: float) -> tuple[Action, ...]:
    """What is to be done, or the time to wait for, until mig-manager can read the config; empty once it can.

    Args:
        change: that is being published.
        snapshot: the cluster, with the policy of the change.
        now: seconds since the epoch.
        settle: seconds from the touch until the file is trusted.
    """
    if todo := outstanding(change, snapshot, now):
        return todo
    at = touched(change, snapshot)
    trusted = (now if at is None else at) + settle
    return () if at is not None and now >= trusted else (WakeAt(trusted),)


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
