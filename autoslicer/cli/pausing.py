"""`autoslicer pause` and `autoslicer resume`: the one stop for everything, without editing a policy."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from autoslicer.cli.failures import CommandError
from autoslicer.cli.live import ContextOption, KubeconfigOption, Session, session
from autoslicer.cli.output import say, write
from autoslicer.core import names
from autoslicer.core.times import rfc3339

NamespaceOption = Annotated[
    str,
    typer.Option(
        "-n", "--namespace", envvar="AUTOSLICER_NAMESPACE", help="Namespace of the controller's Lease."
    ),
]
_NAMESPACE = "autoslicer-system"


def pause(
    reason: Annotated[str, typer.Option(help="Why, for those who find nothing happening.")] = "",
    namespace: NamespaceOption = _NAMESPACE,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
) -> None:
    """Let no change of a layout start anywhere until `autoslicer resume`; those under way are finished.

    Plans and metrics go on, and every policy's condition Ready tells who paused. The controller hears of it
    within a few seconds.
    """
    with session(kubeconfig, context) as cluster:
        path, annotations, _ = _lease(cluster, namespace)
        if (said := annotations.get(names.PAUSE)) is not None:
            say(f"autoslicer in namespace {namespace} is paused already, {said}")
            return
        said = f"since {rfc3339(int(time.time()))} by {cluster.user()}" + (f": {reason}" if reason else "")
        cluster.patch(path, {"metadata": {"annotations": {names.PAUSE: said}}})
    write(f"autoslicer in namespace {namespace} paused: no change starts until `autoslicer resume`\n")


def resume(
    namespace: NamespaceOption = _NAMESPACE, kubeconfig: KubeconfigOption = "", context: ContextOption = ""
) -> None:
    """Let changes start again, after `autoslicer pause` or after so many failures that none starts.

    Changes that failed until now count no more for the circuit breaker (reason CircuitOpen).
    """
    with session(kubeconfig, context) as cluster:
        path, annotations, renewed = _lease(cluster, namespace)
        removed = {names.PAUSE: None, names.RESUMED: renewed}
        cluster.patch(path, {"metadata": {"annotations": removed}})
    was = "" if names.PAUSE in annotations else " (it was not paused)"
    write(f"autoslicer in namespace {namespace} resumed{was}; failures until {renewed} count no more\n")


def _lease(cluster: Session, namespace: str) -> tuple[str, dict[str, str], str]:
    """The Lease's path, its annotations, and when its holder renewed it last by the holder's own clock."""
    from autoslicer.cluster import paths

    path = paths.lease(namespace, names.LEASE)
    found = cluster.get(path)
    if found is None:
        raise CommandError(
            f"there is no Lease {names.LEASE} in namespace {namespace}: no controller has run there; "
            "--namespace tells where it runs"
        )
    renewed = (found.get("spec") or {}).get("renewTime") or rfc3339(int(time.time()))
    return path, found["metadata"].get("annotations") or {}, renewed
