"""`autoslicer record` on a real control plane, and what a simulation makes of it."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from autoslicer.core.reading import pod as read_pod
from simulations.recording import Recording
from tests.build import NOON, Pod, dump, node, pod
from tests.cli.conftest import Command
from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until

SCENARIO = """\
apiVersion: autoslicer.dev/v1alpha1
kind: Scenario
cluster: {snapshot: dump.json}
workload: {trace: {path: trace.jsonl, format: autoslicer}}
"""


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_a_recorded_cluster_is_simulated(
    cluster: Cluster, autoslicer: Command, tmp_path: Path, sign: signal.Signals
) -> None:
    """Pods that came, ended and stayed are in the trace with their times; a kill loses none that ended."""
    cluster.gpu_node("gpu-a", {"1g.10gb": 7}, config="all-1g.10gb")
    old, stays = (cluster.pod(name, {"1g.10gb": 1}) for name in ("old", "stays"))
    cluster.wait_running([old, stays])
    trace, begun = tmp_path / "trace.jsonl", tmp_path / "dump.json"
    spool = tmp_path / "trace.jsonl.spool"
    command = [sys.executable, "-m", "autoslicer", "record", "--output", str(trace), "--snapshot", str(begun)]
    said = (tmp_path / "said").open("w+")
    with subprocess.Popen([*command, "--kubeconfig", str(cluster.kubeconfig)], stderr=said) as process:
        until(lambda: "recording to" in Path(said.name).read_text(), 30, lambda: Path(said.name).read_text())
        began = time.monotonic()
        new = cluster.pod("new", {"1g.10gb": 1})
        cluster.wait_running([new])
        ran = time.monotonic()
        time.sleep(2)
        cluster.delete_pod(new)
        ended = time.monotonic() - ran
        cluster.delete_pod(old)
        whole = time.monotonic() - began
        until(lambda: len(spool.read_text().splitlines()) == 2, 10, lambda: spool.read_text())
        process.send_signal(sign)
        code = process.wait(30)
    said.close()
    if sign is signal.SIGKILL:
        assert {json.loads(line)["pod"] for line in spool.read_text().splitlines()} == {old, new}
        assert not trace.exists()
        return
    assert code == 0
    assert not spool.exists()
    found = {job["pod"]: job for job in map(json.loads, trace.read_text().splitlines())}
    assert {old, new, stays} <= found.keys()
    assert (found[old]["arrival"], found[stays]["arrival"], found[stays]["duration"]) == (0.0, 0.0, None)
    assert found[new]["arrival"] > 0
    assert ended - 1 < found[new]["duration"] < whole
    assert found[new]["requests"] == {"nvidia.com/mig-1g.10gb": 1, "cpu": "1"}
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    simulated = autoslicer("simulate", str(tmp_path / "scenario.yaml"), "-o", "json", "--processes", "1")
    assert simulated.code == 0, simulated.err
    for result in json.loads(simulated.out)["results"]:
        assert (result["unserved"], result["completed"]) == (0, 2)


@contextmanager
def killed(process: subprocess.Popen[str]) -> Iterator[None]:
    """A process does not outlive its test."""
    try:
        yield
    finally:
        process.kill()


def test_a_full_disk_ends_a_recording_with_a_sentence(cluster: Cluster, tmp_path: Path) -> None:
    """What was recorded until then is kept, and it is said where."""
    cluster.gpu_node("gpu-a", {"1g.10gb": 7}, config="all-1g.10gb")
    first, second = (cluster.pod(name, {"1g.10gb": 1}) for name in ("first", "second"))
    cluster.wait_running([first, second])
    trace, spool = tmp_path / "trace.jsonl", tmp_path / "trace.jsonl.spool"
    command = [sys.executable, "-m", "autoslicer", "record", "--output", str(trace)]
    command += ["--snapshot", str(tmp_path / "dump.json"), "--kubeconfig", str(cluster.kubeconfig)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process, killed(process):
        assert process.stderr is not None
        while "recording to" not in process.stderr.readline():
            assert process.poll() is None
        cluster.delete_pod(first)
        until(lambda: bool(spool.read_text()), 10, lambda: "nothing was recorded")
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (spool.stat().st_size, resource.RLIM_INFINITY))
        cluster.delete_pod(second)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert (
        said == f"error: {spool} cannot be written: File too large; what was recorded until then is there\n"
    )
    assert [json.loads(line)["pod"] for line in spool.read_text().splitlines()] == [first]


def test_nothing_is_overwritten(autoslicer: Command, tmp_path: Path) -> None:
    """A file that is there, a spool of a recording that was killed among them, is refused before anything."""
    trace, begun = tmp_path / "trace.jsonl", tmp_path / "dump.json"
    (tmp_path / "trace.jsonl.spool").write_text("")
    ended = autoslicer("record", "--output", str(trace), "--snapshot", str(begun))
    assert (ended.code, ended.sentence) == (2, f"{trace}.spool exists; move it away, or name another file")
    ended = autoslicer("record", "--output", str(trace), "--snapshot", str(begun), "--for", "long")
    assert ended.sentence == "--for: 'long' is no length of time; it should read like 90s, 30m, 24h or 7d"


def test_trace_and_dump_are_two_files(autoslicer: Command, tmp_path: Path) -> None:
    """However one of them is spelled, the dump of whoever names a file twice is not lost to the trace."""
    (tmp_path / "same").symlink_to(tmp_path)
    trace, spelled = tmp_path / "t.jsonl", tmp_path / "same" / "t.jsonl"
    for second, use in (
        (trace, "is the trace's too"),
        (spelled, "is the trace's too"),
        (tmp_path / "t.jsonl.spool", "is where the trace's lines go meanwhile"),
    ):
        ended = autoslicer("record", "--output", str(trace), "--snapshot", str(second))
        assert (ended.code, ended.sentence) == (2, f"--snapshot: {second} {use}; name another file")
    assert [file.name for file in tmp_path.iterdir()] == ["same"]


@pytest.mark.parametrize("name", [".", "", "/", ".."])
@pytest.mark.parametrize(("option", "other"), [("--output", "--snapshot"), ("--snapshot", "--output")])
def test_a_name_of_no_file_is_refused(
    autoslicer: Command, tmp_path: Path, name: str, option: str, other: str
) -> None:
    """In one sentence that names the option."""
    ended = autoslicer("record", option, name, other, str(tmp_path / "file"))
    assert ended.code == 2
    assert ended.sentence.startswith(f"{option}: '{Path(name)}' is no file's name; it should read like ")


def test_what_cannot_be_written_is_refused_before_anything_is(autoslicer: Command, tmp_path: Path) -> None:
    """A name that is too long, a folder that is not there or is none; no recording is lost to it."""
    (tmp_path / "file").write_text("kept")
    fine = tmp_path / "fine"
    for name, why in (
        ("x" * 300, "File name too long"),
        ("no/such", "No such file or directory"),
        ("file/such", "Not a directory"),
    ):
        bad = tmp_path / name
        ended = autoslicer("record", "--output", str(bad), "--snapshot", str(fine))
        assert (ended.code, ended.sentence) == (2, f"{bad}.spool cannot be written: {why}")
        ended = autoslicer("record", "--output", str(fine), "--snapshot", str(bad))
        assert (ended.code, ended.sentence) == (2, f"{bad} cannot be written: {why}")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["kept"]
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    ended = autoslicer("record", "--output", str(fine), "--snapshot", str(tmp_path / "link"))
    assert (ended.code, ended.sentence) == (
        2,
        f"{tmp_path / 'link'} exists; move it away, or name another file",
    )


@pytest.mark.parametrize("taken", [False, True])
def test_a_file_that_comes_meanwhile_is_kept(
    autoslicer: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    """The trace goes to where nothing is at the end either; where something is, the spool stays."""
    trace, begun, spool = (tmp_path / name for name in ("t", "d", "t.spool"))

    def followed(*_: object) -> None:
        assert {file.name for file in tmp_path.iterdir()} == {"d", "t.spool"}
        if taken:
            trace.write_text("another's")

    pod_there = pod("team/stays").wants({"1g.10gb": 1}).raw
    monkeypatch.setattr("autoslicer.cli.record.session", lambda *_: nullcontext())
    monkeypatch.setattr("autoslicer.cli.record.collect", lambda *_: {"kind": "List", "items": [pod_there]})
    monkeypatch.setattr("autoslicer.cli.record._follow", followed)
    ended = autoslicer("record", "--output", str(trace), "--snapshot", str(begun))
    assert json.loads(begun.read_text())["items"] == [pod_there]
    job = (spool if taken else trace).read_text()
    assert json.loads(job)["pod"] == "team/stays"
    assert (ended.code, spool.exists()) == (1 if taken else 0, taken)
    if taken:
        assert trace.read_text() == "another's"
        said = f"error: {trace} cannot be written: File exists; what was recorded is in {spool}"
        assert ended.err.splitlines()[-1] == said


def test_what_the_dump_holds_is_no_obstacle_to_its_trace(
    autoslicer: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated: a pod comes again while the dump's one is being deleted, and a waiting one is cancelled."""

    def web() -> Pod:
        return pod("team/web-0").wants({"1g.10gb": 1}).on("gpu-a")

    waits = pod("team/waits").wants({"1g.10gb": 1})
    begun = dump(node("gpu-a").gpus(1).config("all-1g.10gb"), web().deleting(), waits)

    def followed(_: object, recording: Recording, seconds: float | None) -> None:
        old, new = (replace(read_pod(web().created(NOON + at).raw), uid=f"{at}") for at in (-60, 6))
        recording.notice(old, None, NOON + 5)
        recording.notice(None, new, NOON + 6)
        recording.notice(new, None, NOON + 16)
        recording.notice(read_pod(waits.raw), None, NOON + 20)

    monkeypatch.setattr("autoslicer.cli.record.session", lambda *_: nullcontext())
    monkeypatch.setattr("autoslicer.cli.record.collect", lambda *_: begun)
    monkeypatch.setattr("autoslicer.cli.record._now", lambda: NOON)
    monkeypatch.setattr("autoslicer.cli.record._follow", followed)
    files = "--output", str(tmp_path / "trace.jsonl"), "--snapshot", str(tmp_path / "dump.json")
    ended = autoslicer("record", *files)
    assert ended.code == 0
    assert ended.err.splitlines()[-1] == "gave 1 pod of the dump that went before they ran the duration 0"
    found = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    assert [(job["pod"], job["arrival"], job["duration"]) for job in found] == [
        ("team/waits", 0, 0),
        ("team/web-0-1", 6, 10),
    ]
    (tmp_path / "scenario.yaml").write_text(f"{SCENARIO}compare: [static]\n")
    simulated = autoslicer("simulate", str(tmp_path / "scenario.yaml"), "-o", "json")
    assert simulated.code == 0, simulated.err
    (result,) = json.loads(simulated.out)["results"]
    assert (result["pods"], result["completed"]) == (2, 2)
    (tmp_path / "trace.jsonl").write_text(json.dumps({**found[1], "pod": "team/web-0"}))
    behind = autoslicer("simulate", str(tmp_path / "scenario.yaml"), "-o", "json")
    (result,) = json.loads(behind.out)["results"]
    assert result["waitSeconds"]["max"] > 20, "the first of that name is there for half a minute"


def test_a_cluster_that_is_not_there_leaves_no_file(autoslicer: Command, tmp_path: Path) -> None:
    """Exit code 4, and the same command can be given again."""
    config = tmp_path / "config"
    config.write_text(
        json.dumps(
            {
                "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "users": [{"name": "u", "user": {}}],
                "current-context": "c",
            }
        )
    )
    files = "--output", str(tmp_path / "t"), "--snapshot", str(tmp_path / "d")
    assert autoslicer("record", *files, "--kubeconfig", str(config)).code == 4
    assert list(tmp_path.iterdir()) == [config]
