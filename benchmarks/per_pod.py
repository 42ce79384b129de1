"""HAMi's and the DRA driver's rules on MIGBench's trace, with its charges, beside the published figures.

`python -m benchmarks.per_pod TRACE [--seeds 20]` prints a Markdown table, all in thousands of seconds.

The published runs let kube-scheduler's backoff go by the real clock while virtual time jumps from event to
event. What that does to the order in which waiting pods are tried is bounded by two orders: by age, and by
chance, drawn anew at every event.
"""

from __future__ import annotations

import argparse
import heapq
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, quantiles

from autoslicer.core.fitting import slices
from autoslicer.core.rows import Resources
from simulations.gpu import Gpu, Instance
from simulations.strategies.per_pod.rules import Dra, Hami, Rule
from simulations.strategies.per_pod.system import CREATE_SECONDS, DESTROY_SECONDS
from simulations.workload.job import Job
from simulations.workload.migbench import read_migbench
from solver.geometry import by_product

NODES, GPUS = 2, 4
PUBLISHED = {"hami": (1996.134, 10601.688, 13867.992), "dra": (2119.875, 12714.828, 15141.259)}
"""mean, p95 and p99 of the wait (seconds): HAMi 2.10.0, and NVIDIA's driver 0.5.0 under Kubernetes 1.36"""

Order = Callable[[list[int]], list[int]]
_Held = list[tuple[Gpu, Instance]]


def waits(jobs: Sequence[Job], rule: Rule, order: Order) -> list[float]:
    """Seconds from each job's arrival until its instance is there, as MIGBench counts.

    Args:
        jobs: by arrival.
        rule: who chooses.
        order: in which the waiting jobs are tried, given by age.
    """
    nodes = [_node(number) for number in range(NODES)]
    ends: list[tuple[float, int, _Held]] = []
    waiting: list[int] = []
    found: dict[int, float] = {}
    coming = 0
    while coming < len(jobs) or waiting:
        now = min([job.arrival for job in jobs[coming : coming + 1]] + [end[0] for end in ends[:1]])
        while ends and ends[0][0] <= now:
            for gpu, instance in heapq.heappop(ends)[2]:
                gpu.destroy(instance)
        while coming < len(jobs) and jobs[coming].arrival <= now:
            waiting.append(coming)
            coming += 1
        refused: list[Resources] = []
        for number in order(list(waiting)):
            job = jobs[number]
            held = None if job.requests in refused else _placed(nodes, rule, job)
            if held is None or job.duration is None:
                refused.append(job.requests)
            else:
                waiting.remove(number)
                found[number] = now + CREATE_SECONDS - job.arrival
                end = now + CREATE_SECONDS + job.duration + DESTROY_SECONDS
                heapq.heappush(ends, (end, number, held))
    return [found[number] for number in range(len(jobs))]


def _node(number: int) -> list[Gpu]:
    geometry = by_product("NVIDIA-H100-80GB-HBM3")
    assert geometry is not None, "the table has it"
    gpus = [Gpu(f"node-{number}", index, geometry) for index in range(GPUS)]
    for gpu in gpus:
        gpu.set_mode(enabled=True)
    return gpus


def _placed(nodes: Sequence[list[Gpu]], rule: Rule, job: Job) -> _Held | None:
    """Create the job's instances on the node that the rule prefers; jobs ask for no CPU that could differ."""
    offers = [(gpus, rule.seats(gpus, slices(job.requests))) for gpus in nodes]
    fitting = [(gpus, seats) for gpus, seats in offers if seats is not None]
    if not fitting:
        return None
    gpus, seats = max(fitting, key=lambda offer: rule.worth(offer[0], 1.0))
    return [(gpus[seat.gpu], gpus[seat.gpu].create(seat.profile, seat.start)) for seat in seats]


def _line(name: str, runs: Sequence[Sequence[float]]) -> str:
    columns = [[mean(run) for run in runs], *([_quantile(run, share) for run in runs] for share in (95, 99))]
    return f"| {name} | " + " | ".join(_range(column) for column in columns) + " |"


def _quantile(values: Sequence[float], share: int) -> float:
    """With linear interpolation, as MIGBench has it."""
    return quantiles(values, n=100, method="inclusive")[share - 1]


def _range(values: Sequence[float]) -> str:
    low, high = (f"{value / 1000:.2f}" for value in (min(values), max(values)))
    return low if low == high else f"{low}-{high}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.per_pod", description=__doc__.splitlines()[0])
    parser.add_argument("trace", type=Path, help="the trace offered1.40 of MIGBench")
    parser.add_argument("--seeds", type=int, default=20, help="how many random orders")
    given = parser.parse_args()
    jobs = list(read_migbench(given.trace))
    print("| | mean | p95 | p99 |\n|---|---:|---:|---:|")
    for rule in (Hami(), Dra()):
        figures = " | ".join(_range([value]) for value in PUBLISHED[rule.name])
        print(f"| {rule.name}, published | {figures} |")
        print(_line(f"{rule.name}, by age", [waits(jobs, rule, lambda numbers: numbers)]))
        shuffled = [waits(jobs, rule, _by_chance(seed)) for seed in range(given.seeds)]
        print(_line(f"{rule.name}, by chance, {given.seeds} seeds", shuffled))


def _by_chance(seed: int) -> Order:
    rng = random.Random(seed)
    return lambda numbers: rng.sample(numbers, len(numbers))


if __name__ == "__main__":
    main()
