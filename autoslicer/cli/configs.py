"""`autoslicer configs init`: the ConfigMap for our layouts, and how the operator is switched over to it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autoslicer.cli import output
from autoslicer.cli.failures import CommandError
from autoslicer.cli.live import ContextOption, KubeconfigOption, RefusedError, Session, session
from autoslicer.cli.output import DataFormat, say
from autoslicer.cli.wording import examples, number
from autoslicer.core import names

if TYPE_CHECKING:
    from autoslicer.core.rows import ConfigEntry

KEY = "config.yaml"
"""the key that mig-manager reads"""
CLUSTER_POLICIES = "/apis/nvidia.com/v1/clusterpolicies"
FEW = 3

configs = typer.Typer(help="The ConfigMap with our mig-parted configs.")


@configs.callback()
def _group() -> None:
    """The ConfigMap with our mig-parted configs."""


@configs.command()
def init(
    namespace: Annotated[
        str, typer.Option("-n", "--namespace", help="The namespace of the GPU Operator.")
    ] = names.DEFAULT_OPERATOR_NAMESPACE,
    name: Annotated[
        str, typer.Option(help="The ConfigMap's name, as the policy's layouts.configMap has it.")
    ] = "autoslicer-mig-parted-config",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the ConfigMap instead of creating it.")
    ] = False,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
) -> None:
    """Create the ConfigMap that autoslicer adds its layouts to, as a copy of the operator's default one.

    It is not created where a node uses a config that it would not have: mig-manager would fail there. Nothing
    else is changed; the command that switches the operator over is printed.
    """
    from autoslicer.cluster import paths

    with session(kubeconfig, context) as cluster:
        present = cluster.get(_path(namespace, name))
        wanted = present or _copy(cluster, namespace, name)
        _refuse_missing(cluster, wanted)
        if present:
            say(f"configmap/{name} is in namespace {namespace} already; nothing was added")
        elif dry_run:
            output.data(wanted, DataFormat.YAML)
        else:
            cluster.create(paths.config_maps(namespace), wanted)
            output.write(f"configmap/{name} created\n")
        say(_switch(cluster, name))


def _copy(cluster: Session, namespace: str, name: str) -> dict[str, Any]:
    """Our ConfigMap with the configs of the operator's default one, or with those that it ships."""
    from autoslicer.core.configs import DEFAULTS, render

    default = cluster.get(_path(namespace, names.DEFAULT_OPERATOR_CONFIGMAP))
    text = render(DEFAULTS) if default is None else default.get("data", {}).get(KEY, "")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "labels": {"app.kubernetes.io/managed-by": "autoslicer"},
        },
        "data": {KEY: text},
    }


def _refuse_missing(cluster: Session, config_map: Mapping[str, Any]) -> None:
    """Refuse where a node would lose its config.

    Raises:
        CommandError: a label names a config that is not there, or mig-parted would refuse the ConfigMap.
    """
    called = f"ConfigMap {config_map['metadata']['namespace']}/{config_map['metadata']['name']}"
    known = _configs(called, config_map)
    lacking: dict[str, list[str]] = {}
    for node in cluster.items("/api/v1/nodes"):
        used = node["metadata"].get("labels", {}).get(names.MIG_CONFIG, "")
        if used and used not in known:
            lacking.setdefault(used, []).append(node["metadata"]["name"])
    if lacking:
        told = "; ".join(
            f"{used} (node {examples(sorted(nodes), FEW)})" for used, nodes in sorted(lacking.items())
        )
        raise CommandError(
            f"{called} would lack {number(len(lacking), 'config')} that nodes use: {told}; they must be in "
            f"the data.{KEY} of ConfigMap {names.DEFAULT_OPERATOR_CONFIGMAP}, or of this one, first"
        )


def _configs(called: str, config_map: Mapping[str, Any]) -> Mapping[str, Iterable[ConfigEntry]]:
    from autoslicer.core.configs import parse

    try:
        return parse(config_map.get("data", {}).get(KEY, ""))
    except ValueError as error:
        raise CommandError(f"{called}: data.{KEY}: {error}") from None


def _switch(cluster: Session, name: str) -> str:
    """The one command that is left to the administrator, or that it is not needed any more."""
    policy = next(iter(_cluster_policies(cluster)), {})
    called = policy.get("metadata", {}).get("name", "cluster-policy")
    manager = policy.get("spec", {}).get("migManager", {})
    if manager.get("config", {}).get("name") == name:
        return f"ClusterPolicy {called} names {name}: the operator uses it"
    patch = json.dumps({"spec": {"migManager": {"config": {"name": name}}}})
    return (
        "this switches the operator over; mig-manager then restarts on every node and applies its label:\n"
        f"  kubectl patch clusterpolicies.nvidia.com {called} --type merge -p {shlex.quote(patch)}"
    )


def _cluster_policies(cluster: Session) -> list[dict[str, Any]]:
    try:
        return cluster.items(CLUSTER_POLICIES)
    except RefusedError:
        return []  # without the right to look, or the operator, the usual name stands


def _path(namespace: str, name: str) -> str:
    from autoslicer.cluster import paths

    return paths.one(paths.config_maps(namespace), name)
