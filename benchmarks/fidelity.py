"""Whether pods get the slices that were cut for them, beside older rivals, with and without hints.

`python -m benchmarks.fidelity [--rounds N] [--nodes N] [--seed N] [--only hints|plain] [-o json]`: in each
round every node is cut anew for one pod, by the real controller on the real control plane with the real
kube-scheduler. Three times as many pods ask for the same slices; they are older, of equal or lower priority,
and opted out of autoslicer, so that nothing is cut for them. Only mig-manager and the device plugin are
played; see `coming_back`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import time
from dataclasses import asdict, dataclass

from benchmarks.coming_back import APART_SECONDS, ComingBack, node
from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until
from tests.e2e.controller import CHANGES, POLICIES, Controller, changes, configure, install, policy

WANTED = {"7g.80gb": 1}
RIVALS_PER_NODE = 3
LOWER = -10
"""the priority of every third rival; all others have the promised pods' own"""
SETTINGS = {
    "AUTOSLICER_PUBLISH_SETTLE_SECONDS": "0.2",
    "AUTOSLICER_IDLE_CONFIRM_SECONDS": "0.2",
    "AUTOSLICER_STARTS_PER_MINUTE": "1000",
    "AUTOSLICER_LEASE_DURATION_SECONDS": "60",
    "AUTOSLICER_RENEW_DEADLINE_SECONDS": "40",
}


@dataclass(frozen=True, slots=True)
class Round:
    """What one round came to.

    Attributes:
        hints: pods were nominated.
        promised: pods that a change was made for.
        right: of them, those that were bound to the node of their change.
        elsewhere: of them, those that were bound to another node.
        unbound: of them, those that were not bound.
        rivals: rivals that were bound to a node that was cut for another pod.
        closest: seconds between the two nodes that came back closest to each other.
        seconds: that the round took.
    """

    hints: bool
    promised: int
    right: int
    elsewhere: int
    unbound: int
    rivals: int
    closest: float
    seconds: float


def play(
    cluster: Cluster,
    number: int,
    nodes: int,
    seed: int,
    *,
    hints: bool,
    longest_run: float,
    rivals_per_node: int = RIVALS_PER_NODE,
) -> Round:
    """One round on a cluster without nodes, pods and changes, with a controller that runs; it is left so."""
    began = time.monotonic()
    cluster.api.patch(f"{POLICIES}/default", {"spec": {"scheduling": {"nominate": hints}}})
    for n in range(nodes):
        cluster.api.create("/api/v1/nodes", node(f"gpu-{number}-{n}"))
    rivals = [
        cluster.pod(
            f"rival-{number}-{n}",
            WANTED,
            annotations={"autoslicer.dev/ignore": "true"},
            priority=LOWER if n % 3 == 2 else 0,
        )
        for n in range(rivals_per_node * nodes)
    ]
    cluster.wait_unschedulable(rivals, 60)
    coming_back = ComingBack(cluster.api, seed, longest_run)
    try:
        time.sleep(1 + random.Random(seed).random())  # times of creation are whole seconds
        pods = [cluster.pod(f"pod-{number}-{n}", WANTED) for n in range(nodes)]
        until(lambda: len(coming_back.ready) == nodes, 60 + 10 * nodes, cluster.describe)
        until(lambda: len(_bound(cluster)) >= nodes, 30, cluster.describe)
        return _result(cluster, coming_back, pods, hints=hints, seconds=time.monotonic() - began)
    finally:
        coming_back.stop()
        _clear(cluster)


def _bound(cluster: Cluster) -> dict[str, str]:
    """The node of each bound pod."""
    return {
        f"{cluster.namespace}/{pod['metadata']['name']}": pod["spec"]["nodeName"]
        for pod in cluster.pods()
        if pod["spec"].get("nodeName")
    }


def _result(
    cluster: Cluster, coming_back: ComingBack, pods: list[str], *, hints: bool, seconds: float
) -> Round:
    promised = {
        pod: change["spec"]["node"]["name"] for change in changes(cluster) for pod in change["spec"]["serves"]
    }
    bound, times = _bound(cluster), sorted(coming_back.ready.values())
    right = sum(bound.get(pod) == promised.get(pod, "none") for pod in pods)
    got = sum(pod in bound for pod in pods)
    return Round(
        hints=hints,
        promised=len(pods),
        right=right,
        elsewhere=got - right,
        unbound=len(pods) - got,
        rivals=len(bound) - got,
        closest=round(min((b - a for a, b in itertools.pairwise(times)), default=APART_SECONDS), 2),
        seconds=round(seconds, 1),
    )


def _clear(cluster: Cluster) -> None:
    """Remove pods, nodes and changes."""
    for pod in cluster.pods():
        cluster.api.delete(f"/api/v1/namespaces/{cluster.namespace}/pods/{pod['metadata']['name']}", now=True)
    for change in changes(cluster):
        cluster.api.delete(f"{CHANGES}/{change['metadata']['name']}")
    for found in cluster.api.list("/api/v1/nodes"):
        cluster.remove_node(found["metadata"]["name"])
    until(lambda: not cluster.pods() and not changes(cluster), 30, cluster.describe)


def prepare(cluster: Cluster) -> Controller:
    """Our ConfigMap and a policy, and a controller that leads."""
    configure(cluster)
    policy(cluster)
    controller = Controller(cluster, SETTINGS)
    controller.start()
    return controller


def table(rounds: list[Round]) -> str:
    """The sums over all rounds, with and without hints."""
    lines = [
        f"{'':<14}{'pods':>6}{'promised node':>15}{'elsewhere':>11}{'not bound':>11}{'rivals bound':>14}"
    ]
    for hints in (True, False):
        rows = [row for row in rounds if row.hints is hints]
        if rows:
            promised, right = sum(row.promised for row in rows), sum(row.right for row in rows)
            rest = [sum(getattr(row, name) for row in rows) for name in ("elsewhere", "unbound", "rivals")]
            name = "with hints" if hints else "without hints"
            share = f"{right} ({100 * right / promised:.1f} %)"
            lines.append(f"{name:<14}{promised:>6}{share:>15}{rest[0]:>11}{rest[1]:>11}{rest[2]:>14}")
    lines.append(f"closest nodes: {min(row.closest for row in rounds):.2f} s apart")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20, help="each with and without hints")
    parser.add_argument("--nodes", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("hints", "plain"), help="rounds with hints, or without them")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    cluster, rounds = Cluster(), list[Round]()
    try:
        cluster.start()
        install(cluster)
        controller = prepare(cluster)
        kinds = {"hints": (True,), "plain": (False,), None: (True, False)}[arguments.only]
        turns = itertools.product(range(arguments.rounds), kinds)
        for number, (turn, hints) in enumerate(turns):
            seed, longest = arguments.seed + turn, 2.0 * arguments.nodes
            rounds.append(play(cluster, number, arguments.nodes, seed, hints=hints, longest_run=longest))
            print(rounds[-1], file=sys.stderr, flush=True)
        controller.kill()
    finally:
        cluster.stop()
    if arguments.output == "json":
        print(json.dumps({"benchmark": "fidelity", "rounds": [asdict(row) for row in rounds]}, indent=1))
    else:
        print(table(rounds))


if __name__ == "__main__":
    main()
