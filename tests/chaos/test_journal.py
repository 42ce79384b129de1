"""A run that was cut short is gone on with."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.journal import Journal


def test_lines_come_back_by_kind(tmp_path: Path) -> None:
    """In their order; what was cut short in the middle of a line does not count."""
    path = tmp_path / "journal"
    Journal(path).write("kill", {"aim": "Waiting"})
    Journal(path).write("round", {"fault": "x"})
    Journal(path).write("kill", {"aim": "Labelled"})
    with path.open("a") as file:
        file.write('{"kind": "kill", "wh')
    assert Journal(path).lines("kill") == [{"aim": "Waiting"}, {"aim": "Labelled"}]
    assert Journal(path).lines("round") == [{"fault": "x"}]


def test_without_a_file_nothing_is_kept() -> None:
    """Every run begins anew then."""
    journal = Journal()
    journal.write("kill", {"aim": "Waiting"})
    assert journal.lines("kill") == []
