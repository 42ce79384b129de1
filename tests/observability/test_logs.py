"""What the controller says while it runs."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import logging, structlog
from autoslicer.observability.logs import configure
configure({form!r})
structlog.get_logger("autoslicer").info("serving", port=8080)
logging.getLogger("some.library").warning("careful, %s", "you")
logging.getLogger("kopf.activities").info("chatter")
structlog.get_logger("autoslicer").warning("refused", error="evil\\x1b[2J\\nname", node="gpu-a")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger("autoslicer").exception("a cycle failed")
"""


def _run(form: str) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(form=form)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)


def test_json_logs_are_one_object_a_line() -> None:
    """A log collector can parse every line: our own, those of libraries, and those with a traceback."""
    done = _run("json")
    assert done.stdout == ""
    serving, careful, refused, failed = [json.loads(line) for line in done.stderr.splitlines()]
    assert (serving["event"], serving["port"], serving["level"]) == ("serving", 8080, "info")
    assert (careful["event"], careful["logger"]) == ("careful, you", "some.library")
    assert refused["error"] == "evil\x1b[2J\nname"
    assert "ZeroDivisionError" in failed["exception"]
    assert all("timestamp" in line for line in (serving, careful, failed))


def test_text_logs_are_for_people() -> None:
    """Without json the same goes to stderr as plain lines, without colours where no terminal is."""
    done = _run("text")
    assert done.stdout == ""
    assert "serving" in done.stderr
    assert "port=8080" in done.stderr
    assert "careful, you" in done.stderr
    assert "\x1b[" not in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert [line.count("node=gpu-a") for line in done.stderr.splitlines() if "evil" in line] == [1]
    assert "chatter" not in done.stderr
