"""The named scenarios: what a cluster holds, what is asked of it, and at which sizes it is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scenario:
    """How a cluster and its demand are drawn.

    Attributes:
        name: what the commands call it.
        about: what makes it hard, in a phrase.
        pods_per_node: pending pods a node, where no number is asked for.
        idle_nodes: the part of the nodes that nothing runs on.
        busy_gpus: on the other nodes, the least and the most part of the GPUs that are in use.
        busy_slices: on a GPU in use, the part of the slices that is held; at least one always is.
        small: the part of the nodes that are cut into the smallest slices, beside those that always are.
        profiles: how often a pod asks for a profile of so many compute slices: (compute slices, weight).
        priorities: that pods and tenants have, each as likely as the next.
        hopeless: the part of the pods that are of one template which asks for eight whole GPUs of a node.
        selective: the part of the templates that may run only on part of the nodes.
        tainted: the part of the nodes that only some templates tolerate.
        cpu_factor: how much more cpu and memory a pod asks for than a share of its node.
        oldest_seconds: the age of the oldest pending pod.
    """

    name: str
    about: str
    pods_per_node: int = 20
    idle_nodes: float = 0.15
    busy_gpus: tuple[float, float] = (0.3, 0.7)
    busy_slices: float = 0.8
    small: float = 0.0
    profiles: tuple[tuple[int, int], ...] = ((1, 30), (2, 20), (3, 25), (4, 8), (7, 17))
    priorities: tuple[int, ...] = (0,)
    hopeless: float = 0.0
    selective: float = 0.15
    tainted: float = 0.0
    cpu_factor: float = 1.0
    oldest_seconds: int = 3000


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "underload",
            "what is idle could serve all; the fewest changes count",
            pods_per_node=5,
            profiles=((1, 45), (2, 25), (3, 20), (4, 4), (7, 6)),
        ),
        Scenario("overload", "more is asked for than the idle GPUs can hold"),
        Scenario(
            "fragmented",
            "free slices everywhere, of the wrong size",
            idle_nodes=0.05,
            busy_gpus=(0.6, 0.9),
            busy_slices=0.25,
            small=0.8,
            profiles=((1, 10), (2, 30), (3, 35), (4, 10), (7, 15)),
        ),
        Scenario("hopeless", "the most popular template can hardly ever be served", hopeless=0.4),
        Scenario("tight-cpu", "cpu and memory run out before the slices do", cpu_factor=2.5),
        Scenario("selectors", "selectors, affinities and taints", selective=0.8, tainted=0.2),
        Scenario(
            "three-priorities",
            "three priorities, and a third of the pods has waited for more than an hour",
            priorities=(0, 1000, 100_000),
            oldest_seconds=5400,
        ),
        Scenario("thirty-priorities", "thirty priorities", priorities=tuple(range(0, 30_000, 1000))),
    )
}
"""by name"""


@dataclass(frozen=True, slots=True)
class Size:
    """So many nodes, so many pending pods."""

    nodes: int
    pods: int

    def __str__(self) -> str:
        return f"{self.nodes}/{self.pods}"


SIZES = (Size(10, 200), Size(100, 2_000), Size(1_000, 5_000), Size(1_000, 20_000), Size(5_000, 50_000))
"""the sizes that goals are set for"""


def size(text: str, scenario: Scenario) -> Size:
    """The size that `NODES` or `NODES/PODS` means; the scenario gives the number of pods where none is named.

    Raises:
        ValueError: the text is neither, or one of the numbers is not positive.

    >>> str(size("100", SCENARIOS["underload"])), str(size("100/2_000", SCENARIOS["underload"]))
    ('100/500', '100/2000')
    """
    nodes, slash, pods = text.partition("/")
    try:
        found = Size(int(nodes), int(pods) if slash else int(nodes) * scenario.pods_per_node)
    except ValueError:
        found = Size(0, 0)
    if min(found.nodes, found.pods) < 1:
        raise ValueError(f"a size is NODES or NODES/PODS, such as 100/2000, not {text!r}")
    return found
