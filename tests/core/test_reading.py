"""Objects of our own kinds and of the operator's, as rows."""

from __future__ import annotations

import copy

import pytest

from autoslicer.core import configs, reading
from autoslicer.core.budgets import Budget
from autoslicer.core.causes import Cause
from autoslicer.core.policy import Mode, Objective, Weight
from autoslicer.core.recovery import Recovery
from autoslicer.core.rows import GpuTarget, Requirement
from tests.build import NOON, change, config_map, mig_manager, mignode, node, pod, policy, resource_slice

MINIMAL = {
    "apiVersion": "autoslicer.dev/v1alpha1",
    "kind": "MigAutoscalingPolicy",
    "metadata": {"name": "p"},
    "spec": {"nodeSelector": {"matchLabels": {"a": "b"}}},
}


def test_a_policy_gets_the_api_servers_defaults() -> None:
    """What a policy does not say is filled in as the schema has it."""
    found = reading.policy(MINIMAL)
    assert found.selector == (Requirement("a", "In", ("b",)),)
    assert (found.mode, found.suspend, found.min_benefit, found.budgets) == (
        Mode.RECOMMEND,
        False,
        1,
        (Budget("10%"),),
    )
    assert (found.pending_seconds, found.batch_idle_seconds, found.batch_max_seconds) == (30, 10, 60)
    assert (found.cooldown_seconds, found.recovery) == (600, Recovery())
    assert found.config_map == ("gpu-operator", "autoslicer-mig-parted-config")
    assert found.objective == Objective(Weight.REQUESTS, 3600)


def test_a_policys_fields_are_read() -> None:
    """Every field that acts comes through."""
    made = policy().set(
        "spec.layouts",
        {"allowedProfiles": ["1g.10gb"], "deniedProfiles": ["7g.80gb"], "allowModeChange": True},
    )
    made = (
        made.set("spec.suspend", True)
        .set("spec.disruption.minBenefit", 3)
        .set("spec.trigger.pendingSeconds", 5)
        .set("spec.objective", {"weight": "Slices", "starvationSeconds": 0})
    )
    found = reading.policy(made.raw)
    assert (found.allowed_profiles, found.denied_profiles) == (frozenset({"1g.10gb"}), frozenset({"7g.80gb"}))
    assert (found.allow_mode_change, found.suspend, found.min_benefit, found.pending_seconds) == (
        True,
        True,
        3,
        5,
    )
    assert found.objective == Objective(Weight.SLICES, 0)
    assert (found.mode, found.uid, found.budgets) == (Mode.AUTO, "policy-default", (Budget("100%"),))


def test_a_budget_with_its_window_is_read() -> None:
    """Its duration in seconds, its reasons as causes."""
    window = {"nodes": "0", "schedule": "@daily", "duration": "1h30m", "reasons": ["Demand", "Headroom"]}
    found = reading.policy(policy().set("spec.disruption.budgets", [window]).raw)
    assert found.budgets == (Budget("0", "@daily", 5400, frozenset({Cause.DEMAND, Cause.HEADROOM})),)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("spec.nodeSelector", {}, "must ask for something"),
        ("spec.nodeSelector.matchLabels", {"a": 3}, "must be a string"),
        (
            "spec.nodeSelector.matchExpressions",
            [{"key": "a", "operator": "Gt", "values": ["1"]}],
            "must be one of",
        ),
        ("spec.nodeSelector.matchExpressions", [{"key": "a", "operator": "In"}], "does not go with In"),
        ("spec.mode", "Automatic", "must be Recommend or Auto"),
        ("spec.objective.weight", "Pods", "spec.objective.weight must be Requests or Slices, not 'Pods'"),
        ("spec.objective.starvationSeconds", "1h", "spec.objective.starvationSeconds must be"),
        ("spec.suspend", "yes", "must be a boolean"),
        ("spec.layouts.source", "Named", "must be Generated"),
        ("spec.trigger.pendingSeconds", -1, "from 0 to 31536000"),
        ("spec.trigger.pendingSeconds", 10**400, "from 0 to 31536000"),
        ("spec.disruption.budgets", [{"nodes": "half"}], "must read like"),
        ("spec.disruption.budgets", [{"nodes": "0", "schedule": "@daily"}], "given together"),
        ("spec.disruption.budgets", [{"nodes": "0", "duration": "1h"}], "given together"),
        (
            "spec.disruption.budgets",
            [{"nodes": "0", "schedule": "noon", "duration": "1h"}],
            r"spec\.disruption\.budgets\[0\]\.schedule: 'noon' is no cron schedule",
        ),
        (
            "spec.disruption.budgets",
            [{"nodes": "0", "schedule": "@daily", "duration": "1d"}],
            r"budgets\[0\]\.duration: '1d' is no duration",
        ),
        ("spec.disruption.budgets", [{"nodes": "0", "reasons": ["Whim"]}], "must be of Demand"),
        ("metadata.name", "", "name is missing"),
        ("metadata.name", "Not Allowed", "not a name"),
    ],
)
def test_a_bad_policy_is_refused_in_a_sentence(path: str, value: object, said: str) -> None:
    """The sentence names the field and what would be right."""
    with pytest.raises(ValueError, match=said):
        reading.policy(policy().set(path, value).raw)


def test_a_change_is_read_with_its_status() -> None:
    """Layouts become multisets, null stays MIG off, an absent status is an empty phase."""
    waiting = reading.change(
        change("a", [{"7g.80gb": 1}, None], [{"1g.10gb": 7}, None], serves=("ns/x",)).raw
    )
    assert waiting.gpus == (
        GpuTarget(0, (("7g.80gb", 1),), (("1g.10gb", 7),), True),
        GpuTarget(1, None, None, False),
    )
    assert (waiting.node, waiting.serves, waiting.status.phase) == ("a", ("ns/x",), "")
    running = reading.change(change("a", [None], [None], phase="Labelled").raw)
    assert (running.status.phase, running.status.steps[0].at) == ("Labelled", NOON - 20)
    with pytest.raises(ValueError, match="no phase of a change"):
        reading.change(change("a", [None], [None], phase="Sleeping").raw)


def test_a_mignode_is_read() -> None:
    """Instances carry their pods and processes; unknown processes are told from none."""
    made = mignode("a").gpu({"3g.40gb": 2}, pods={"3g.40gb": ["ns/x"]}).gpu(None)
    found = reading.mig_node(made.raw)
    first, second = found.gpus
    assert [(i.profile, i.pods, i.processes) for i in first.instances] == [
        ("3g.40gb", ("ns/x",), 1),
        ("3g.40gb", (), 0),
    ]
    assert (first.mig_enabled, second.mig_enabled, found.observed) == (True, False, NOON)
    raw = copy.deepcopy(made.raw)
    del raw["status"]["gpus"][0]["instances"][1]["processes"]
    raw["status"]["gpus"][1]["migMode"] = {"current": "Disabled", "pending": "Enabled"}
    found = reading.mig_node(raw)
    assert found.gpus[0].instances[1].processes == -1
    assert not found.gpus[1].mode_settled
    raw["status"]["gpus"][1]["index"] = 5
    with pytest.raises(ValueError, match="indices 0 to 1"):
        reading.mig_node(raw)


def test_a_mig_manager_pod_shows_its_config_map() -> None:
    """The ConfigMap that is mounted for mig-parted is found, and only on mig-manager's pods."""
    made = mig_manager("a", "some-config")
    assert reading.pod(made.raw).config_map == "some-config"
    assert reading.pod(made.labels({"app": "other"}).raw).config_map == ""


@pytest.mark.parametrize(
    ("key", "value", "hidden"),
    [
        ("spec.runtimeClassName", "nvidia", True),
        ("spec.runtimeClassName", "nvidia-cdi", True),
        ("spec.runtimeClassName", "gvisor", False),
        (
            "spec.containers",
            [{"name": "c", "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]}],
            True,
        ),
        (
            "spec.containers",
            [{"name": "c", "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "valueFrom": {}}]}],
            True,
        ),
        (
            "spec.containers",
            [{"name": "c", "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}]}],
            False,
        ),
        (
            "spec.initContainers",
            [{"name": "c", "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "0"}]}],
            True,
        ),
        ("spec.resourceClaims", [{"name": "gpu"}], True),
    ],
)
def test_hidden_gpu_use(key: str, value: object, hidden: bool) -> None:
    """A pod that may see GPUs without asking is marked; one that asks for a GPU shows by itself."""
    made = pod("ns/x").set(key, value)
    assert reading.pod(made.raw).hidden_gpu_use is hidden
    asking = pod("ns/x").set("spec.runtimeClassName", "nvidia").wants({"1g.10gb": 1})
    assert not reading.pod(asking.raw).hidden_gpu_use


def test_config_maps_that_are_not_mig_parteds_have_no_configs() -> None:
    """A file that mig-parted would refuse counts as none; a good one is parsed."""
    good = config_map(configs.DEFAULTS)
    found = reading.config_map(good.raw)
    assert found.configs == configs.DEFAULTS
    assert found.size > 1000
    assert reading.config_map(good.set("data", {"config.yaml": "mig-configs: 3"}).raw).configs is None
    assert reading.config_map(good.set("data", {"key": "value"}).raw).configs is None
    assert reading.config_map(good.set("data", None).raw).configs is None


def test_a_resource_slice_without_a_node_has_none() -> None:
    """A slice that several nodes share names none of them."""
    assert reading.resource_slice(resource_slice("a").raw).node == "a"
    shared = resource_slice("a").set("spec", {"driver": "gpu.nvidia.com", "allNodes": True})
    assert reading.resource_slice(shared.raw).node == ""


def test_only_marks_that_are_read_are_kept_of_a_nodes_annotations() -> None:
    """Our own and other owners' annotations stay, the rest goes."""
    made = node("a").annotations({"autoslicer.dev/ignore": "true", "hami.io/x": "1", "other/y": "2"})
    assert set(reading.node(made.raw).annotations) == {"autoslicer.dev/ignore", "hami.io/x"}
