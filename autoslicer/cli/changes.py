"""`autoslicer approve` and `autoslicer adopt`: the two decisions that are left to a human."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from autoslicer.cli.failures import BadInputError, CommandError, ExitCode
from autoslicer.cli.live import ContextOption, KubeconfigOption, Session, session
from autoslicer.cli.output import say, write
from autoslicer.core import names

_CHANGE_KINDS = ("migrc", "migreconfiguration", "migreconfigurations")
_NODE_KINDS = ("node", "nodes", "no")


def approve(
    changes: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names of MigReconfigurations.")],
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
) -> int:
    """Let MigReconfigurations start that wait for approval, as they do in mode Recommend."""
    wanted = [_named(change, _CHANGE_KINDS) for change in changes]
    with session(kubeconfig, context) as cluster:
        ended = [name for name in wanted if not _approve(cluster, name)]
    return ExitCode.FAILURE if ended else ExitCode.OK


def adopt(
    node: Annotated[str, typer.Argument(metavar="node/NAME", help="The node to take over.")],
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
) -> None:
    """Take over a node whose label nvidia.com/mig.config someone else has set since.

    Such a node is refused as ForeignOwner. Adopting it removes the annotation autoslicer.dev/applied-config,
    so that the present label counts as the state to start from. The label and the GPUs stay as they are.
    """
    from autoslicer.cluster import paths

    name = _named(node, _NODE_KINDS)
    path = paths.one(paths.NODES, name)
    with session(kubeconfig, context) as cluster:
        found = cluster.get(path)
        if found is None:
            raise CommandError(f"node {name} is not in the cluster")
        metadata = found["metadata"]
        version = metadata["resourceVersion"]
        applied = metadata.get("annotations", {}).get(names.APPLIED_CONFIG)
        label = metadata.get("labels", {}).get(names.MIG_CONFIG, "")
        if applied is None:
            say(f"node/{name} has no annotation {names.APPLIED_CONFIG}: it is open to the policies as it is")
            return
        removed = {"resourceVersion": version, "annotations": {names.APPLIED_CONFIG: None}}
        cluster.patch(path, {"metadata": removed})
    write(f"node/{name} adopted: {names.MIG_CONFIG}={label} is its present state (ours was {applied})\n")


def _approve(cluster: Session, name: str) -> bool:
    """Whether the change is approved now; what is said of it goes out here."""
    from autoslicer.cluster import paths

    path = paths.one(paths.CHANGES, name)
    change = cluster.get(path)
    if change is None:
        raise CommandError(f"no MigReconfiguration {name} is in the cluster; `kubectl get migrc` lists them")
    if end := _end(change):
        say(f"error: MigReconfiguration {name} has ended ({end}); there is nothing to approve")
        return False
    if change["spec"].get("approved"):
        say(f"MigReconfiguration {name} is approved already")
        return True
    version = change["metadata"]["resourceVersion"]
    metadata = {"resourceVersion": version, "annotations": {names.APPROVED_BY: cluster.user()}}
    cluster.patch(path, {"metadata": metadata, "spec": {"approved": True}})
    write(f"migreconfiguration.{names.GROUP}/{name} approved\n")
    return True


def _end(change: dict[str, Any]) -> str:
    """Phase and reason of a change that has ended, or nothing."""
    from autoslicer.core.phases import FINAL

    status = change.get("status", {})
    if status.get("phase") not in FINAL:
        return ""
    reasons = [
        condition.get("reason", "")
        for condition in status.get("conditions", [])
        if condition.get("type") == "Succeeded"
    ]
    return ": ".join([status["phase"], *filter(None, reasons)])


def _named(argument: str, kinds: tuple[str, ...]) -> str:
    """The name in NAME or KIND/NAME."""
    kind, slash, name = argument.rpartition("/")
    if slash and kind.lower().partition(".")[0] not in kinds:
        raise BadInputError(f"{argument} is no {kinds[0]}; it should read {kinds[0]}/NAME")
    if not name or "/" in name:
        raise BadInputError(f"{argument!r} names no {kinds[0]}")
    return name
