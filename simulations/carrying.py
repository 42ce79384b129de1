"""Carries out the core's actions on the virtual cluster, each under its precondition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from autoslicer.core import names
from autoslicer.core.actions import (
    Action,
    AddTaint,
    CreateChange,
    DeleteChange,
    DeletePod,
    Evict,
    Nominate,
    NoteOnNode,
    PolicyStatus,
    Publish,
    RemoveTaint,
    Report,
    RestoreClients,
    SetConfig,
    TouchPod,
    WakeAt,
    WriteChangeStatus,
)
from autoslicer.core.changes import marks
from autoslicer.core.rows import Condition, NodeRow, Taint
from simulations.successor import evict
from simulations.world import Conflict, World


def carry_out(world: World, action: Action) -> None:
    """Do what the action says; a WakeAt asks for nothing here.

    Raises:
        Conflict: the object is no longer as the action expects it.
    """
    match action:
        case CreateChange():
            _create_change(world, action)
        case DeleteChange():
            _delete_change(world, action)
        case WriteChangeStatus():
            _write_status(world, action)
        case AddTaint():
            _add_taint(world, action)
        case RemoveTaint():
            _remove_taint(world, action)
        case DeletePod():
            _delete_pod(world, action)
        case NoteOnNode():
            _note(world, action)
        case Publish():
            _publish(world, action)
        case TouchPod():
            _touch(world, action)
        case SetConfig():
            _set_config(world, action)
        case RestoreClients():
            _restore_clients(world, action)
        case PolicyStatus():
            _policy_status(world, action)
        case Report():
            world.report(action)
        case Evict():
            _evict(world, action)
        case Nominate():
            _nominate(world, action)
        case WakeAt():
            pass


def _create_change(world: World, action: CreateChange) -> None:
    # another creator was first: that is the fence, and no error
    if action.change.name not in world.changes:
        world.write(replace(action.change, uid=f"change-{action.change.name}", created=world.stamp()))


def _delete_change(world: World, action: DeleteChange) -> None:
    change = world.changes.get(action.name)
    if change is not None and change.uid == action.uid:
        world.delete(change)


def _write_status(world: World, action: WriteChangeStatus) -> None:
    change = world.changes.get(action.name)
    if change is None:
        raise Conflict(f"change {action.name} is gone")
    world.write(replace(change, status=action.status), expect=action.resource_version)


def _add_taint(world: World, action: AddTaint) -> None:
    node = _node(world, action.node)
    taint = Taint(names.TAINT, action.value, "NoSchedule")
    marked = _annotated(node, marks.setting(action.marks))
    world.write(replace(marked, taints=(*_foreign(node), taint)), expect=action.resource_version)


def _remove_taint(world: World, action: RemoveTaint) -> None:
    node = _node(world, action.node)
    unmarked = _annotated(node, marks.removing(action.marks))
    world.write(replace(unmarked, taints=_foreign(node)), expect=action.resource_version)


def _delete_pod(world: World, action: DeletePod) -> None:
    pod = world.pods.get(f"{action.namespace}/{action.name}")
    if pod is not None and pod.uid == action.uid:
        world.delete(pod)


def _note(world: World, action: NoteOnNode) -> None:
    node = _node(world, action.node)
    noted = _annotated(node, {action.annotation: action.value or None})
    world.write(noted, expect=action.resource_version)


def _publish(world: World, action: Publish) -> None:
    row = world.config_maps.get((action.namespace, action.name))
    if row is None or row.configs is None:
        raise Conflict(f"ConfigMap {action.namespace}/{action.name} is gone")
    world.write(replace(row, configs={**action.configs, **row.configs}))


def _touch(world: World, action: TouchPod) -> None:
    pod = world.pods.get(f"{action.namespace}/{action.name}")
    if pod is None:
        raise Conflict(f"pod {action.namespace}/{action.name} is gone")
    world.write(replace(pod, published=action.value))


def _evict(world: World, action: Evict) -> None:
    """The pods go at once, and their controllers make others."""
    for leaver in action.pods:
        pod = world.pods.get(f"{leaver.namespace}/{leaver.name}")
        if pod is None or pod.uid != leaver.uid:
            raise Conflict(f"pod {leaver.namespace}/{leaver.name} is gone")
        evict(world, pod)


def _nominate(world: World, action: Nominate) -> None:
    pod = world.pods.get(f"{action.namespace}/{action.name}")
    if pod is None or (pod.uid, pod.node, pod.nominated) != (action.uid, "", action.before):
        raise Conflict(f"pod {action.namespace}/{action.name} is bound, has another hint, or is gone")
    world.write(replace(pod, nominated=action.node))


def _set_config(world: World, action: SetConfig) -> None:
    node = _node(world, action.node)
    labels = {**node.labels, names.MIG_CONFIG: action.config, names.MIG_CONFIG_STATE: "pending"}
    annotations = {**node.annotations, names.APPLIED_CONFIG: action.config}
    world.write(replace(node, labels=labels, annotations=annotations), expect=action.resource_version)


def _restore_clients(world: World, action: RestoreClients) -> None:
    node = _node(world, action.node)
    labels = {**node.labels, **dict.fromkeys(action.clients, "true")}
    world.write(replace(node, labels=labels), expect=action.resource_version)


def _policy_status(world: World, action: PolicyStatus) -> None:
    """Written only where something other than a time differs."""
    policy = world.policies.get(action.name)
    if policy is not None and _timeless(policy.conditions) != _timeless(action.conditions):
        world.write(replace(policy, conditions=action.conditions))


def _node(world: World, name: str) -> NodeRow:
    node = world.nodes.get(name)
    if node is None:
        raise Conflict(f"node {name} is gone")
    return node


def _foreign(node: NodeRow) -> tuple[Taint, ...]:
    """The node's taints that are not ours."""
    return tuple(taint for taint in node.taints if taint.key != names.TAINT)


def _annotated(node: NodeRow, annotations: Mapping[str, str | None]) -> NodeRow:
    """The node with these annotations; None takes one away."""
    found = {**node.annotations, **annotations}
    return replace(node, annotations={key: value for key, value in found.items() if value is not None})


def _timeless(conditions: tuple[Condition, ...]) -> list[Condition]:
    return [replace(condition, since=0.0) for condition in conditions]
