"""What a cycle and the steps of changes leave in the metrics."""

from __future__ import annotations

import pytest

from autoslicer.controller.measures import measure, step
from autoslicer.core import reading
from autoslicer.core.configs import DEFAULTS
from autoslicer.core.cycle import decide
from autoslicer.core.planner import Prepared
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import read
from autoslicer.core.times import rfc3339
from autoslicer.observability.metrics import Metrics
from tests.build import NOON, Builder, change, config_map, dump, mig_manager, node, pod, policy

SPENT = {"snapshot": 0.01, "decide": 0.2, "act": 0.03}


class Seen:
    """Metrics after these clusters, one cycle each."""

    def __init__(self, *clusters: list[Builder]) -> None:
        self.metrics = Metrics()
        for objects in clusters:
            snapshot = read(dump(*objects))
            decision, _ = decide(snapshot, snapshot.policies, NOON, Prepared())
            measure(self.metrics, snapshot, decision, SPENT)

    def __call__(self, name: str, **labels: str) -> float:
        """The value of a series."""
        found = self.metrics.registry.get_sample_value(f"autoslicer_{name}", labels)
        assert found is not None, (name, labels)
        return found


GPUS = node("gpu-a").gpus(2).config("all-7g.80gb")


def cluster(*objects: Builder, gpus: Builder = GPUS) -> list[Builder]:
    """A governed node of two GPUs at all-7g.80gb, with its apply path and these objects."""
    return [gpus, policy(), config_map(DEFAULTS), mig_manager("gpu-a"), *objects]


def test_a_cycle_tells_demand_and_supply() -> None:
    """How many pods wait, which slices they lack, which nodes there are and what they offer."""
    waiting = [pod(f"ns/s{n}").wants({"1g.10gb": 2}) for n in range(3)]
    seen = Seen(cluster(*waiting, pod("ns/big").wants({"7g.80gb": 1}), pod("ns/huge").wants({"7g.80gb": 9})))
    assert seen("pending_pods", profile="1g.10gb") == 3
    assert seen("pending_pods", profile="7g.80gb") == 2
    # the free 7g.80gb goes to ns/big; six 1g.10gb and nine 7g.80gb are nowhere
    assert seen("lacking_slices", profile="1g.10gb") == 6
    assert seen("lacking_slices", profile="7g.80gb") == 9
    assert seen("requests_unfulfilled", profile="7g.80gb", reason="NoFeasibleLayout") == 1
    assert (
        seen("slices", profile="7g.80gb", state="free"),
        seen("slices", profile="7g.80gb", state="used"),
    ) == (
        2,
        0,
    )
    assert (seen("nodes", state="governed"), seen("nodes", state="refused")) == (1, 0)
    assert seen("plans_total", status="Optimal") == 1
    assert seen("solve_seconds_sum") == pytest.approx(0.2)
    assert seen("cycle_duration_seconds_count", phase="act") == 1


def test_gauges_follow_the_last_cycle_and_counters_add_up() -> None:
    """When the pods are gone their gauges are 0 again; plans are counted on."""
    seen = Seen(cluster(pod("ns/huge").wants({"7g.80gb": 9})), cluster())
    assert seen("pending_pods", profile="7g.80gb") == 0
    assert seen("lacking_slices", profile="7g.80gb") == 0
    assert seen("requests_unfulfilled", profile="7g.80gb", reason="NoFeasibleLayout") == 0
    assert seen("plans_total", status="Optimal") == 2


def test_slices_are_used_by_bound_pods_alone() -> None:
    """A bound pod uses its slice, also while the plugin is away; a finished or waiting one uses none."""
    runs = pod("ns/r").wants({"7g.80gb": 1}).on("gpu-a")
    seen = Seen(cluster(runs, runs.set("metadata.name", "done").phase("Succeeded")))
    assert seen("slices", profile="7g.80gb", state="used") == 1
    assert seen("slices", profile="7g.80gb", state="free") == 1
    away = GPUS.allocatable({"nvidia.com/mig-7g.80gb": "0"})
    seen = Seen(cluster(runs, gpus=away))
    assert seen("slices", profile="7g.80gb", state="used") == 0
    assert seen("slices", profile="7g.80gb", state="free") == 0


def test_a_refused_node_is_told_with_its_reason() -> None:
    """A node that may not change counts as refused, under the reason that `plan` gives for it."""
    seen = Seen(cluster(pod("ns/p").wants({"1g.10gb": 1}), gpus=GPUS.cordoned()))
    assert seen("nodes", state="refused") == 1
    assert seen("refusals_total", reason="Cordoned") == 1
    assert seen("requests_unfulfilled", profile="1g.10gb", reason="OutOfCapacity") == 1


@pytest.mark.parametrize("waits", [False, True])
def test_a_pod_whose_change_may_not_start_is_unfulfilled(waits: bool) -> None:
    """Under the reason of the hold: a closed budget before there is a change, a missing approval after."""
    wanting = pod("ns/p").wants({"1g.10gb": 7})
    closed = policy().put("spec", {"mode": "Auto", "disruption": {"budgets": [{"nodes": "0"}]}})
    asked = change("gpu-a", [{"7g.80gb": 1}] * 2, [{"1g.10gb": 7}, {"7g.80gb": 1}], serves=["ns/p"])
    held = [GPUS, policy(), asked.set("spec.approved", False)] if waits else [GPUS, closed]
    seen = Seen([*held, config_map(DEFAULTS), mig_manager("gpu-a"), wanting])
    reason = "AwaitingApproval" if waits else "BudgetExhausted"
    assert seen("requests_unfulfilled", profile="1g.10gb", reason=reason) == 1
    assert seen("pending_pods", profile="1g.10gb") == 1


PHASES = ("Validated", "Tainted", "Drained", "Published", "Labelled", "Applied", "Verified", "Done")


def _steps(*phases: str) -> ReconfigurationRow:
    """A change that entered these phases ten seconds apart, the first ten seconds after its creation."""
    made = change("gpu-a", [{"7g.80gb": 1}], [{"1g.10gb": 7}]).created(NOON)
    steps = [{"phase": p, "at": rfc3339(NOON + 10 * n)} for n, p in enumerate(phases, start=1)]
    row = reading.change(made.set("status", {"phase": phases[-1], "steps": steps} if phases else {}).raw)
    assert isinstance(row, ReconfigurationRow)
    return row


def _told(*phases: str) -> Seen:
    """The metrics after a change was seen to enter these phases, one by one, and then again unchanged."""
    seen = Seen()
    rows = [_steps(*phases[:n]) for n in range(len(phases) + 1)]
    for old, new in zip([None, *rows], [*rows, rows[-1]], strict=True):
        step(seen.metrics, old, new)
    return seen


def test_every_step_of_a_change_is_timed_once() -> None:
    """A change that was watched to its end counts once, with the time of each step and of the outage."""
    seen = _told(*PHASES)
    for phase in PHASES:
        assert seen("reshape_duration_seconds_count", step=phase) == 1
        assert seen("reshape_duration_seconds_sum", step=phase) == 10
    assert seen("reshapes_total", result="Done") == 1
    # from Tainted (the second) to Verified (the seventh)
    assert seen("node_unavailable_seconds_total") == 50


def test_a_change_that_is_undone_counts_as_cancelled() -> None:
    """The outage of a change that never got to its slices lasts to its end."""
    seen = _told("Validated", "Tainted", "Cancelled")
    assert seen("reshapes_total", result="Cancelled") == 1
    assert seen("reshapes_total", result="Done") == 0
    assert seen("node_unavailable_seconds_total") == 10


def test_a_change_without_a_taint_was_no_outage() -> None:
    """What ends before the taint cost the node nothing."""
    seen = _told("Cancelled")
    assert seen("reshapes_total", result="Cancelled") == 1
    assert seen("node_unavailable_seconds_total") == 0


def test_ended_changes_at_first_sight_count_nothing() -> None:
    """A restarted controller sees what ended before and does not count it again."""
    seen = Seen()
    step(seen.metrics, None, _steps(*PHASES))
    assert seen("reshapes_total", result="Done") == 0


def test_a_status_without_steps_does_no_harm() -> None:
    """A status that somebody wrote by hand, with a phase and no steps, is counted as far as it goes."""
    seen = Seen()
    made = change("gpu-a", [{"7g.80gb": 1}], [{"1g.10gb": 7}])
    bare = reading.change(made.set("status", {"phase": "Done", "steps": []}).raw)
    old = reading.change(made.raw)
    assert isinstance(bare, ReconfigurationRow)
    assert isinstance(old, ReconfigurationRow)
    step(seen.metrics, old, bare)
    assert seen("reshapes_total", result="Done") == 1
    assert seen("node_unavailable_seconds_total") == 0
