"""The main job on a virtual cluster, told as a story: pods wait, two nodes change, the pods are bound."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median

from autoslicer.core.actions import Action, CreateChange
from autoslicer.core.budgets import Budget
from autoslicer.core.fitting import slices
from autoslicer.core.phases import Phase, live, phase
from autoslicer.core.plan import Plan, summary
from autoslicer.core.policy import BUILT_IN, Mode
from autoslicer.core.rows import PodRow, ReconfigurationRow
from simulations.cluster import START, Cluster
from simulations.drawing import bar
from simulations.executor import Executor
from simulations.stage import Stage
from simulations.story import Story
from solver.solution import Status

PRODUCT = "NVIDIA-H100-80GB-HBM3"
NODES = ("gpu-a", "gpu-b")
REQUESTS = {"infer": ("1g.10gb", 10), "train": ("3g.40gb", 2)}
"""name of the pods: (profile, how many)"""
STEPS = 8
"""from Validated to Done"""
PATIENCE = 600.0
"""virtual seconds after which a story that has not ended does not end well"""
POLICY = replace(
    BUILT_IN,
    name="demo",
    uid="policy-demo",
    mode=Mode.AUTO,
    pending_seconds=1,
    budgets=(Budget("100%"),),
    cooldown_seconds=600,
)
NEXT = (
    ("make test", "the same on a real control plane, with the real mig-manager"),
    (".venv/bin/autoslicer profiles H100-80GB", "what a GPU can be cut into"),
    ("kubectl get nodes,pods -A -o json | .venv/bin/autoslicer plan -f -", "what would help in your cluster"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell the story; 0 where it ends well."""
    parser = argparse.ArgumentParser(prog="python -m simulations.demo", description=__doc__)
    parser.add_argument("--fast", action="store_true", help="do not wait between the steps on a terminal")
    options = parser.parse_args(arguments)
    try:
        with Stage(START, fast=options.fast) as stage:
            return _tell(stage)
    except KeyboardInterrupt:
        return 130


def _tell(stage: Stage) -> int:
    cluster = Cluster(POLICY)
    for node in NODES:
        cluster.add_node(node, PRODUCT, 2, "all-7g.80gb")
    for name, (profile, count) in REQUESTS.items():
        for number in range(count):
            cluster.submit(f"team/{name}-{number}", {profile: 1}, cpu=4000)
    world, story, plans = cluster.world, Story(cluster.world), list[Plan]()

    def remember(action: Action) -> None:
        if isinstance(action, CreateChange) and executor.decision is not None:
            plans.append(executor.decision.plan)

    executor = Executor(world, before=remember)
    moments = executor.moments()

    def chapter(ended: Callable[[], bool]) -> None:
        """Tell what happens until `ended`; what happened at that moment belongs to the next chapter."""
        stage.tell(story.told())
        for now in moments:
            stage.wait(now)
            _progress(stage, cluster, story)
            if ended() or now > START + PATIENCE:
                return
            stage.tell(story.told())

    _cluster(stage, cluster)
    chapter(lambda: bool(world.events))
    _pending(stage, cluster)
    chapter(lambda: bool(world.changes))
    if plans:
        _plan(stage, cluster, plans[0])
    chapter(lambda: _over(cluster))
    stage.tell(story.told())
    return _result(stage, cluster, story)


def _pods(cluster: Cluster) -> list[PodRow]:
    """The pods of the story, without the operator's own."""
    return [pod for pod in cluster.world.pods.values() if slices(pod.requests)]


def _over(cluster: Cluster) -> bool:
    ended = all(not live(change) for change in cluster.world.changes.values())
    return ended and all(pod.phase != "Pending" for pod in _pods(cluster))


def _progress(stage: Stage, cluster: Cluster, story: Story) -> None:
    steps = sum(len(change.status.steps) for change in cluster.world.changes.values())
    pods = len(_pods(cluster))
    stage.progress(
        steps + len(story.bound), STEPS * len(NODES) + pods, f"{len(story.bound)} of {pods} pods bound"
    )


def _cluster(stage: Stage, cluster: Cluster) -> None:
    stage.title(f"The cluster: {len(NODES)} nodes with 2 x {PRODUCT}, all of it idle")
    _gpus(stage, cluster)
    stage.read()


def _gpus(stage: Stage, cluster: Cluster) -> None:
    for node, gpus in cluster.gpus.items():
        for gpu in gpus:
            name = node if gpu.index == 0 else ""
            stage.say(f"  {name:<6} GPU {gpu.index} {bar(gpu.geometry, gpu.layout)}")


def _pending(stage: Stage, cluster: Cluster) -> None:
    pods = _pods(cluster)
    wanted = " and ".join(f"{count} want {profile}" for profile, count in REQUESTS.values())
    stage.title(f"{len(pods)} pods come in, {wanted}, and kube-scheduler says:")
    for message, count in Counter(event.message for event in cluster.world.events).items():
        stage.say(f"  {count:>2} x  {message}", "yellow")
    stage.read()


def _plan(stage: Stage, cluster: Cluster, plan: Plan) -> None:
    stage.title(f"The plan: {summary(plan)}")
    if plan.status is Status.OPTIMAL:
        stage.say("  Proven: no plan serves more, or as many with fewer nodes or GPUs changed.")
    for reshape in plan.reshapes:
        stage.say(f"\n  {reshape.node}: {reshape.source} -> {reshape.target}")
        for target in reshape.gpus:
            geometry = cluster.gpus[reshape.node][target.index].geometry
            before, after = bar(geometry, target.before), bar(geometry, target.after)
            text = f"{before} -> {after}" if target.changed else f"{before} stays"
            stage.say(f"  GPU {target.index} {text}", "green" if target.changed else "dim")
    stage.title("It is carried out, in virtual seconds; NVIDIA's mig-manager takes its usual time")
    stage.read()


def _result(stage: Stage, cluster: Cluster, story: Story) -> int:
    pods, changes = _pods(cluster), cluster.world.changes.values()
    running = [pod for pod in pods if pod.phase == "Running"]
    done = [change for change in changes if phase(change) is Phase.DONE]
    changed = sum(gpu.changed for change in done for gpu in change.gpus)
    stage.title(f"The result: {len(running)} of {len(pods)} requests are fulfilled")
    for name, (profile, _) in REQUESTS.items():
        waits = [story.bound[pod.key] - pod.created for pod in running if pod.name.startswith(name)]
        if waits:
            times = f"median {median(waits):.1f} s, longest {max(waits):.1f} s"
            stage.say(f"  {len(waits):>2} x {profile}  from Pending to a slice: {times}")
    stage.say(f"  {changed:>2} GPUs changed on {len(done)} nodes")
    if done:
        stage.say("\n  Where the time of the last pod went:")
        for name, seconds in _times(done[-1], story).items():
            stage.say(f"  {seconds:>5.1f} s  {name}")
    stage.say()
    _gpus(stage, cluster)
    well = len(running) == len(pods) and len(done) == len(changes) == len(NODES) and changed == 3
    if not well:
        stage.title("This is not how the story ends: that is a defect, please report it")
        return 1
    stage.title("Try next")
    for command, purpose in NEXT:
        stage.say(f"  {command}")
        stage.say(f"      {purpose}", "dim")
    return 0


def _times(change: ReconfigurationRow, story: Story) -> dict[str, float]:
    """Where the time from the creation of the pods to the last binding went, in seconds."""
    at = {step.phase: step.at for step in change.status.steps}
    return {
        "the policy's pendingSeconds, and the plan": at[Phase.VALIDATED] - START,
        "the GPUs are seen idle, twice": at[Phase.DRAINED] - at[Phase.VALIDATED],
        "mig-manager's file shows the config": at[Phase.LABELLED] - at[Phase.DRAINED],
        "mig-manager cuts the GPUs": story.cut[change.node] - at[Phase.LABELLED],
        "nodes come back one after the other": at[Phase.APPLIED] - story.cut[change.node],
        "the device plugin comes back, the scheduler binds": max(story.bound.values()) - at[Phase.APPLIED],
    }


if __name__ == "__main__":
    sys.exit(main())
