"""The demo tells its story in order, the same one every time, on a pipe and on a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping

import pytest

from simulations import demo
from simulations.pace import QUICKEST
from tests.architecture import ROOT

CHAPTERS = (
    "The cluster: 2 nodes with 2 x NVIDIA-H100-80GB-HBM3",
    "12 pods come in, 10 want 1g.10gb and 2 want 3g.40gb",
    "0/2 nodes are available: 2 Insufficient nvidia.com/mig-1g.10gb.",
    "The plan: 12 of 12 pending pods can be served by reshaping 2 nodes",
    "It is carried out",
    "The result: 12 of 12 requests are fulfilled",
    "10 x 1g.10gb  from Pending to a slice",
    "2 x 3g.40gb  from Pending to a slice",
    "3 GPUs changed on 2 nodes",
    "Try next",
)
STEPS = (
    "validated",
    "tainted",
    "idle",
    "published",
    "labelled",
    "pending",
    "success",
    "taint lifted",
    "offered",
    "bound",
    "verified",
    "done",
)
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def environment(**variables: str) -> Mapping[str, str]:
    kept = {
        key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")
    }
    return kept | {"TERM": "xterm-256color"} | variables


def told(**variables: str) -> bytes:
    command = [sys.executable, "-m", "simulations.demo"]
    run = subprocess.run(
        command, cwd=ROOT, env=environment(**variables), capture_output=True, timeout=60, check=True
    )
    assert not run.stderr
    return run.stdout


def told_on_a_terminal(**variables: str) -> str:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "simulations.demo", "--fast"]
    with subprocess.Popen(command, cwd=ROOT, env=environment(**variables), stdout=theirs) as run:
        os.close(theirs)
        seen = bytearray()
        while chunk := _read(ours):
            seen += chunk
    os.close(ours)
    assert run.returncode == 0
    return seen.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux's answer once the other side is closed
        return b""


@pytest.fixture(scope="module")
def story() -> str:
    return told(PYTHONHASHSEED="0").decode()


def in_order(text: str, parts: tuple[str, ...]) -> None:
    position = 0
    for part in parts:
        found = text.find(part, position)
        assert found >= 0, f"{part!r} does not come where it should"
        position = found + len(part)


def test_the_chapters_come_in_order(story: str) -> None:
    """Pods that wait, why, the plan, its execution, the counts, and what to try next."""
    in_order(story, CHAPTERS)


@pytest.mark.parametrize("node", demo.NODES)
def test_each_node_goes_through_every_step_in_order(story: str, node: str) -> None:
    """Taint, idleness, config, label, mig-manager's run, the taint lifted, slices, pods, proof."""
    lines = [line for line in story.splitlines() if re.match(rf".{{10}}{node}  ", line)]
    assert [line[17:30].strip() for line in lines] == list(STEPS)


def test_the_drawing_shows_what_the_pods_asked_for(story: str) -> None:
    """The final drawing has ten cells of 1g.10gb and two of 3g.40gb at least, and one GPU as it was."""
    drawing = story.partition("GPUs changed on 2 nodes")[2]
    cells = [cell.strip() for line in drawing.splitlines() if "GPU " in line for cell in line.split("|")]
    assert cells.count("1g") >= 10
    assert cells.count("3g.40gb") >= 2
    assert cells.count("7g.80gb") == 1


def test_it_is_the_same_story_every_time(story: str) -> None:
    """Neither another run nor another hash seed changes a byte."""
    assert told(PYTHONHASHSEED="0") == told(PYTHONHASHSEED="1") == story.encode()


def test_a_pipe_gets_plain_lines_that_fit_a_terminal(story: str) -> None:
    """No escape codes, and no line longer than 80 characters."""
    assert not ESCAPES.search(story)
    assert max(map(len, story.splitlines())) <= 80


def test_a_terminal_gets_the_same_words_in_colour(story: str) -> None:
    """What is coloured on a terminal reads as on a pipe."""
    seen = told_on_a_terminal()
    assert "\x1b[32m" in seen
    assert ESCAPES.sub("", seen) == story


def test_no_color_is_respected(story: str) -> None:
    """With NO_COLOR no colour is sent to a terminal either."""
    seen = told_on_a_terminal(NO_COLOR="1")
    assert not re.search(r"\x1b\[(3|4|9)\d", seen)
    assert ESCAPES.sub("", seen) == story


def test_a_story_that_does_not_end_well_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the pods do not get their slices in time, the demo says so and fails."""
    monkeypatch.setattr(demo, "PATIENCE", 10.0)
    assert demo.main(["--fast"]) == 1
    assert "0 of 12 requests are fulfilled" in capsys.readouterr().out


def test_the_time_of_the_last_pod_is_taken_apart() -> None:
    """The parts add up to the longest wait, and mig-manager is charged with its own run alone."""
    text = told().decode()
    parts = {
        what: float(s)
        for s, what in re.findall(r"^ +([0-9.]+) s  (.+)$", text.split("Where the time")[1], re.M)
    }
    longest = max(float(found) for found in re.findall(r"longest ([0-9.]+) s", text))
    assert sum(parts.values()) == pytest.approx(longest)
    assert parts["mig-manager cuts the GPUs"] == QUICKEST
    assert parts["nodes come back one after the other"] > 0
