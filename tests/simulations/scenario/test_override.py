"""Fields of a scenario set by their path, as a sweep does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from simulations.scenario.load import load
from simulations.workload.generate import Generation
from tests.simulations.scenario.files import GOOD, mistakes, scenario


def test_one_field_of_the_built_in_policy_is_changed_and_no_other(tmp_path: Path) -> None:
    """A sweep over a field compares runs that differ in that field alone, also where no policy is written."""
    path = scenario(tmp_path)
    before, after = load(path).policy, load(path, ["policy.trigger.batchMaxSeconds=30"]).policy
    assert (before.batch_max_seconds, after.batch_max_seconds) == (0, 30)
    assert (after.canary, after.cooldown_seconds, after.budgets) == (
        before.canary,
        before.cooldown_seconds,
        before.budgets,
    )


def test_fields_entries_and_keys_are_set(tmp_path: Path) -> None:
    """Any field can be swept: also of a list's entry, below what is absent, and a key with dots in it."""
    found = load(
        scenario(tmp_path),
        [
            "cluster.nodes.0.count=3",
            "cluster.nodes.0.labels.example.com/rack=a1",
            "timing.applySeconds=5",
            "workload.generate.profiles.3g.40gb=2.5",
            "compare=[static]",
            "seed=2",
            "seed=9",
        ],
    )
    assert [node.name for node in found.nodes] == ["gpu-0", "gpu-1", "gpu-2"]
    assert found.nodes[0].labels == {"example.com/rack": "a1"}
    assert (found.timing.apply, found.timing.plugin, found.compare, found.seed) == (5, 15, ("static",), 9)
    assert isinstance(found.workload, Generation)
    assert found.workload.profiles == {"1g.10gb": 1, "3g.40gb": 2.5}


def test_a_whole_part_can_be_set_and_taken_away(tmp_path: Path) -> None:
    """What is set to null is as if it were not there."""
    path = scenario(tmp_path, f"{GOOD}policy: {{suspend: true}}\n")
    assert load(path).policy.suspend
    assert load(path, ["policy=null"]) == load(scenario(tmp_path, GOOD, "plain.yaml"))
    assert load(path, ["policy={minBenefit: 2}", "policy={suspend: false}"]).policy.canary


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed", "is no PATH=VALUE; it should read like policy.trigger.pendingSeconds=30"),
        ("=3", "is no PATH=VALUE; it should read like"),
        ("a..b=3", "is no PATH=VALUE; it should read like"),
        ("seed=", "the value is empty; write what it is to be, or null"),
        ("seed=[", "the value is no YAML: did not find expected node content"),
        ("seed=!!int x", 'the value is no int: "x"'),
        ("seed=9223372036854775808", "the value is too large a number; it must fit into 64 bits"),
        (f"seed={'9' * 5000}", "the value is too large a number; it must fit into 64 bits"),
        ("seed={a: 9223372036854775808}", "a is too large a number; it must fit into 64 bits"),
        ("seed={1: 2}", "the value has a key that is no string; put it in quotes"),
        (
            "policy.trigger.pendingSecond=5",
            "policy.trigger has no field pendingSecond; did you mean pendingSeconds?",
        ),
        ("polcy.mode=Auto", "a scenario has no field polcy; did you mean policy?"),
        ("zzz=1", "a scenario has no field zzz; the fields here are apiVersion, kind, cluster, workload"),
        ("seed.x=1", "seed is a value and has no field x; set it whole"),
        ("cluster.nodes.1.count=2", "cluster.nodes has no entry 1; its entries are 0 to 0"),
        ("cluster.nodes.all.count=2", "cluster.nodes has no entry all; its entries are 0 to 0"),
        ("policy.headroom.0.free=2", "policy.headroom has no entry 0; it has no entries"),
        ("policy.trigger.pendingSeconds=-1", "policy.trigger.pendingSeconds must be at least 0, not -1"),
        (
            "policy.trigger.batchIdleSeconds=9",
            "policy.trigger: batchMaxSeconds must be at least batchIdleSeconds",
        ),
        ("timing.failureRate='0'", 'timing.failureRate must be a number, not "0"'),
        (
            "workload.generate.profiles.1g.9gb=1",
            'workload.generate.profiles: "1g.9gb" is a profile of no GPU; some',
        ),
    ],
)
def test_an_override_that_cannot_be_is_told_by_its_text(tmp_path: Path, text: str, said: str) -> None:
    """Of many values of a sweep the one that is wrong is named, and no line of the file, which is right."""
    [found] = mistakes(scenario(tmp_path), [text])
    assert found.startswith(f"{text}: {said}")


def test_mistakes_of_the_file_keep_their_lines(tmp_path: Path) -> None:
    """An override is not blamed for what it does not touch."""
    path = scenario(tmp_path, f"{GOOD}policy:\n  mode: Recommend\n")
    assert mistakes(path, ["policy.suspend=true"]) == [
        "scenario.yaml:8: policy: mode must be Auto: nobody approves changes in a simulation"
    ]
    path = scenario(tmp_path, f"{GOOD}seed: no\n")
    assert mistakes(path, ["timing.applySeconds=9"]) == [
        "scenario.yaml:8: seed must be a whole number, not false"
    ]


_PARTS = st.sampled_from(
    ["cluster", "nodes", "0", "1", "-1", "count", "labels", "taints", "example.com/rack", "workload",
     "policy", "generate", "profiles", "1g.10gb", "durations", "trigger", "headroom", "timing", "",
     "seed", "x", "\x1b"],
)  # fmt: skip
_VALUES = st.sampled_from(["1", "-1", "null", "[]", "{}", "{x: 1}", "[1]", "yes", "", "!!int x", "&a [*a]"])
_OVERRIDE = st.builds("{}={}".format, st.lists(_PARTS, min_size=1, max_size=6).map(".".join), _VALUES)


@given(st.lists(_OVERRIDE | st.text(max_size=20), max_size=3))
def test_no_override_ends_in_anything_but_sentences(
    tmp_path_factory: pytest.TempPathFactory, overrides: list[str]
) -> None:
    """Whatever is set, there is a scenario or there are sentences, never another exception."""
    found = mistakes(scenario(tmp_path_factory.getbasetemp()), overrides)
    event("refused" if found else "accepted")
    assert all(line.isprintable() for line in found)
