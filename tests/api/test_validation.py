"""Policies from files: the defaults they get, and the sentences that say what is wrong with them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoslicer.api.validation import validate_policy
from tests.api.constraints import Constraint, constraints, field_named, with_value
from tests.api.examples import document, example
from tests.api.objects import POLICY

MINIMAL: dict[str, Any] = {
    "apiVersion": "autoslicer.dev/v1alpha1",
    "kind": "MigAutoscalingPolicy",
    "metadata": {"name": "default"},
    "spec": {"nodeSelector": {"matchLabels": {"nvidia.com/mig.capable": "true"}}},
}
DEFAULTS = {
    "mode": "Recommend",
    "suspend": False,
    "layouts": {
        "source": "Generated",
        "configMap": {"namespace": "gpu-operator", "name": "autoslicer-mig-parted-config"},
        "allowedProfiles": [],
        "deniedProfiles": [],
        "allowModeChange": False,
    },
    "trigger": {"pendingSeconds": 30, "batchIdleSeconds": 10, "batchMaxSeconds": 60},
    "objective": {"weight": "Requests", "starvationSeconds": 3600},
    "disruption": {
        "eviction": "Never",
        "drainTimeoutSeconds": 600,
        "budgets": [{"nodes": "10%"}],
        "canary": True,
        "cooldownSeconds": 600,
        "reserve": {"afterSeconds": 0, "timeoutSeconds": 1200, "nodes": 1},
        "minBenefit": 1,
    },
    "headroom": [],
    "idle": {"afterSeconds": 0, "config": ""},
    "recovery": {
        "pendingDeadlineSeconds": 1800,
        "maxAttempts": 2,
        "quarantineSeconds": 1800,
        "repairDrift": True,
        "deleteOperatorPods": False,
    },
    "scheduling": {"nominate": True},
}
OF_SPEC = [c for c in constraints("MigAutoscalingPolicy") if c.path[:1] != ("status",)]


def problems(raw: object) -> list[str]:
    """Return the sentences with which the policy is refused; none where it is accepted."""
    try:
        validate_policy(raw)
    except ValueError as error:
        return str(error).split("\n")
    return []


def test_a_minimal_policy_gets_the_documented_defaults() -> None:
    """A policy that says no more than its nodes recommends, carefully."""
    spec = validate_policy(MINIMAL).spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert spec == {
        "nodeSelector": {"matchLabels": {"nvidia.com/mig.capable": "true"}, "matchExpressions": []},
        **DEFAULTS,
    }


def test_a_full_policy_comes_back_as_it_is() -> None:
    """Nothing that the user says is changed, and the status is not looked at."""
    policy = validate_policy({**POLICY, "status": "nonsense"})
    assert policy.spec.model_dump(mode="json", by_alias=True, exclude_none=True) == POLICY["spec"]
    assert policy.status is None


def test_null_counts_as_absent() -> None:
    """A key without a value, as YAML leaves it behind, means the default, as it does in the API server."""
    empty = {**MINIMAL["spec"], "trigger": None, "layouts": {"configMap": {"name": None}}}
    assert validate_policy({**MINIMAL, "spec": empty}).spec == validate_policy(MINIMAL).spec


@pytest.mark.parametrize("constraint", OF_SPEC, ids=str)
def test_a_sentence_names_the_object_and_the_field(constraint: Constraint) -> None:
    """What breaks a rule of the schema is told with the policy's name and the path of the field."""
    bad = document(constraint, example(constraint).bad)
    field = field_named("MigAutoscalingPolicy", constraint.path)
    sentences = problems(bad)
    named = f"MigAutoscalingPolicy {bad['metadata']['name']}: {field}"
    assert any(sentence.startswith(named) for sentence in sentences), sentences


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("mode",), "auto", """mode must be 'Recommend' or 'Auto', not "auto\""""),
        (("suspend",), "yes", """suspend must be true or false, not "yes\""""),
        (("trigger", "pendingSeconds"), -1, "trigger.pendingSeconds must be at least 0, not -1"),
        (("trigger", "pendingSeconds"), "30", """trigger.pendingSeconds must be a whole number, not "30\""""),
        (
            ("recovery", "pendingDeadlineSeconds"),
            0,
            "recovery.pendingDeadlineSeconds must be at least 1, not 0",
        ),
        (("recovery",), [], "recovery must be a mapping, not []"),
        (("disruption", "budgets"), [], "disruption.budgets must be at least 1 entry long, not []"),
        (
            ("disruption", "budgets", "[]", "nodes"),
            3,
            "disruption.budgets[0].nodes must be a string (a number, true or false needs quotes), not 3",
        ),
        (
            ("disruption", "budgets", "[]", "nodes"),
            "101%",
            'disruption.budgets[0].nodes must be a number of nodes ("3") or a percentage of the governed '
            'ones ("10%"), not "101%"',
        ),
        (
            ("disruption", "budgets", "[]"),
            {"nodes": "0", "schedule": "@daily"},
            "disruption.budgets[0]: schedule and duration must be given together, or neither of them",
        ),
        (
            ("disruption", "budgets", "[]", "schedule"),
            "0 25 * * *",
            "disruption.budgets[0].schedule must be a cron schedule (minute, hour, day of month, month, day "
            'of week), such as 0 22 * * mon-fri or @daily, not "0 25 * * *"',
        ),
        (
            ("disruption", "budgets", "[]", "schedule"),
            "0 0 30 2 *",
            "disruption.budgets[0].schedule: '0 0 30 2 *' is no cron schedule (bad day-of-month); it should "
            'read like "0 22 * * mon-fri" (minute, hour, day of month, month, day of week) or @daily',
        ),
        (
            ("disruption", "budgets", "[]", "duration"),
            "1d",
            'disruption.budgets[0].duration must be hours and minutes, such as 8h, 90m or 1h30m, not "1d"',
        ),
        (
            ("layouts", "allowedProfiles", "[]"),
            "1g.10gb.me",
            "layouts.allowedProfiles[0] must be a MIG profile as NVIDIA spells it, such as 1g.10gb or "
            '1g.10gb+me, not "1g.10gb.me"',
        ),
        (
            ("layouts", "deniedProfiles"),
            ["7g.80gb", "7g.80gb"],
            "layouts.deniedProfiles must not name 7g.80gb twice",
        ),
        (
            ("nodeSelector", "matchLabels"),
            {"mig capable": "true"},
            'nodeSelector.matchLabels has the key "mig capable", which must be a label\'s key, such as '
            "nvidia.com/mig.capable",
        ),
        (
            ("nodeSelector",),
            {},
            "nodeSelector: nodeSelector must ask for something, such as matchLabels "
            '{"nvidia.com/mig.capable": "true"}: an empty one would govern every node',
        ),
        (
            ("trigger",),
            {"batchIdleSeconds": 90},
            "trigger: batchMaxSeconds must be at least batchIdleSeconds",
        ),
        (("sispend",), True, "sispend is no field; did you mean suspend?"),
        (
            ("disruption", "podLimit"),
            3,
            "disruption.podLimit is no field; the fields here are eviction, drainTimeoutSeconds, budgets, "
            "canary, cooldownSeconds, reserve, minBenefit",
        ),
        (
            ("trigger", "pending_seconds"),
            5,
            "trigger.pending_seconds is no field; did you mean pendingSeconds?",
        ),
    ],
)
def test_a_sentence_says_what_would_be_right(path: tuple[str, ...], value: Any, sentence: str) -> None:
    """One mistake is one sentence, which names the policy and the field and says what belongs there."""
    assert problems(with_value(POLICY, ("spec", *path), value)) == [
        f"MigAutoscalingPolicy full: spec.{sentence}"
    ]


def test_every_mistake_is_told_at_once() -> None:
    """A policy with several mistakes is refused with a sentence for each."""
    bad = deepcopy(POLICY)
    bad["spec"]["mode"], bad["spec"]["suspend"] = "Off", 1
    bad["apiVersion"] = "v1"
    assert problems(bad) == [
        "MigAutoscalingPolicy full: apiVersion must be 'autoslicer.dev/v1alpha1', not \"v1\"",
        "MigAutoscalingPolicy full: spec.mode must be 'Recommend' or 'Auto', not \"Off\"",
        "MigAutoscalingPolicy full: spec.suspend must be true or false, not 1",
    ]


@pytest.mark.parametrize(
    ("raw", "sentences"),
    [
        ([], ["a MigAutoscalingPolicy must be a mapping, not []"]),
        (None, ["a MigAutoscalingPolicy must be a mapping, not null"]),
        (
            {},
            [
                f"MigAutoscalingPolicy: {field} is required"
                for field in ("apiVersion", "kind", "metadata", "spec")
            ],
        ),
        ({**MINIMAL, "metadata": "x"}, ['MigAutoscalingPolicy: metadata must be a mapping, not "x"']),
        ({**MINIMAL, "spec": {}}, ["MigAutoscalingPolicy default: spec.nodeSelector is required"]),
        (
            {**MINIMAL, "specs": 1, 1: 2},
            [
                "MigAutoscalingPolicy default: specs is no field; did you mean spec?",
                "MigAutoscalingPolicy default: [1] must be a mapping with strings as keys, not 1",
            ],
        ),
    ],
)
def test_a_document_that_is_no_policy_is_refused(raw: object, sentences: list[str]) -> None:
    """A document of another shape is refused in the same words."""
    assert problems(raw) == sentences


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
)
PATHS = sorted({c.path for c in OF_SPEC if c.path})


@given(path=st.sampled_from(PATHS), value=JSON)
def test_no_document_is_more_than_a_value_error(path: tuple[str, ...], value: Any) -> None:
    """Whatever stands in a policy, it is accepted or refused in sentences, never with another error."""
    sentences = problems(with_value(POLICY, path, value))
    assert all(sentence.startswith("MigAutoscalingPolicy full: ") for sentence in sentences)
