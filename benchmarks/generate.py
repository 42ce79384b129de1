"""Writes a seeded cluster as the dump that `autoslicer plan -f` reads.

`python -m benchmarks.generate overload --size 100/2000 --seed 1 > dump.json`; the same arguments give the
same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import IO

from benchmarks import hardware, objects, workload
from benchmarks.objects import Object
from benchmarks.scenarios import SCENARIOS, SIZES, Scenario, Size, size


def items(
    scenario: Scenario, extent: Size, seed: int, *, agents: bool = True, padded: bool = False
) -> Iterator[Object]:
    """The objects of the cluster: nodes, MigNodes, pods that run and pods that wait.

    Args:
        scenario: how it is drawn.
        extent: how many nodes and pending pods.
        seed: another seed gives another cluster of the same kind.
        agents: each node has a MigNode, so that idle GPUs of a busy node may change.
        padded: objects weigh as much as live ones.
    """
    weigh = objects.padded if padded else lambda item: item
    rng = Random(f"{scenario.name} {extent} {seed}")
    cluster = list(hardware.nodes(scenario, extent.nodes, agents, rng))
    for drawn in cluster:
        yield weigh(objects.node(drawn))
    for drawn in cluster if agents else ():
        yield weigh(objects.mignode(drawn))
    for drawn in cluster:
        yield from map(weigh, objects.tenants(drawn))
    for pod in workload.pods(scenario, extent.pods, rng):
        yield weigh(objects.pending(pod))


def newcomers(
    kind: str, scenario: Scenario, left: Mapping[str, int], count: int, seed: int
) -> Iterator[Object]:
    """Pods that come to a cluster that has been planned for, as `workload.newcomers` draws them."""
    rng = Random(f"{scenario.name} {kind} {seed}")
    yield from map(objects.pending, workload.newcomers(kind, scenario, left, count, rng))


def document(
    scenario: Scenario, extent: Size, seed: int, *, agents: bool = True, padded: bool = False
) -> Object:
    """The whole List, as `items` draws it."""
    found = list(items(scenario, extent, seed, agents=agents, padded=padded))
    return {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": found}


def write(stream: IO[str], found: Iterator[Object]) -> None:
    """Write a List of these objects, one a line, without holding more than one of them."""
    stream.write('{"apiVersion":"v1","kind":"List","metadata":{"resourceVersion":""},"items":[')
    for position, item in enumerate(found):
        stream.write(",\n" if position else "\n")
        stream.write(json.dumps(item, separators=(",", ":")))
    stream.write("\n]}\n")


def main() -> None:
    known = "\n".join(f"  {s.name:18} {s.about}; {s.pods_per_node} pods a node" for s in SCENARIOS.values())
    sizes = ", ".join(map(str, SIZES))
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.generate",
        description="Write a seeded cluster as a Kubernetes List.",
        epilog=f"scenarios:\n{known}\n\nsizes with goals: {sizes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenario", choices=SCENARIOS, metavar="SCENARIO")
    parser.add_argument("--size", default="100", metavar="NODES[/PODS]", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument(
        "--no-agents", action="store_true", help="no MigNodes: a node in use is in use as a whole"
    )
    parser.add_argument("--padded", action="store_true", help="objects of 8 kB, as live ones are")
    parser.add_argument("--output", default="-", metavar="FILE", help="default: stdout")
    given = parser.parse_args()
    scenario = SCENARIOS[given.scenario]
    try:
        extent = size(given.size, scenario)
    except ValueError as error:
        parser.error(str(error))
    found = items(scenario, extent, given.seed, agents=not given.no_agents, padded=given.padded)
    if given.output == "-":
        write(sys.stdout, found)
        return
    with Path(given.output).open("w", encoding="utf-8") as stream:
        write(stream, found)


if __name__ == "__main__":
    main()
