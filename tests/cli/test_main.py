import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

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


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """How a line ends that a shell runs, with the program as $A."""
    given = {**os.environ, "A": str(BIN / "autoslicer"), **environment}
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, env=given)


@pytest.mark.parametrize("arguments", ["version", "version -o yaml", "profiles", "--help", "plan -h"])
def test_output_that_cannot_be_written_is_one_sentence(arguments: str) -> None:
    """On a full disk, or without a stdout, a command says so and fails; where there is room it does not."""
    full = shell(f"$A {arguments} >/dev/full")
    assert (full.returncode, full.stderr) == (1, "error: stdout cannot be written: No space left on device\n")
    closed = shell(f"$A {arguments} >&-")
    assert (closed.returncode, closed.stderr) == (
        1,
        "error: stdout is closed; there is nowhere to write to\n",
    )
    written = shell(f"$A {arguments}")
    assert (written.returncode, written.stderr) == (0, "")
    assert written.stdout


@pytest.mark.parametrize("nowhere", ["2>&-", "2>/dev/full"])
def test_what_is_said_besides_never_gets_into_the_data(nowhere: str, saved: Callable[[Any], str]) -> None:
    """Without a stderr, stdout holds the same bytes, and the command ends in the same way."""
    asked = f"$A plan -o json -f {saved({'kind': 'List', 'items': []})}"
    heard, unheard = shell(asked), shell(f"{asked} {nowhere}")
    assert heard.stderr
    assert (unheard.returncode, unheard.stdout, unheard.stderr) == (0, heard.stdout, "")
    refused = shell(f"$A nonsense {nowhere}")
    assert (refused.returncode, refused.stdout) == (2, "")


def test_a_text_keeps_what_the_encoding_can_express() -> None:
    """A sign that ASCII does not have becomes a question mark, and is whole where there is UTF-8."""
    code = "from autoslicer.cli.output import write; write('2 \u00b1 1')"
    assert shell(f'{sys.executable} -c "{code}"', PYTHONIOENCODING="ascii").stdout == "2 ? 1"
    assert shell(f'{sys.executable} -c "{code}"', PYTHONIOENCODING="utf-8").stdout == "2 \u00b1 1"


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_document_means_the_same_in_every_encoding(form: str) -> None:
    """What ASCII does not have is escaped in it, not replaced."""
    code = f"from autoslicer.cli.output import data; data({{'a': '2 \u00b1 1'}}, '{form}')"
    plain = shell(f'{sys.executable} -c "{code}"', PYTHONIOENCODING="ascii").stdout
    whole = shell(f'{sys.executable} -c "{code}"', PYTHONIOENCODING="utf-8").stdout
    assert plain.isascii()
    assert "\u00b1" in whole
    assert yaml.safe_load(plain) == yaml.safe_load(whole) == {"a": "2 \u00b1 1"}
