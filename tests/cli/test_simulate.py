"""`autoslicer simulate` on the shipped scenarios and on files that a user got wrong."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulations.run import Outcome
from simulations.summary import summary
from simulations.telling import answer
from tests.build import dump, node, pod
from tests.cli.conftest import Command, Ended
from tests.cli.dump import waiting_for_a_reshape

SHIPPED = Path(__file__).parents[2] / "simulations" / "scenarios"
SMALL = SHIPPED / "trace.yaml"
JOB = {"arrival": 0, "duration": 5, "requests": {"nvidia.com/mig-1g.10gb": 1}, "priority": 0, "group": None}
SCENARIO = """\
apiVersion: autoslicer.dev/v1alpha1
kind: Scenario
cluster:
  nodes:
  - {name: gpu, product: NVIDIA-H100-80GB-HBM3, gpus: 1, config: all-1g.10gb}
workload:
  trace: {path: jobs.jsonl, format: autoslicer}
"""


def written(folder: Path, *lines: dict[str, Any] | str) -> str:
    """A scenario with a trace of these lines beside it."""
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    (folder / "jobs.jsonl").write_text(text, encoding="utf-8")
    (folder / "scenario.yaml").write_text(SCENARIO, encoding="utf-8")
    return str(folder / "scenario.yaml")


def job(name: str, **fields: Any) -> dict[str, Any]:
    return {"pod": f"team/{name}", **JOB, **fields}


def simulated(*arguments: str, seed: str) -> str:
    """The output of a process of its own under a hash seed."""
    command = [sys.executable, "-m", "autoslicer", "simulate", *arguments, "-o", "json"]
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


@pytest.mark.parametrize("name", ["trace", "morning"])
def test_a_scenario_gives_the_same_bytes_always(name: str) -> None:
    """In another process, under another hash seed, one strategy after the other or side by side."""
    path = str(SHIPPED / f"{name}.yaml")
    first = simulated(path, "--processes", "1", seed="1")
    assert simulated(path, "--processes", "2", seed="2") == first
    found = json.loads(first)
    assert (found["apiVersion"], found["kind"]) == ("autoslicer.dev/v1alpha1", "SimulationResult")
    ours, static = found["results"]
    assert (ours["strategy"], static["strategy"]) == ("autoslicer", "static")
    assert ours["unserved"] < static["unserved"]
    assert ours["waitSeconds"]["mean"] >= ours["bound"]["meanWaitSeconds"] > 0


def test_the_answer_comes_first(autoslicer: Command) -> None:
    """A sentence says what came out, then a table has every strategy, and wide every profile."""
    found = autoslicer("simulate", str(SMALL), "-o", "wide", "--processes", "1")
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert lines[0].startswith("autoslicer serves 18 of 18 pods, with a mean wait of 7.3 s and 1 reshape.")
    assert lines[1].startswith("The others: static 16 with ")
    assert lines[2] == "Who is never served waits to the end, which is the same for all."
    assert [line.split()[0] for line in lines[4:7]] == ["strategy", "autoslicer", "static"]
    assert any(line.startswith("2g.20gb") for line in lines[7:])


def test_nodes_that_leave_are_told_of(autoslicer: Command) -> None:
    """The same bytes under every hash seed; the table counts the pods that were lost where there are any."""
    fields = (
        "workload.generate.pods=60",
        "cluster.nodes.1.leavesAtSeconds=1800",
        "cluster.nodes.2.joinsAtSeconds=3000",
    )
    path = [str(SHIPPED / "spot.yaml"), *(part for field in fields for part in ("--set", field))]
    first = simulated(*path, "--processes", "1", seed="1")
    assert simulated(*path, "--processes", "2", seed="2") == first
    results = json.loads(first)["results"]
    assert [bool(found["evictions"]) for found in results] == [True, False]
    assert all(found["bound"]["meanWaitSeconds"] is None for found in results)
    tables = [autoslicer("simulate", *path, "--set", f"compare=[{name}]").out for name in ("dra", "static")]
    assert ["evictions" in table for table in tables] == [True, False]


def test_one_strategy_alone_is_told_of_alone() -> None:
    """Nobody is compared with nobody."""
    waits = summary([1.0])
    alone = Outcome("static", 1, 1, 0, waits, {}, 2.0, 0, 0, 0.0, 0, 0.1, 0.0)
    assert list(answer([alone])) == ["static serves 1 of 1 pod, with a mean wait of 1.0 s and 0 reshapes."]


def test_a_field_can_be_set(autoslicer: Command) -> None:
    """With --set the file stays as it is, and the digest says that it is another simulation."""
    static = ("--set", "compare=[static]", "--processes", "1", "-o", "json")
    as_it_is = json.loads(autoslicer("simulate", str(SMALL), *static).out)
    late = json.loads(autoslicer("simulate", str(SMALL), *static, "--set", "timing.scheduleSeconds=9").out)
    assert late["scenario"]["digest"] != as_it_is["scenario"]["digest"]
    fewest = (found["results"][0]["waitSeconds"]["p50"] for found in (as_it_is, late))
    assert tuple(fewest) == (0.25, 9.0)


def refused(found: Ended) -> list[str]:
    assert (found.code, found.out) == (2, "")
    return [line.removeprefix("error: ") for line in found.err.splitlines()]


def test_a_broken_line_is_named(autoslicer: Command, tmp_path: Path) -> None:
    """Line 7,301 of a trace that is broken there, before anything is simulated; --lenient leaves it out."""
    lines: list[dict[str, Any] | str] = [job(f"{n}", arrival=n * 10) for n in range(7300)]
    path = written(tmp_path, *lines, '{"pod": ', job("last", arrival=80_000))
    (sentence,) = refused(autoslicer("simulate", path, "--set", "compare=[static]"))
    assert "jobs.jsonl:7301: " in sentence
    found = autoslicer("simulate", path, "--set", "compare=[static]", "--lenient", "-o", "json")
    assert (found.code, found.err) == (0, "warning: skipped 1 line of the trace: 1 x broken syntax\n")
    assert json.loads(found.out)["results"][0]["pods"] == 7301


def test_mistakes_are_sentences(autoslicer: Command, tmp_path: Path) -> None:
    """A missing file, an unknown field and a pod that comes twice: what, where, and what would be right."""
    (sentence,) = refused(autoslicer("simulate", str(tmp_path / "no.yaml")))
    assert "no.yaml: cannot be read" in sentence
    path = written(tmp_path, job("a"))
    (sentence,) = refused(autoslicer("simulate", path, "--set", "timing.aplySeconds=9"))
    assert "aplySeconds" in sentence
    assert "applySeconds" in sentence
    path = written(tmp_path, job("a"), job("a", arrival=1))
    (sentence,) = refused(autoslicer("simulate", path, "--processes", "1"))
    assert (
        "jobs.jsonl:2: pod: team/a arrives at 1.0 s while the pod of a line above runs until 5.0 s"
        in sentence
    )


def test_mistakes_come_through_from_other_processes(autoslicer: Command, tmp_path: Path) -> None:
    """Where strategies run side by side a mistake is the same sentence."""
    path = written(tmp_path, job("a"), job("a", arrival=1))
    assert refused(autoslicer("simulate", path, "--processes", "2")) == refused(
        autoslicer("simulate", path, "--processes", "1")
    )


def test_a_name_in_use_can_be_skipped(autoslicer: Command, tmp_path: Path) -> None:
    """By whom strategies are compared: all of them meet the same pods, those whose name comes in time."""
    path = written(tmp_path, job("a"), job("a", arrival=1), job("a", arrival=5))
    found = autoslicer("simulate", path, "--lenient", "--processes", "1", "-o", "json")
    assert (found.code, found.err) == (0, "warning: skipped 1 line of the trace: 1 x name in use\n")
    assert {result["pods"] for result in json.loads(found.out)["results"]} == {2}


def test_the_simulators_own_pods_keep_their_names(autoslicer: Command, tmp_path: Path) -> None:
    """A trace cannot have a pod with the name of a virtual mig-manager: that is said, whoever is compared."""
    path = written(tmp_path, job("b"), {**job("a"), "pod": "gpu-operator/nvidia-mig-manager-gpu"})
    asked = [("simulate", path, "--set", f"compare=[{name}]") for name in ("autoslicer", "hami")]
    for question in (*asked, ("capacity", path, "--until-served", "99%")):
        (sentence,) = refused(autoslicer(*question))
        assert (
            "jobs.jsonl:2: pod: gpu-operator/nvidia-mig-manager-gpu arrives at 0.0 s while a Daemon"
            in sentence
        )


def test_a_name_of_the_dump_is_in_use(autoslicer: Command, tmp_path: Path) -> None:
    """Nobody knows when its pod ends, unless a line at 0 tells; the other job's line is named."""
    there = pod("team/a").wants({"1g.10gb": 1}).on("gpu")
    dumped = json.dumps(dump(node("gpu").gpus(1).config("all-1g.10gb"), there))
    path = of_dump(tmp_path, dumped)
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text(f"{json.dumps(job('b'))}\n{json.dumps(job('a', arrival=9))}\n")
    (sentence,) = refused(autoslicer("simulate", path, "--processes", "1"))
    assert (
        "jobs.jsonl:2: pod: team/a arrives at 9.0 s while the dump's pod of that name is there; " in sentence
    )
    jobs.write_text(f"{json.dumps(job('a'))}\n{json.dumps(job('a', arrival=9))}\n")
    found = autoslicer("simulate", path, "--processes", "1", "-o", "json")
    assert [result["completed"] for result in json.loads(found.out)["results"]] == [2, 2]


def of_dump(folder: Path, dumped: str) -> str:
    """A scenario of a cluster from a dump with this text, and one job."""
    path = written(folder, job("a"))
    (folder / "dump.json").write_text(dumped, encoding="utf-8")
    nodes = SCENARIO[SCENARIO.index("  nodes:") : SCENARIO.index("workload:")]
    Path(path).write_text(SCENARIO.replace(nodes, "  snapshot: dump.json\n"), encoding="utf-8")
    return path


def test_a_dump_is_simulated_and_what_differs_is_told(autoslicer: Command, tmp_path: Path) -> None:
    """Its pods meet the scenario's policy; stderr says what nobody knows of them, and no bound is claimed."""
    path = of_dump(tmp_path, json.dumps(waiting_for_a_reshape()))
    ended = autoslicer("simulate", path, "-o", "json", "--processes", "1")
    ours, static = json.loads(ended.out)["results"]
    assert (ended.code, ours["pods"], ours["unserved"], static["unserved"]) == (0, 9, 1, 9)
    assert ours["bound"] == {"meanWaitSeconds": None}
    first, *notes = ended.err.splitlines()
    assert first.startswith("of the dump 0 pods with slices run and 8 wait; those without a job")
    assert notes == ["dump: 2 nodes without a mig-manager get one"]


def test_one_of_a_dump_is_told_of_as_one(autoslicer: Command, tmp_path: Path) -> None:
    """Whatever is there once is said of in the singular."""
    there = [node("gpu").gpus(1).config("all-7g.80gb"), pod("team/old").wants({"7g.80gb": 1}).on("gpu")]
    dumped = dump(*there, pod("team/new").wants({"7g.80gb": 1}))
    dumped["items"].append({"apiVersion": "v1", "kind": "Node", "metadata": {}})
    ended = autoslicer("simulate", of_dump(tmp_path, json.dumps(dumped)), "--processes", "1")
    first, *notes = ended.err.splitlines()
    assert first.startswith("of the dump 1 pod with slices runs and 1 waits; those without a job")
    assert notes == [
        "dump: 1 malformed object is left out",
        "dump: 1 node without a mig-manager gets one",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "a snapshot must be a Kubernetes List, not an object without a kind"),
        ('{"kind": "List",\n}', "dump.json:2: is no JSON: "),
        ('{"kind": "List", "items": NaN}', "NaN is no number of JSON"),
        (f'{{"kind": {"9" * 5000}}}', "dump.json: holds a number of thousands of digits; no dump has one"),
    ],
)
def test_a_file_that_is_no_dump_is_refused(autoslicer: Command, tmp_path: Path, text: str, said: str) -> None:
    """In a sentence that names it, rather than read as an empty cluster."""
    (sentence,) = refused(autoslicer("simulate", of_dump(tmp_path, text)))
    assert "dump.json" in sentence
    assert said in sentence


def test_a_report_is_written(autoslicer: Command, tmp_path: Path) -> None:
    """With html=FILE there is a report beside the table, the same however many processes work."""
    file = tmp_path / "report.html"
    found = autoslicer("simulate", str(SMALL), "-o", f"html={file}", "--processes", "1")
    assert (found.code, found.err) == (0, f"report: {file}\n")
    assert found.out == autoslicer("simulate", str(SMALL), "--processes", "1").out
    text = file.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert found.out.splitlines()[0] in text
    assert json.loads(autoslicer("simulate", str(SMALL), "-o", "json").out)["scenario"]["digest"] in text
    assert autoslicer("simulate", str(SMALL), "-o", f"html={file}", "--processes", "2").code == 0
    assert file.read_text(encoding="utf-8") == text


def test_a_report_that_cannot_be_written(autoslicer: Command, tmp_path: Path) -> None:
    """An unknown format and a file that cannot be written are one sentence each, before anything is done."""
    for wrong in ("htm", "html", "html=", "HTML=x"):
        found = autoslicer("simulate", str(SMALL), "-o", wrong)
        assert found.code == 2
        assert found.sentence == f"-o is '{wrong}'; it must be table, wide, json, yaml or html=FILE"
    for several in (("--seeds", "2"), ("--sweep", "timing.applySeconds=5,9")):
        found = autoslicer("simulate", str(SMALL), "-o", f"html={tmp_path / 'report.html'}", *several)
        assert found.code == 2
        assert found.sentence.startswith("-o html=FILE tells of one scenario; leave out --sweep and --seeds")
    refused = {
        tmp_path / "no" / "report.html": f"there is no folder {tmp_path / 'no'}",
        tmp_path: "Is a directory",
        Path("/proc/report.html"): "No such file or directory",
        tmp_path / f"{'x' * 300}.html": "File name too long",
    }
    for file, why in refused.items():
        found = autoslicer("simulate", str(tmp_path / "none.yaml"), "-o", f"html={file}")
        assert (found.code, found.out) == (2, "")
        assert found.sentence == f"{file}: cannot be written: {why}", "before anything is read"


def test_trying_a_report_leaves_no_trace(autoslicer: Command, tmp_path: Path) -> None:
    """Where nothing comes of the simulation there is no empty report, and the one before it is whole."""
    new, old, link = tmp_path / "new.html", tmp_path / "old.html", tmp_path / "link.html"
    old.write_text("kept", encoding="utf-8")
    link.symlink_to(tmp_path / "nowhere.html")
    for file in (new, old, link):
        assert autoslicer("simulate", str(tmp_path / "none.yaml"), "-o", f"html={file}").code == 2
    assert old.read_text(encoding="utf-8") == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.html", "old.html"]
    assert not link.exists()


def test_a_report_that_finds_no_room_takes_nothing_along(
    autoslicer: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is told all the same, and no part of a report is left."""
    file = tmp_path / "report.html"
    asked = ("simulate", str(SMALL), "--set", "compare=[static]", "--processes", "1")

    def full(path: Path, text: str, encoding: str) -> int:
        path.write_bytes(text[:99].encode(encoding))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    found = autoslicer(*asked, "-o", f"html={file}")
    assert (found.code, found.sentence) == (1, f"{file}: cannot be written: No space left on device")
    assert found.out == autoslicer(*asked).out != ""
    assert not file.exists()


def test_a_report_of_a_dump_begins_with_what_runs_there(autoslicer: Command, tmp_path: Path) -> None:
    """Slices that a dumped pod holds are in use from the start, and for ever where no job ends it."""
    old = pod("team/old").wants({"7g.80gb": 1}).on("gpu")
    dumped = json.dumps(dump(node("gpu").gpus(1).config("all-7g.80gb"), old))
    path, file = of_dump(tmp_path, dumped), tmp_path / "report.html"
    asked = ("simulate", path, "-o", f"html={file}", "--set", "compare=[static]", "--processes", "1")
    assert autoslicer(*asked).code == 0, "a run in which nothing ever happens has a report too"
    (tmp_path / "jobs.jsonl").write_text(json.dumps(job("a", arrival=50)), encoding="utf-8")
    assert autoslicer(*asked).code == 0
    text = file.read_text(encoding="utf-8")
    assert "at most 1 offered, at most 0 stranded" in text
    assert "at most 8 in use" in text
