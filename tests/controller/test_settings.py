"""What `autoslicer run` says to settings that are wrong."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from autoslicer.cli.main import main

FLAGS = {
    "--metrics-address=here": "'here' is no address to listen on; it should read like :8080",
    "--metrics-address=:70000": "':70000' is no address to listen on",
    "--log-format=xml": "Input should be 'text' or 'json'",
}
VARIABLES = {
    "LEASE_DURATION_SECONDS=long": "AUTOSLICER_LEASE_DURATION_SECONDS: Input should be a valid integer",
    "LEASE_DURATION_SECONDS=5": "the lease's duration (5 s) must be longer than its renew deadline (10 s)",
    "RETRY_PERIOD_SECONDS=0": "its retry period (0 s), which is at least 1 s",
    "IDLE_CONFIRM_SECONDS=-1": "AUTOSLICER_IDLE_CONFIRM_SECONDS: Input should be greater than or equal to 0",
    "PUBLISH_SETTLE_SECONDS=inf": "AUTOSLICER_PUBLISH_SETTLE_SECONDS: Input should be a finite number",
    "METRICS_ADDRESS=": "--metrics-address or AUTOSLICER_METRICS_ADDRESS: '' is no address",
}


def _refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence with which the command line is refused as bad input."""
    assert main(["run", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    return line.removeprefix("error: ")


@pytest.mark.parametrize(("flag", "sentence"), FLAGS.items(), ids=FLAGS)
def test_a_wrong_flag_is_refused(capsys: pytest.CaptureFixture[str], flag: str, sentence: str) -> None:
    """Nothing is started; one sentence names the flag, its variable and what would be right."""
    said = _refused(capsys, flag)
    name = flag.partition("=")[0]
    assert said.startswith(f"{name} or AUTOSLICER_{name.strip('-').replace('-', '_').upper()}: ")
    assert sentence in said


@pytest.mark.parametrize(("variable", "sentence"), VARIABLES.items(), ids=VARIABLES)
def test_a_wrong_variable_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variable: str, sentence: str
) -> None:
    """The same for what comes from the environment, one by one and together."""
    name, _, value = variable.partition("=")
    monkeypatch.setenv(f"AUTOSLICER_{name}", value)
    assert sentence in _refused(capsys)


KUBECONFIGS = {
    "absent": (None, "the kubeconfig {} does not exist"),
    "empty": ("", "the kubeconfig cannot be used: {} is not one"),
    "no YAML": ("a: [", "the kubeconfig cannot be used: {} is not one"),
    "a list": ("- 1", "the kubeconfig cannot be used: {} is not one"),
    "without a context": ("kind: Config\nclusters: []\n", "the kubeconfig cannot be used: "),
    "without a server": (
        "current-context: x\nclusters: [{name: c, cluster: {}}]\nusers: []\n"
        "contexts: [{name: x, context: {cluster: c}}]\n",
        "the kubeconfig cannot be used: its cluster has no server",
    ),
    "without certificates": (
        'current-context: x\nclusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]\n'
        "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
        "users: [{name: u, user: {client-certificate-data: aGFsbG8=, client-key-data: aGFsbG8=}}]\n",
        "the certificates to connect with cannot be used: ",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), KUBECONFIGS.values(), ids=KUBECONFIGS)
def test_a_kubeconfig_that_is_none_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str | None, sentence: str
) -> None:
    """A named kubeconfig that leads nowhere is bad input, told in a sentence."""
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    assert _refused(capsys, f"--kubeconfig={path}").startswith(sentence.format(path))


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autoslicer", "run", *arguments]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


def test_without_any_cluster_it_says_so(tmp_path: Path) -> None:
    """Neither a kubeconfig nor a service account: exit code 4 and a sentence."""
    ended = _run(HOME=str(tmp_path), KUBECONFIG="", KUBERNETES_SERVICE_HOST="")
    assert (ended.returncode, ended.stderr) == (
        4,
        "error: neither a kubeconfig nor a pod's service account is here\n",
    )


def test_a_port_in_use_is_told(account: Path) -> None:
    """A second controller on the same port ends at once with exit code 1 and a sentence."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = _run(f"--kubeconfig={account}", f"--metrics-address={address}")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == f"error: cannot listen on {address}: address already in use"
    assert "Traceback" not in ended.stderr
