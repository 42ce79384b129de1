"""`autoslicer capacity` on small dumps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.cli.dump import waiting_for_a_reshape, worth_packing

Saved = Callable[[Any], str]


def test_the_table_shows_room_now_and_after_reshapes(autoslicer: Command, saved: Saved) -> None:
    """Two idle whole GPUs take two big pods now, and fourteen small ones once they are cut."""
    ended = autoslicer("capacity", "-f", saved(waiting_for_a_reshape()))
    assert ended.code == 0
    head, *rows = ended.out.splitlines()
    assert head == "2 nodes with slices or GPUs; 2 of 2 GPUs may be cut anew."
    cells = [row.split() for row in rows]
    assert ["7g.80gb", "2", "2"] in cells
    assert ["1g.10gb", "0", "14"] in cells
    assert not any("+me" in row for row in rows)
    assert "no MigAutoscalingPolicy found" in ended.err


def test_what_pods_ask_for_besides_bounds_the_room(autoslicer: Command, saved: Saved) -> None:
    """With 20 of a node's 64 cores each, three pods fit a node; without any, what its GPU can hold."""
    dump = saved(waiting_for_a_reshape())

    def room(*arguments: str) -> dict[str, int]:
        found = json.loads(autoslicer("capacity", "-f", dump, "-o", "json", *arguments).out)
        return {row["profile"]: row["afterReshapes"] for row in found["total"]["profiles"]}

    assert room()["1g.10gb"] == 14
    assert room("--cpu", "20")["1g.10gb"] == 6
    assert room("--memory", "200Gi")["1g.10gb"] == 2


def test_the_nodes_that_packing_would_free_are_told(autoslicer: Command, saved: Saved) -> None:
    """How many, which and for how many moves; wide also says why the others stay in use."""
    dump = saved(worth_packing())
    told = autoslicer("capacity", "-f", dump).out.splitlines()
    cells = [row.split() for row in told]
    assert ["as", "it", "is", "now", "1", "0", "0"] in cells
    assert ["moving", "pods", "of", "freed", "nodes", "only", "2", "1", "0"] in cells
    assert "moving pods of freed nodes only: gpu-0" in told
    assert {"No way frees more.", "1 pod may move; 1 node must stay in use."} <= set(told)
    why = "team/1 has no controller that would replace it"
    assert f"gpu-1 stays in use: {why}" in autoslicer("capacity", "-f", dump, "-o", "wide").out.splitlines()
    freed = {"freeNodes": ["gpu-0", "gpu-2"], "movedPods": 1, "recutNodes": []}
    assert json.loads(autoslicer("capacity", "-f", dump, "-o", "json").out)["packed"] == {
        "freeNow": ["gpu-2"],
        "gently": freed,
        "tightly": {**freed, "atMost": 2},
        "movablePods": 1,
        "heldNodes": [{"node": "gpu-1", "message": why}],
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--cpu", "lots"), "--cpu: 'lots' is not a quantity; it should read like 2, 500m or 16Gi"),
        (("--memory", "-1"), "--memory: '-1' is negative"),
    ],
)
def test_what_is_no_amount_is_refused(
    autoslicer: Command, saved: Saved, arguments: tuple[str, str], said: str
) -> None:
    """In one sentence that names the option."""
    ended = autoslicer("capacity", "-f", saved(waiting_for_a_reshape()), *arguments)
    assert (ended.code, ended.out, ended.sentence) == (2, "", said)


SCENARIO = """\
apiVersion: autoslicer.dev/v1alpha1
kind: Scenario
cluster:
  nodes:
  - {count: 2, name: gpu, product: NVIDIA-H100-80GB-HBM3, gpus: 1, config: all-7g.80gb}
workload:
  generate: {pods: 6, arrivalRate: 1, durations: {constant: {seconds: 500}}, profiles: {7g.80gb: 1}}
"""


def test_a_scenario_is_told_how_many_nodes_it_needs(autoslicer: Command, tmp_path: Path) -> None:
    """Six pods that each want a whole GPU at once need six: four nodes more; all that was tried is told."""
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    ended = autoslicer("capacity", str(path), "--until-served", "100%", "--within", "60")
    assert ended.code == 0
    assert ["gpu-0", "NVIDIA-H100-80GB-HBM3", "1", "4", "6/6"] in [
        line.split() for line in ended.out.splitlines()
    ]
    assert "NVIDIA-H100-80GB-HBM3: 3 more like gpu-0: 5 of 6 pods served" in ended.err
    made = json.loads(autoslicer("capacity", str(path), "--within", "60", "--most", "3", "-o", "json").out)
    assert (made["kind"], made["share"], made["withinSeconds"]) == ("CapacityNeed", 0.99, 60.0)
    (need,) = made["nodes"]
    assert (need["like"], need["more"]) == ("gpu-0", None)
    assert [trial["more"] for trial in need["tried"]] == [0, 1, 2, 3]


@pytest.mark.parametrize("share", ["99", "0%", "101%", "nearly all"])
def test_what_is_no_share_is_refused(autoslicer: Command, tmp_path: Path, share: str) -> None:
    """In one sentence that shows how a share reads."""
    ended = autoslicer("capacity", str(tmp_path / "scenario.yaml"), "--until-served", share)
    assert ended.code == 2
    assert (
        ended.sentence == f"--until-served: {share!r} is no share of pods; it should read like 99% or 99.5%"
    )


TRACED = """\
apiVersion: autoslicer.dev/v1alpha1
kind: Scenario
cluster:
  nodes:
  - {name: gpu-0, product: NVIDIA-H100-80GB-HBM3, gpus: 1, config: all-7g.80gb}
workload: {trace: {path: jobs.jsonl, format: autoslicer}}
"""


def test_a_broken_line_of_a_trace_is_named(autoslicer: Command, tmp_path: Path) -> None:
    """Before anything is simulated, as `simulate` does; --lenient leaves the line out and says so."""
    job = {"arrival": 0, "duration": 500, "requests": {"nvidia.com/mig-7g.80gb": 1}}
    good = [json.dumps({"pod": f"team/{name}"} | job) for name in "ab"]
    path = tmp_path / "scenario.yaml"
    path.write_text(TRACED, encoding="utf-8")
    (tmp_path / "jobs.jsonl").write_text("\n".join((*good, '{"pod": ')), encoding="utf-8")
    asked = "capacity", str(path), "--within", "60"
    ended = autoslicer(*asked)
    assert (ended.code, ended.out) == (2, "")
    assert f"{tmp_path / 'jobs.jsonl'}:3: the line is no JSON" in ended.sentence
    assert ended.sentence == autoslicer("simulate", str(path)).sentence
    ended = autoslicer(*asked, "--lenient", "-o", "json")
    assert ended.code == 0
    assert ended.err.splitlines()[0] == "warning: skipped 1 line of the trace: 1 x broken syntax"
    (need,) = json.loads(ended.out)["nodes"]
    assert need["more"] == 1
    (tmp_path / "jobs.jsonl").write_text("\n".join(good), encoding="utf-8")
    whole = autoslicer(*asked, "-o", "json")
    assert json.loads(whole.out)["nodes"] == [need]
    assert "skipped" not in whole.err


@pytest.mark.parametrize(
    "option",
    [
        ("-f", "dump.json"),
        ("--policy", "/no/such"),
        ("--cpu", "0"),
        ("--memory", "banana"),
        ("--now", "yesterday"),
        ("--kubeconfig", "/no/such"),
        ("--context", "no"),
    ],
)
def test_a_scenario_and_a_cluster_are_two_questions(
    autoslicer: Command, tmp_path: Path, option: tuple[str, str]
) -> None:
    """What only a cluster is asked is refused beside a scenario, even as it would be by default."""
    path = tmp_path / "scenario.yaml"
    ended = autoslicer("capacity", str(path), *option)
    said = f"{option[0]}: asks about a cluster, and {path} is a scenario; leave one of them out"
    assert (ended.code, ended.out, ended.sentence) == (2, "", said)


@pytest.mark.parametrize(
    "option", [("--until-served", "99%"), ("--within", "5"), ("--most", "3"), ("--lenient",)]
)
def test_a_cluster_is_not_asked_about_a_scenario(
    autoslicer: Command, saved: Saved, option: tuple[str, ...]
) -> None:
    """What only a scenario is asked is refused without one."""
    ended = autoslicer("capacity", "-f", saved({"kind": "List", "items": []}), *option)
    said = f"{option[0]}: asks about a scenario; name one, or leave out {option[0]}"
    assert (ended.code, ended.out, ended.sentence) == (2, "", said)


def test_a_scenario_of_a_dump_has_no_nodes_to_add(autoslicer: Command, tmp_path: Path) -> None:
    """It is refused, in one sentence that says what would be right."""
    path = tmp_path / "scenario.yaml"
    (tmp_path / "dump.json").write_text("{}")
    nodes = SCENARIO[SCENARIO.index("  nodes:") : SCENARIO.index("workload:")]
    path.write_text(SCENARIO.replace(nodes, "  snapshot: dump.json\n"), encoding="utf-8")
    ended = autoslicer("capacity", str(path))
    assert (ended.code, ended.sentence.endswith("names no kinds of nodes to add; describe nodes")) == (
        2,
        True,
    )
