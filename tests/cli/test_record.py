"""`autoslicer record` on a real control plane, and what a simulation makes of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

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
    trace, dump = tmp_path / "trace.jsonl", tmp_path / "dump.json"
    spool = tmp_path / "trace.jsonl.spool"
    command = [sys.executable, "-m", "autoslicer", "record", "--output", str(trace), "--snapshot", str(dump)]
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


def test_nothing_is_overwritten(autoslicer: Command, tmp_path: Path) -> None:
    """A file that is there, a spool of a recording that was killed among them, is refused before anything."""
    trace, dump = tmp_path / "trace.jsonl", tmp_path / "dump.json"
    (tmp_path / "trace.jsonl.spool").write_text("")
    ended = autoslicer("record", "--output", str(trace), "--snapshot", str(dump))
    assert (ended.code, ended.sentence) == (2, f"{trace}.spool exists; move it away, or name another file")
    ended = autoslicer("record", "--output", str(trace), "--snapshot", str(dump), "--for", "long")
    assert ended.sentence == "--for: 'long' is no length of time; it should read like 90s, 30m, 24h or 7d"


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
