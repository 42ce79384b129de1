"""`make cluster`: a test cluster to play with, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import yaml

from tests.cluster import tools
from tests.cluster.fixture import Cluster
from tests.cluster.toolchain import ToolError, say
from tests.e2e.controller import DEPLOY, NAMESPACE, install

NEXT = """
export KUBECONFIG={kubeconfig}
export PATH="{binaries}:$PATH"

Two nodes of 2 x H100-80GB at all-7g.80gb; ten pods wait for 1g.10gb and two for 3g.40gb. In other terminals,
after the two lines above:

  kubectl get pods,nodes -o wide
  {autoslicer} plan                # what it would do
  {autoslicer} configs init        # prints a kubectl patch: type that, too
  kubectl apply -f {policy}
  {autoslicer} run --metrics-address 127.0.0.1:8080 --kubeconfig {account}
  kubectl get migreconfigurations -w

The logs are in {directory}. Ctrl-C stops everything.
"""


def main() -> None:
    """Start a cluster with our resources, two nodes and twelve waiting pods; print what to type next."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    cluster: Cluster | None = None
    try:
        cluster = Cluster()
        fill(cluster)
        print(NEXT.format(**words(cluster)), flush=True)
        while True:
            signal.pause()
    except ToolError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        say("\nstopping")
    finally:
        # one Ctrl-C may come twice, from the terminal and from the command that started us
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if cluster is not None:
            cluster.stop()


def fill(cluster: Cluster) -> None:
    """Everything that a user has before the controller starts."""
    say("starting etcd, kube-apiserver, kube-scheduler and kube-controller-manager ...")
    cluster.start()
    say("installing our resources and rights ...")
    install(cluster)
    for name in ("gpu-a", "gpu-b"):
        say(f"starting node {name} ...")
        cluster.gpu_node(name)
    for number in range(10):
        cluster.pod(f"small-{number}", {"1g.10gb": 1}, namespace="default")
    for number in range(2):
        cluster.pod(f"large-{number}", {"3g.40gb": 1}, namespace="default")


def words(cluster: Cluster) -> dict[str, object]:
    """What the text leaves open."""
    return {
        "kubeconfig": cluster.kubeconfig,
        "binaries": tools.path("kubectl").parent,
        "autoslicer": os.path.relpath(Path(sys.executable).with_name("autoslicer")),
        "policy": impatient_policy(cluster.directory / "policy.yaml"),
        "account": cluster.control_plane.service_account(NAMESPACE, "autoslicer"),
        "directory": cluster.directory,
    }


def impatient_policy(file: Path) -> Path:
    """The example policy, but one that acts at once and by itself."""
    policy = yaml.safe_load((DEPLOY / "examples" / "policy.yaml").read_text())
    policy["spec"]["mode"] = "Auto"
    policy["spec"]["trigger"] = {"pendingSeconds": 1, "batchIdleSeconds": 1, "batchMaxSeconds": 1}
    policy["spec"]["disruption"] = {"budgets": [{"nodes": "100%"}], "cooldownSeconds": 0, "canary": False}
    file.write_text(yaml.safe_dump(policy, sort_keys=False))
    return file


if __name__ == "__main__":
    main()
