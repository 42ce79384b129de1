"""What a killed test run leaves behind is swept by the next one, and nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cluster import leftovers
from tests.cluster.processes import Process
from tests.cluster.waiting import until

GONE = f"{os.getpid()} 1"
"""our pid with another start time: a process that is no more, whose number was given again"""


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Test clusters live below here."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def sleeper(directory: Path, *words: object) -> Process:
    """A recorded process of a cluster whose command line has these words."""
    process = Process(
        "sleeper", ["bash", "-c", "sleep 600; true", *map(str, words)], directory / "sleeper.log"
    )
    process.start()
    # it begins as setpriv, with the same words, and while another program is loaded it has no command line
    command = Path(f"/proc/{process.pid}/cmdline")
    until(lambda: command.read_bytes().startswith(b"bash\0"), 5, process.tail, every=0.01)
    return process


def test_an_owner_that_is_gone_is_swept() -> None:
    """The directory of a killed run goes, and so does a server of it that still runs."""
    directory = leftovers.make()
    (directory / "etcd").mkdir()
    server = sleeper(directory, directory / "etcd")
    (directory / "owner").write_text(GONE)
    assert leftovers.sweep() == [directory]
    assert not directory.exists()
    assert server.wait(5) == -9


def test_an_owner_that_lives_keeps_its_cluster() -> None:
    """A test run beside ours loses neither directory nor server."""
    directory = leftovers.make()
    server = sleeper(directory, directory)
    assert leftovers.sweep() == []
    assert directory.is_dir()
    assert server.alive
    server.kill()


def test_a_number_given_again_is_not_killed() -> None:
    """A recorded pid whose command does not name the directory is somebody else's by now."""
    directory = leftovers.make()
    other = sleeper(directory, "something else")
    (directory / "owner").write_text(GONE)
    assert leftovers.sweep() == [directory]
    assert other.alive
    other.kill()


def test_logs_of_a_failed_run_are_kept() -> None:
    """After a failure the logs stay, without etcd's data, also at the next run; else nothing stays."""
    failed, passed = leftovers.make(), leftovers.make()
    for directory in (failed, passed):
        (directory / "etcd").mkdir()
        (directory / "server.log").touch()
    leftovers.remove(failed, keep_logs=True)
    leftovers.remove(passed)
    assert leftovers.sweep() == []
    assert [path.name for path in failed.iterdir()] == ["server.log"]
    assert not passed.exists()
