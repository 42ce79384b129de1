"""`make cluster`: a test cluster to play with, until Ctrl-C."""

from __future__ import annotations

import signal
import sys

from tests.cluster import tools
from tests.cluster.fixture import Cluster
from tests.cluster.tools import ToolError


def main() -> None:
    """Start a cluster with two nodes and twelve pods that wait, and print how to reach it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        cluster = Cluster()
    except ToolError as error:
        sys.exit(str(error))
    try:
        cluster.start()
        for name in ("gpu-a", "gpu-b"):
            cluster.gpu_node(name)
        for number in range(10):
            cluster.pod(f"small-{number}", {"1g.10gb": 1}, namespace="default")
        for number in range(2):
            cluster.pod(f"large-{number}", {"3g.40gb": 1}, namespace="default")
        print(f"export KUBECONFIG={cluster.kubeconfig}", flush=True)
        print(
            "Two nodes of 2 x H100-80GB at all-7g.80gb; twelve pods wait. kubectl is "
            f"{tools.path('kubectl')}. Ctrl-C stops everything.",
            file=sys.stderr,
        )
        while True:
            signal.pause()
    except KeyboardInterrupt:
        print("stopping", file=sys.stderr)
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
