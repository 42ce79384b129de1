import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from autoslicer import __version__
from tests.cli.conftest import Command

BIN = Path(sys.executable).parent


def test_version_in_both_forms(autoslicer: Command) -> None:
    """People get one line, programs a document."""
    assert autoslicer("version").out == f"autoslicer {__version__}\n"
    assert json.loads(autoslicer("version", "-o", "json").out)["version"] == __version__


@pytest.mark.parametrize("program", ["autoslicer", "kubectl-autoslicer"])
def test_version_imports_nothing_heavy(program: str) -> None:
    """Both programs are installed, and a command that needs no cluster and no solver starts without them."""
    code = (
        f"import sys; sys.argv = ['{program}', 'version']; from autoslicer.cli.main import main; main(); "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    assert (BIN / program).exists()
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.splitlines()[1].split())
    assert "autoslicer" in loaded
    assert not loaded & {"kubernetes", "kopf", "ortools", "numpy", "rich", "prometheus_client", "aiohttp"}


def test_kubectl_plugin_calls_itself_by_kubectls_words() -> None:
    """Run as a plugin, help names the command that the user typed."""
    ran = subprocess.run([BIN / "kubectl-autoslicer", "--help"], capture_output=True, text=True, check=True)
    assert "kubectl autoslicer" in ran.stdout


def test_no_arguments_show_the_help(autoslicer: Command) -> None:
    """A first call without arguments shows the commands and is no error."""
    ended = autoslicer()
    assert ended.code == 0
    assert "profiles" in ended.out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nonsense"], "nonsense"),
        (["version", "--nonsense"], "--nonsense"),
        (["version", "-o", "xml"], "'json', 'yaml'"),
        (["profiles", "A30", "B200"], "B200"),
        (["configs"], "Missing command"),
    ],
)
def test_wrong_usage_is_one_sentence(autoslicer: Command, arguments: list[str], named: str) -> None:
    """A wrong command line gives exit code 2 and one sentence that names what is wrong."""
    ended = autoslicer(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert named in ended.sentence


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (
            ["--log-format", "xml"],
            {},
            "--log-format or AUTOSLICER_LOG_FORMAT: Input should be 'text' or 'json'",
        ),
        (
            ["--metrics-address", "8080"],
            {},
            "--metrics-address or AUTOSLICER_METRICS_ADDRESS: '8080' is no address",
        ),
        ([], {"AUTOSLICER_LOG_FORMAT": "xml"}, "--log-format or AUTOSLICER_LOG_FORMAT: "),
        ([], {"AUTOSLICER_IDLE_CONFIRM_SECONDS": "-1"}, "AUTOSLICER_IDLE_CONFIRM_SECONDS: "),
    ],
)
def test_run_refuses_a_wrong_setting(
    autoslicer: Command,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environment: dict[str, str],
    sentence: str,
) -> None:
    """The controller does not start with a setting that is wrong; flag and variable are both named."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ended = autoslicer("run", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.sentence.startswith(sentence)


def test_closed_pipe_gives_no_traceback() -> None:
    """`autoslicer ... | head` ends quietly when the reader goes away."""
    reader, writer = os.pipe()
    os.close(reader)
    ran = subprocess.run([BIN / "autoslicer", "profiles"], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (141, b"")


def test_piped_output_is_plain() -> None:
    """Nothing but text leaves through a pipe: no colour codes, no padding."""
    ran = subprocess.run([BIN / "autoslicer", "profiles", "A30"], capture_output=True, text=True, check=True)
    assert "\x1b" not in ran.stdout
    assert all(line == line.rstrip() for line in ran.stdout.splitlines())


def test_interrupting_a_command_gives_130_and_no_traceback(tmp_path: Path) -> None:
    """Ctrl-C while a command waits for its input ends it quietly."""
    fifo = tmp_path / "dump"
    os.mkfifo(fifo)
    waiting = subprocess.Popen(
        [BIN / "autoslicer", "plan", "-f", fifo], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with open(fifo, "w"):  # opens once the command reads
        waiting.send_signal(signal.SIGINT)
        out, err = waiting.communicate(timeout=30)
    assert (waiting.returncode, out, err) == (130, b"", b"")
