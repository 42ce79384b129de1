"""`autoslicer simulate` with --sweep and --seeds: what is listed, what is answered, what dies."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.conftest import Command

SHIPPED = Path(__file__).parents[2] / "simulations" / "scenarios"
SMALL, MORNING = str(SHIPPED / "trace.yaml"), str(SHIPPED / "morning.yaml")
STATIC = ("--set", "compare=[static, first-fit]")
SWEEP = ("--sweep", "timing.applySeconds=30,5", "--sweep", "timing.scheduleSeconds=1,2")
FEW = ("--set", "workload.generate.pods=12")


def test_several_are_a_list_in_the_order_of_the_request(autoslicer: Command) -> None:
    """Every item is what the same fields by --set give, with what was swept and the seed beside."""
    asked = (MORNING, *STATIC, *FEW, "--seeds", "2", "-o", "json")
    found = json.loads(autoslicer("simulate", *asked, *SWEEP, "--processes", "1").out)
    assert (found["apiVersion"], found["kind"]) == ("autoslicer.dev/v1alpha1", "SimulationResultList")
    order = [(one["scenario"]["set"], one["scenario"]["seed"]) for one in found["items"]]
    assert order == [
        ({"timing.applySeconds": apply, "timing.scheduleSeconds": schedule}, seed)
        for apply in (30, 5) for schedule in (1, 2) for seed in (7, 8)
    ]  # fmt: skip
    fields = ("timing.applySeconds=5", "timing.scheduleSeconds=1", "seed=8")
    settings = [word for field in fields for word in ("--set", field)]
    alone = json.loads(
        autoslicer("simulate", MORNING, *STATIC, *FEW, *settings, "-o", "json", "--processes", "1").out
    )
    item = found["items"][5]
    assert {**item, "scenario": {"digest": item["scenario"]["digest"]}} == alone


def test_one_is_no_list(autoslicer: Command) -> None:
    """A sweep of one value under one seed is the result that --set gives."""
    asked = (SMALL, *STATIC, "-o", "json", "--processes", "1")
    swept = autoslicer("simulate", *asked, "--sweep", "timing.applySeconds=9", "--seeds", "1").out
    assert swept == autoslicer("simulate", *asked, "--set", "timing.applySeconds=9").out
    assert json.loads(swept)["kind"] == "SimulationResult"


def test_bad_values_end_it_before_anything_runs(autoslicer: Command) -> None:
    """Each is a sentence, and the good ones beside them are not simulated."""
    found = autoslicer("simulate", SMALL, "--sweep", "timing.applySeconds=5,1,x", "--timings")
    assert (found.code, found.out) == (2, "")
    assert [line.partition(": ")[2] for line in found.err.splitlines()] == [
        "timing.applySeconds=1: timing.applySeconds must be at least 5, not 1",
        'timing.applySeconds=x: timing.applySeconds must be a number, not "x"',
    ]


def test_a_sweep_is_answered(autoslicer: Command) -> None:
    """First which value is best and what the others do, then a row for each value and strategy."""
    found = autoslicer(
        "simulate", SMALL, "--sweep", "policy.trigger.pendingSeconds=120,5", "--processes", "1"
    )
    assert (found.code, found.err) == (0, "")
    first, others, _, *rows = found.out.splitlines()
    best = "Of 2 values of policy.trigger.pendingSeconds, 5 is best for autoslicer"
    assert first == f"{best}: it serves 18 of 18 pods, with a mean wait of 7.3 s."
    assert others == "The others: 120 (later)."
    heads = ["pendingSeconds", "strategy", "120", "120", "5", "5"]
    assert [row.split()[0] for row in rows[:5]] == [heads[0], *heads[2:]]


def test_seeds_are_told_with_their_intervals(autoslicer: Command) -> None:
    """Every figure has its interval and says of how many seeds; what cannot be told apart is told so."""
    asked = (MORNING, *FEW, "--set", "compare=[static]", "--seeds", "3", "--processes", "1")
    found = autoslicer("simulate", *asked)
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("Under 3 seeds static serves ")
    assert "Each figure is the mean of 3 seeds ± its 95 % confidence interval (Student's t)." in found.out
    untold = autoslicer("simulate", *asked, "--sweep", "timing.applySeconds=30,60", "-o", "wide").out
    assert untold.startswith(
        "Of 2 values of timing.applySeconds, 30 has the lowest mean wait for static, but there"
    )
    alone = autoslicer(
        "simulate", *asked[:-4], "--processes", "1", "--sweep", "timing.applySeconds=30,60"
    ).out
    first, chance, *_ = alone.splitlines()
    assert first == "Of 2 values of timing.applySeconds, none makes a difference for static."
    assert chance == "One seed cannot tell this from chance; --seeds 10 may."


def test_a_trace_has_the_same_jobs_under_every_seed(autoslicer: Command) -> None:
    """Who asks for seeds of a trace is told that they do not change it."""
    asked = ("simulate", SMALL, "--set", "compare=[static]", "--seeds", "2", "--processes", "1")
    same = "warning: a trace has the same jobs under every seed"
    assert autoslicer(*asked).err == f"{same}, and nothing else differs\n"
    assert autoslicer(*asked, "--set", "timing.failureRate=0.5").err == f"{same}, only the failures differ\n"


def begun(*arguments: str, **streams: int) -> subprocess.Popen[str]:
    """A process of its own, in a group of its own as a shell would start it."""
    command = [sys.executable, "-m", "autoslicer", "simulate", *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.Popen(command, text=True, process_group=0, **streams)  # type: ignore[call-overload, no-any-return]


def children(parent: subprocess.Popen[str], count: int) -> list[int]:
    """The processes that simulate, once there are so many."""
    deadline = time.monotonic() + 60
    while True:
        listed = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text(encoding="utf-8")
        found = [one for one in listed.split() if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]
        if len(found) == count:
            return [int(one) for one in found]
        assert parent.poll() is None, parent.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_process_changes_no_byte(autoslicer: Command) -> None:
    """A process that is killed in the middle of a study costs time and nothing else."""
    asked = (MORNING, *FEW, "--sweep", "timing.applySeconds=30,60,90", "-o", "json")
    expected = autoslicer("simulate", *asked, "--processes", "1").out
    with begun(*asked, "--processes", "2") as study:
        os.kill(children(study, 2)[0], signal.SIGKILL)
        out, err = study.communicate()
    assert (study.returncode, err) == (0, "")
    assert out == expected


@pytest.mark.parametrize("wait", [0.0, 0.6, 2.5])
def test_ctrl_c_ends_a_study_at_once(wait: float) -> None:
    """Whether its processes have just been started or are at work: exit code 130, not a word from them."""
    with begun(MORNING, "--seeds", "6", "--processes", "2") as study:
        working = children(study, 2)
        time.sleep(wait)
        os.killpg(study.pid, signal.SIGINT)
        out, err = study.communicate(timeout=20)
    assert (study.returncode, out, err.strip()) == (130, "", "")
    assert not any(Path(f"/proc/{one}").exists() for one in working)


def test_one_bar_shows_the_progress_on_a_terminal() -> None:
    """On stderr, of all simulations together, and gone at the end."""
    ours, theirs = pty.openpty()
    shown = b""
    with begun(SMALL, *STATIC, *SWEEP, "--processes", "2", "-o", "json", stderr=theirs) as study:
        os.close(theirs)
        with suppress(OSError):  # nobody writes any more
            while chunk := os.read(ours, 1 << 16):
                shown += chunk
        out, _ = study.communicate()
    os.close(ours)
    assert json.loads(out)["kind"] == "SimulationResultList"
    assert b"simulating" in shown
    assert b"100%" in shown
