"""Tasks on a real Dask scheduler with two workers, one of which is killed half-way."""

from __future__ import annotations

import importlib.metadata
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from simulations.dask_cluster import cluster
from simulations.result import document
from simulations.scenario.points import points
from simulations.scenario.scenario import digest
from simulations.study import outcomes
from simulations.workers import NoSchedulerError, Processes, Workers, WorkersLostError
from simulations.workload.mistakes import InputError
from tests.architecture import ROOT
from tests.cli.conftest import Command, autoslicer
from tests.cli.test_lightness import loaded
from tests.simulations.tasks import Marked, counted, killed_always, refused, slow, squared

__all__ = ["autoslicer"]
SHIPPED = ROOT / "simulations" / "scenarios"
SWEEP = ("--set", "workload.generate.pods=12", "--sweep", "timing.applySeconds=30,60,90", "-o", "json")


@dataclass
class Dask:
    """A scheduler and its workers, each a process."""

    folder: Path
    address: str = ""
    scheduler: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def begin(self, stack: ExitStack) -> None:
        file = self.folder / "scheduler.json"
        where = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
        self.scheduler = self._process(stack, "scheduler", *where, "--no-show")
        deadline = time.monotonic() + 60
        while not file.exists() or not file.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.address = json.loads(file.read_text())["address"]
        options = (
            "--host",
            "127.0.0.1",
            "--no-nanny",
            "--nthreads",
            "1",
            "--local-directory",
            str(self.folder),
        )
        self.workers = [self._process(stack, "worker", self.address, *options) for _ in range(2)]

    def _process(self, stack: ExitStack, *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"},
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        return process


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Dask]:
    with ExitStack() as stack:
        found = Dask(tmp_path)
        found.begin(stack)
        yield found


def after(count: int, act: Callable[[], object]) -> Callable[[], None]:
    """What is told of each task, and acts after so many."""
    told: list[None] = []

    def done() -> None:
        told.append(None)
        if len(told) == count:
            act()

    return done


def told(workers: Workers, done: Callable[[], None] = lambda: None) -> str:
    """The documents of a small study."""
    found = points(SHIPPED / "morning.yaml", ["workload.generate.pods=12"], ["timing.applySeconds=30,60,90"])
    asked = [(one.scenario, digest(one.scenario)) for one in found]
    several = outcomes(asked, workers, lenient=False, done=done)
    return json.dumps([document(sure, one, None) for (_, sure), one in zip(asked, several, strict=True)])


def test_a_killed_worker_changes_no_byte(dask: Dask) -> None:
    """One of two is killed when a third of the study is through; nothing is lost and nothing differs."""
    with cluster(dask.address) as workers:
        found = told(workers, after(2, dask.workers[0].kill))
    assert dask.workers[0].wait(10) != 0
    assert dask.workers[1].poll() is None
    assert found == told(Processes(1))


def test_what_a_killed_worker_was_at_is_begun_again(dask: Dask) -> None:
    """By the other one; what was through already is not."""
    tasks = [Marked(number, dask.folder / str(number)) for number in range(8)]
    with cluster(dask.address) as workers:
        found = workers.results(counted, tasks, after(3, dask.workers[1].kill))
    assert found == list(range(8))
    begun = [task.file.stat().st_size for task in tasks]
    assert max(begun) == 2
    assert begun.count(1) >= 3


def test_results_and_mistakes_are_those_of_this_machine(dask: Dask) -> None:
    """In the order of the tasks; of several mistakes the first in that order."""
    with cluster(dask.address) as workers:
        assert workers.results(squared, range(9), lambda: None) == Processes(1).results(
            squared, range(9), lambda: None
        )
        with pytest.raises(ValueError, match=r"^1 is odd$"):
            workers.results(refused, range(9), lambda: None)


def test_files_are_read_by_the_workers_and_must_be_the_same(dask: Dask) -> None:
    """A trace that is not there, or is another one, is a sentence with the worker's host."""
    for name in ("trace.yaml", "trace.jsonl"):
        (dask.folder / name).write_bytes((SHIPPED / name).read_bytes())
    (point,) = points(dask.folder / "trace.yaml")
    asked, trace = [(point.scenario, digest(point.scenario))], dask.folder / "trace.jsonl"
    with cluster(dask.address) as workers:
        trace.write_text(trace.read_text().replace('"duration": ', '"duration": 1'))
        with pytest.raises(InputError) as other:
            outcomes(asked, workers, lenient=False)
        trace.unlink()
        with pytest.raises(InputError) as missing:
            outcomes(asked, workers, lenient=False)
    host = f"on {socket.gethostname()}: {trace}: "
    assert str(other.value) == f"{host}holds something else than when the simulation began"
    assert str(missing.value) == f"{host}cannot be read: No such file or directory"


def test_a_task_that_always_loses_its_worker_is_given_up(dask: Dask) -> None:
    """In a sentence that names it, though the scheduler would wait for more workers."""
    with cluster(dask.address) as workers, pytest.raises(WorkersLostError, match=r"^number 1: every worker"):
        workers.results(killed_always, [Marked(1, dask.folder / "1")], lambda: None)


def test_a_scheduler_that_goes_away_is_told(dask: Dask) -> None:
    """Nobody waits for it."""
    assert dask.scheduler is not None
    done = after(1, dask.scheduler.kill)
    with cluster(dask.address) as workers, pytest.raises(NoSchedulerError, match="the scheduler went away"):
        workers.results(slow, [0.1, 600, 600], done)


def test_the_command_gives_the_same_bytes_on_a_cluster(dask: Dask, autoslicer: Command) -> None:
    """With --dask as without."""
    command = [sys.executable, "-m", "autoslicer", "simulate", str(SHIPPED / "morning.yaml"), *SWEEP]
    ran = subprocess.run([*command, "--dask", dask.address], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == autoslicer("simulate", str(SHIPPED / "morning.yaml"), *SWEEP).out


def test_addresses_at_which_nobody_is(autoslicer: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody answers the cluster cannot be reached."""
    monkeypatch.setattr("simulations.dask_cluster.PATIENCE_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    nobody = autoslicer("simulate", str(SHIPPED / "trace.yaml"), "--dask", f"tcp://127.0.0.1:{port}")
    assert (nobody.code, nobody.out) == (4, "")
    assert nobody.sentence == f"--dask tcp://127.0.0.1:{port}: no Dask scheduler answers there"


@pytest.mark.parametrize(
    "address",
    [
        "", "foo", " ", "tcp://", "tcp://127.0.0.1", "tcp://h:abc", "tcp://h:0", "tcp://h:65536", "tcp://:8786",
        "tcp://h:8786 ", "tcp://h:8786/x", "tcp://a..b:8786", f"tcp://{'a' * 64}:8786", "tcp://::1:8786",
        "tcp://[::1]", "tcp://[h]:8786", "tcp://[::1:8786", "TCP://h:8786", "http://x:1", "inproc://a",
        "ucx://h:8786", "tcp://h\n:8786", "tcp://h\u0661:1",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_before_anybody_is_called(
    address: str, autoslicer: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slip in the address is one sentence that says how one reads, whether or not Dask is installed."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    found = autoslicer("simulate", str(SHIPPED / "trace.yaml"), "--dask", address)
    assert (found.code, found.out) == (2, "")
    assert found.sentence.endswith(
        ": is no address of a Dask scheduler; it must read like tcp://HOST:PORT or tls://HOST:PORT, "
        "with an IPv6 address in brackets"
    )


@pytest.mark.parametrize(
    "address",
    ["tcp://10.0.0.7:8786", "tls://dask-scheduler.team_a.svc.:1", "tcp://[fe80::1]:65535", "tcp://H-1:1"],
)
def test_what_is_an_address_is_called(
    address: str, autoslicer: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is refused whose address is one: here only Dask is missing."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    found = autoslicer("simulate", str(SHIPPED / "trace.yaml"), "--dask", address)
    assert found.sentence.startswith(f"--dask {address}: needs the package distributed")


@pytest.mark.parametrize(
    ("address", "settings", "told"),
    [
        ("tcp://", {}, "is no address of a Dask scheduler"),
        ("tls://127.0.0.1:9", {}, "TLS is not set up; name the files in Dask's settings, ca-file,"),
        ("tls://127.0.0.1:9", {"TLS__CA_FILE": "/none", "TLS__CLIENT__CERT": "/none"}, "cannot be used: "),
        ("tls://127.0.0.1:9", {"TLS__MIN_VERSION": "7"}, "cannot be used: "),
        ("tcp://127.0.0.1:9", {"REQUIRE_ENCRYPTION": "true"}, "use tls://HOST:PORT"),
    ],
)
def test_a_connection_that_cannot_be_is_refused_at_once(
    address: str, settings: dict[str, str], told: str
) -> None:
    """A process of its own ends without waiting, and its user reads one line and nothing of Python's."""
    command = [sys.executable, "-m", "autoslicer", "simulate", str(SHIPPED / "trace.yaml")]
    environment = {f"DASK_DISTRIBUTED__COMM__{name}": value for name, value in settings.items()}
    ran = subprocess.run(
        [*command, "--dask", address],
        capture_output=True, text=True, check=False, timeout=15, env={**os.environ, **environment},
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (2, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith(f"error: --dask {address}: ")
    assert told in line


def test_how_many_run_at_a_time_is_the_workers_affair(autoslicer: Command) -> None:
    """--processes would say nothing on a cluster, so it is refused there, also with its default."""
    asked = "simulate", str(SHIPPED / "trace.yaml"), "--dask", "tcp://127.0.0.1:8786", "--processes"
    for count in "0", "2":
        found = autoslicer(*asked, count)
        assert (found.code, found.out) == (2, "")
        assert found.sentence.startswith("--processes: with --dask ")


def test_without_the_extra_it_is_named(autoslicer: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one sentence, and no cluster is needed to hear it."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    found = autoslicer("simulate", str(SHIPPED / "trace.yaml"), "--dask", "tcp://127.0.0.1:8786")
    assert (found.code, found.out) == (2, "")
    assert found.sentence.endswith("install the extra: pip install 'autoslicer[dask]'")


def test_nobody_needs_dask_who_does_not_ask_for_it() -> None:
    """No installation without the extra brings it, and no simulation without --dask loads it."""
    needed = importlib.metadata.requires("autoslicer") or []
    assert [one for one in needed if one.startswith("distributed") and "extra ==" not in one] == []
    small = ("simulate", str(SHIPPED / "trace.yaml"), "--set", "compare=[static]")
    assert not loaded(*small) & {"distributed", "dask"}
