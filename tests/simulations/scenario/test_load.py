"""Scenarios from files: what they mean, their defaults, and the sentences about what is wrong with them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from autoslicer.core.budgets import Budget
from autoslicer.core.policy import BUILT_IN, Mode, Policy
from autoslicer.core.rows import Taint
from simulations.cluster import Cluster
from simulations.scenario.layouts import possible
from simulations.scenario.load import load
from simulations.scenario.scenario import Node, Timing
from simulations.workload.generate import Constant, Exponential, Generation, Lognormal
from simulations.workload.job import Job
from simulations.workload.source import Format, Trace, jobs
from solver import geometry
from tests.simulations.scenario.files import CLUSTER, GENERATE, GOOD, HEAD, NODE, WORKLOAD, mistakes, scenario

LINE = '{"pod": "team/one", "arrival": 1, "duration": 5, "requests": {"nvidia.com/mig-1g.10gb": 1}}\n'


def test_the_shortest_scenario_has_defaults(tmp_path: Path) -> None:
    """Nodes and a workload are enough to see what autoslicer would do."""
    found = load(scenario(tmp_path))
    product = "NVIDIA-H100-80GB-HBM3"
    assert found.nodes == (Node("gpu", product, 4, "all-7g.80gb", 64_000, 256 * 2**30, {}, (), True),)
    assert found.timing == Timing(0.25, 30, 15, 0, 0)
    assert found.workload == Generation(1, 3, 1, Constant(5), {"1g.10gb": 1})
    assert (found.snapshot, found.compare, found.seed) == (None, ("autoslicer", "static"), 1)


def test_everything_can_be_said(tmp_path: Path) -> None:
    """Every field of a scenario reaches what is simulated."""
    text = f"""{HEAD}
cluster:
  nodes:
  - count: 2
    name: a
    product: NVIDIA-A30
    gpus: 1
    config: all-disabled
    cpu: 1500m
    memory: 1Gi
    labels: {{zone: east}}
    taints: [{{key: team, value: red}}, {{key: gone, effect: NoExecute}}]
    agent: false
    joinsAtSeconds: 60
    leavesAtSeconds: 90.5
workload:
  generate:
    seed: 9
    pods: 4
    arrivalRate: 0.5
    durations: {{lognormal: {{median: 60, sigma: 1.5}}}}
    profiles: {{1g.6gb: 1}}
    shiftTo: {{4g.24gb: 2}}
    priorities: {{"0": 1, "-5": 2}}
    namespaces: {{red: 1, blue: 3}}
    cpu: 2
    memory: 1Gi
policy: {{suspend: true}}
timing: {{scheduleSeconds: 1, applySeconds: 12, pluginSeconds: 3, rebootSeconds: 600, failureRate: 0.5}}
compare: [static]
seed: 7
"""
    found = load(scenario(tmp_path, text))
    taints = (Taint("team", "red", "NoSchedule"), Taint("gone", "", "NoExecute"))
    first = Node(
        "a-0", "NVIDIA-A30", 1, "all-disabled", 1500, 2**30, {"zone": "east"}, taints, False, 60, 90.5
    )
    assert found.nodes == (first, replace(first, name="a-1"))
    assert found.workload == Generation(
        seed=9,
        pods=4,
        arrival_rate=0.5,
        durations=Lognormal(60, 1.5),
        profiles={"1g.6gb": 1},
        shift_to={"4g.24gb": 2},
        priorities={"0": 1, "-5": 2},
        namespaces={"red": 1, "blue": 3},
        cpu=2000,
        memory=2**30,
    )
    assert (found.timing, found.compare, found.seed) == (Timing(1, 12, 3, 600, 0.5), ("static",), 7)
    assert found.policy.suspend


def test_a_workload_without_a_seed_has_the_scenarios(tmp_path: Path) -> None:
    """One number repeats a whole simulation."""
    text = GOOD.replace("constant: {seconds: 5}", "exponential: {mean: 5}") + "seed: 7\n"
    assert load(scenario(tmp_path, text)).workload == Generation(7, 3, 1, Exponential(5), {"1g.10gb": 1})


def test_files_are_sought_beside_the_scenario(tmp_path: Path) -> None:
    """A scenario and its trace can be moved together, and be run from anywhere."""
    (tmp_path / "trace.jsonl").write_text(LINE, encoding="utf-8")
    found = load(scenario(tmp_path, f"{HEAD}{CLUSTER}workload: {{trace: {{path: trace.jsonl}}}}\n"))
    assert found.workload == Trace(tmp_path / "trace.jsonl", Format.AUTOSLICER)
    assert list(jobs(found.workload)) == [Job("team/one", 1, 5, {"nvidia.com/mig-1g.10gb": 1})]
    (tmp_path / "dump.json").write_text("{}", encoding="utf-8")
    found = load(scenario(tmp_path, f"{HEAD}cluster: {{snapshot: dump.json}}\n{WORKLOAD}"))
    assert (found.nodes, found.snapshot) == ((), tmp_path / "dump.json")


def test_openb_takes_the_profiles_of_the_clusters_gpu(tmp_path: Path) -> None:
    """Shares of a GPU become slices of the GPU that the cluster has, or of the one that is named."""
    (tmp_path / "pods.csv").write_text("", encoding="utf-8")
    trace = "workload: {trace: {path: pods.csv, format: openb%s}}\n"
    other = "{name: other, product: NVIDIA-A30, gpus: 1, config: all-disabled}"
    two = f"cluster:\n  nodes:\n  - {NODE}\n  - {other}\n"
    for cluster, product, model in (
        (CLUSTER, "", "H100-80GB"),
        (CLUSTER, ", product: NVIDIA-A30", "A30-24GB"),
        (two, ", product: NVIDIA-A30", "A30-24GB"),
    ):
        workload = load(scenario(tmp_path, f"{HEAD}{cluster}{trace % product}")).workload
        assert isinstance(workload, Trace)
        assert workload.geometry is not None
        assert workload.geometry.model == model
    assert mistakes(scenario(tmp_path, f"{HEAD}{two}{trace % ''}")) == [
        "scenario.yaml:7: workload.trace.product is required for the format openb; name the GPU whose "
        "profiles stand for shares, where the cluster has not just one"
    ]


def _policy(folder: Path, text: str) -> Policy:
    return load(scenario(folder, f"{GOOD}{text}")).policy


def test_without_a_policy_nothing_is_held_back(tmp_path: Path) -> None:
    """The built-in policy of a simulation is that of `autoslicer plan`, carried out."""
    expected = replace(BUILT_IN, name="scenario", uid="scenario", generation=1, mode=Mode.AUTO)
    assert _policy(tmp_path, "") == replace(expected, budgets=(Budget("100%"),))
    assert _policy(tmp_path, "policy: null\n") == _policy(tmp_path, "")


def test_a_policy_has_the_defaults_of_a_clusters(tmp_path: Path) -> None:
    """A policy that is pasted from a cluster means here what it means there."""
    found = _policy(tmp_path, "policy: {trigger: {pendingSeconds: 5}}\n")
    assert (found.pending_seconds, found.batch_idle_seconds, found.cooldown_seconds) == (5, 10, 600)
    assert (found.canary, found.budgets, found.mode) == (True, (Budget("10%"),), Mode.AUTO)
    assert found.selector == BUILT_IN.selector
    asked = _policy(tmp_path, "policy: {nodeSelector: {matchLabels: {zone: east}}, mode: Auto}\n")
    assert [requirement.key for requirement in asked.selector] == ["zone"]


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("v1alpha1", "v1", 1, "apiVersion must be 'autoslicer.dev/v1alpha1', not \"autoslicer.dev/v1\""),
        ("kind: Scenario\n", "", 1, "kind is required"),
        (CLUSTER, "", 1, "cluster is required"),
        (
            "  nodes:\n",
            "  snapshot: s\n  nodes:\n",
            3,
            "cluster: must have either nodes or a snapshot, and not both",
        ),
        (
            f"  nodes:\n  - {NODE}\n",
            "  nodes: []\n",
            4,
            "cluster.nodes must be at least 1 entry long, not []",
        ),
        (
            f"  nodes:\n  - {NODE}\n",
            "  snapshot: x\n",
            4,
            "cluster.snapshot: there is no file x; it is sought beside",
        ),
        ("gpus: 4", 'gpus: "4"', 5, 'cluster.nodes[0].gpus must be a whole number, not "4"'),
        ("gpus: 4", "gpus: 0", 5, "cluster.nodes[0].gpus must be at least 1, not 0"),
        ("gpus: 4", "gpu: 4", 5, "cluster.nodes[0].gpus is required"),
        ("gpus: 4", "gpu: 4", 5, "cluster.nodes[0].gpu is no field; did you mean gpus?"),
        (
            "name: gpu",
            "name: Gpu_1",
            5,
            'cluster.nodes[0].name: "Gpu_1" is no node\'s name; it must be lower-case',
        ),
        ("name: gpu", f"name: {'g' * 62}, count: 2", 5, "is no node's name; it must be lower-case letters"),
        (
            "HBM3",
            "HBM2",
            5,
            '"NVIDIA-H100-80GB-HBM2" is no GPU that can do MIG; known ones are NVIDIA-H100-80GB-HBM3',
        ),
        ("HBM3", "HBM3-SHARED", 5, "leave out what the operator appends: NVIDIA-H100-80GB-HBM3"),
        (
            "all-7g.80gb",
            "all-7g.40gb",
            5,
            '"all-7g.40gb" is none of the operator\'s configs for NVIDIA-H100-80GB-HBM3;',
        ),
        ("all-7g.80gb", "all-7g.40gb", 5, "some are all-7g.80gb"),
        (
            "gpus: 4",
            "gpus: 4, cpu: 2x",
            5,
            "cluster.nodes[0].cpu: '2x' is not a quantity; it should read like 2",
        ),
        (
            "gpus: 4",
            "gpus: 4, memory: -1",
            5,
            "cluster.nodes[0].memory: '-1' is negative; it must be 0 or more",
        ),
        (
            "gpus: 4",
            "gpus: 4, memory: 0",
            5,
            "cluster.nodes[0].memory: 0 is too little; there must be some memory",
        ),
        (
            "gpus: 4",
            "gpus: 4, cpu: yes",
            5,
            "cluster.nodes[0].cpu: it must be a quantity, such as 2, 500m or 16Gi",
        ),
        (
            "gpus: 4",
            "gpus: 4, labels: {zone: no}",
            5,
            "labels.zone must be a string (a number, true or false needs",
        ),
        ("gpus: 4", "gpus: 4, labels: {a b: c}", 5, 'labels has the key "a b", which must be a label\'s key'),
        (
            "gpus: 4",
            "gpus: 4, labels: {nvidia.com/gpu.count: '8'}",
            5,
            "nvidia.com/gpu.count is not for a scenario",
        ),
        (
            "gpus: 4",
            "gpus: 4, taints: [{key: a, effect: Never}]",
            5,
            "taints[0].effect must be 'NoSchedule', 'PreferNoSchedule' or",
        ),
        (
            "gpus: 4",
            "gpus: 4, joinsAtSeconds: -1",
            5,
            "cluster.nodes[0].joinsAtSeconds must be at least 0, not -1",
        ),
        (
            "gpus: 4",
            "gpus: 4, joinsAtSeconds: .inf",
            5,
            "joinsAtSeconds must be a finite number, not Infinity",
        ),
        (
            "gpus: 4",
            "gpus: 4, leavesAtSeconds: '14:00'",
            5,
            'cluster.nodes[0].leavesAtSeconds must be a number, not "14:00"',
        ),
        (
            "gpus: 4",
            "gpus: 4, leavesAtSeconds: 0",
            5,
            "cluster.nodes[0].leavesAtSeconds: 0 is too early; it must be more than 0, for the node is",
        ),
        (
            "gpus: 4",
            "gpus: 4, joinsAtSeconds: 60, leavesAtSeconds: 60",
            5,
            "nodes[0].leavesAtSeconds: 60 is too early; it must be more than joinsAtSeconds, 60",
        ),
        (
            "gpus: 4",
            "gpus: 4, leavesAtSeconds: 2.5, joinsAtSeconds: 10",
            5,
            "nodes[0].leavesAtSeconds: 2.5 is too early; it must be more than joinsAtSeconds, 10",
        ),
        ("gpus: 4", "gpus: 4, agent: 1", 5, "cluster.nodes[0].agent must be true or false, not 1"),
        (
            f"  - {NODE}\n",
            f"  - {NODE}\n  - {NODE}\n",
            4,
            "cluster.nodes: the node gpu is there twice; give the groups",
        ),
        (
            "name: gpu",
            "name: gpu, count: 10001",
            5,
            "cluster.nodes[0].count must be at most 10000, not 10001",
        ),
        (GENERATE, "null", 6, "workload: must have either trace or generate, and not both"),
        (
            f"generate: {GENERATE}",
            "trace: {path: no.jsonl}",
            7,
            "workload.trace.path: there is no file no.jsonl; it is",
        ),
        (
            f"generate: {GENERATE}",
            f"trace: {{path: {'a' * 999}}}",
            7,
            "workload.trace.path: there is no file a",
        ),
        (f"generate: {GENERATE}", 'trace: {path: "a\\0b"}', 7, "workload.trace.path: there is no file a"),
        (
            f"generate: {GENERATE}",
            "trace: {path: a, format: csv}",
            7,
            "format must be 'autoslicer', 'migbench' or 'open",
        ),
        (
            f"generate: {GENERATE}",
            "trace: {path: a, product: NVIDIA-A30}",
            7,
            "product is for the format openb alone",
        ),
        ("pods: 3", "pods: 1.5", 7, "workload.generate.pods must be a whole number, not 1.5"),
        ("pods: 3", "pods: 100000000, seed: -1", 7, "workload.generate.seed must be at least 0, not -1"),
        ("arrivalRate: 1", "arrivalRate: 0", 7, "workload.generate.arrivalRate must be more than 0, not 0"),
        ("arrivalRate: 1", "arrivalRate: .nan", 7, "arrivalRate must be a finite number, not NaN"),
        (
            "arrivalRate: 1",
            "arrivalRate: 1.0e-12",
            7,
            "pods divided by arrivalRate must be at most fifty years",
        ),
        (
            "constant: {seconds: 5}",
            "",
            7,
            "workload.generate.durations: must have one of constant, exponential and",
        ),
        ("seconds: 5", "seconds: -5", 7, "durations.constant.seconds must be more than 0, not -5"),
        ("1g.10gb: 1", "1g.11gb: 1", 7, 'profiles: "1g.11gb" is a profile of no GPU; some are 1g.1'),
        (
            "1g.10gb: 1",
            "1g.10gb: 0",
            7,
            "workload.generate.profiles: at least one weight must be more than 0",
        ),
        ("1g.10gb: 1", "1g.10gb: -1", 7, "workload.generate.profiles.1g.10gb must be at least 0, not -1"),
        (
            "pods: 3",
            "pods: 3, priorities: {'1.5': 1}",
            7,
            'priorities: "1.5" is no priority; it must be a whole',
        ),
        (
            "pods: 3",
            "pods: 3, namespaces: {A: 1}",
            7,
            'namespaces has the key "A", which must be a namespace',
        ),
        (
            WORKLOAD,
            f"{WORKLOAD}policy:\n  mode: Recommend\n",
            8,
            "policy: mode must be Auto: nobody approves changes in",
        ),
        (
            WORKLOAD,
            f"{WORKLOAD}policy:\n  trigger:\n    pendingSecond: 3\n",
            10,
            "pendingSecond is no field; did you",
        ),
        (WORKLOAD, f"{WORKLOAD}policy: [1]\n", 8, "policy must be a mapping, not [1]"),
        (
            WORKLOAD,
            f"{WORKLOAD}timing:\n  bootSeconds: 3\n",
            9,
            "timing.bootSeconds is no field; did you mean rebootSeconds?",
        ),
        (
            WORKLOAD,
            f"{WORKLOAD}timing:\n  failureRate: 1.5\n",
            9,
            "timing.failureRate must be at most 1, not 1.5",
        ),
        (
            WORKLOAD,
            f"{WORKLOAD}compare:\n- autoslicer\n- statik\n",
            10,
            'compare[1]: "statik" is no strategy; they are a',
        ),
        (
            WORKLOAD,
            f"{WORKLOAD}compare: [static, static]\n",
            8,
            "compare: static is there twice; name each strategy",
        ),
        (WORKLOAD, f"{WORKLOAD}seed: yes\n", 8, "seed must be a whole number, not true"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, said: str
) -> None:
    """Whoever writes a scenario reads in which line which field is wrong, and what would be right."""
    assert old in GOOD
    found = mistakes(scenario(tmp_path, GOOD.replace(old, new, 1)))
    assert [text for text in found if text.startswith(f"scenario.yaml:{line}: ") and said in text], found


def test_what_is_no_mapping_is_one_sentence(tmp_path: Path) -> None:
    """A file of another kind is refused as a whole."""
    assert mistakes(scenario(tmp_path, "- 1\n")) == [
        "scenario.yaml:1: the document must be a mapping, not [1]"
    ]


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    """Nobody mends a scenario one message at a time."""
    text = GOOD.replace("gpus: 4", "gpus: none").replace("pods: 3", "pods: many") + "seeds: 1\n"
    assert [line.split(": ")[0] for line in mistakes(scenario(tmp_path, text))] == [
        "scenario.yaml:5",
        "scenario.yaml:7",
        "scenario.yaml:8",
    ]


@pytest.mark.parametrize("product", geometry.products())
def test_every_config_that_is_possible_can_be_built(product: str) -> None:
    """A node begins with the layout that its config names, on every GPU model."""
    assert "all-disabled" in possible(product)
    for config in possible(product):
        cluster = Cluster(BUILT_IN)
        cluster.add_node("node", product, 2, config)
        assert len(cluster.gpus["node"]) == 2


def test_the_document_of_a_scenario_is_an_equal_scenario(tmp_path: Path) -> None:
    """What a report prints with every default filled in repeats the simulation that it tells of."""
    found = load(scenario(tmp_path, f"{GOOD}policy: {{headroom: [{{profile: 1g.10gb, free: 2}}]}}\n"))
    again = load(scenario(tmp_path, json.dumps(found.document), "again.yaml"))
    assert again == found
