"""The digest of a scenario: equal ones mean equal simulations, wherever the files lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulations.scenario.load import load
from simulations.scenario.scenario import digest
from simulations.workload.mistakes import InputError
from tests.simulations.scenario.files import CLUSTER, HEAD, WORKLOAD, scenario

LINE = b'{"pod": "team/one", "arrival": 1, "duration": 5, "requests": {}}\n'
BY_TRACE = f"{HEAD}{CLUSTER}workload: {{trace: {{path: trace.jsonl}}}}\n"


def _traced(folder: Path, content: bytes) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "trace.jsonl").write_bytes(content)
    return digest(load(scenario(folder, BY_TRACE)))


def test_a_digest_is_of_what_is_simulated_and_not_of_how_it_is_written(tmp_path: Path) -> None:
    """Comments, order and defaults that are written out change nothing; every value does."""
    first = digest(load(scenario(tmp_path)))
    assert first.startswith("sha256:")
    assert len(first) == 71
    written = f"{HEAD}seed: 1 # as ever\npolicy: null\n{WORKLOAD}{CLUSTER}timing: {{applySeconds: 30}}\n"
    assert digest(load(scenario(tmp_path, written, "other.yaml"))) == first
    started = ("cluster.nodes.0.joinsAtSeconds=0", "cluster.nodes.0.leavesAtSeconds=null")
    assert digest(load(scenario(tmp_path), started)) == first
    for text in (
        "seed=2",
        "cluster.nodes.0.joinsAtSeconds=1",
        "timing.applySeconds=31",
        "cluster.nodes.0.agent=false",
        "policy.suspend=true",
    ):
        assert digest(load(scenario(tmp_path), [text])) != first


def test_a_digest_covers_the_trace_and_not_its_place(tmp_path: Path) -> None:
    """A scenario that was moved has its digest; one whose trace was edited has another."""
    first = _traced(tmp_path / "a", LINE)
    assert _traced(tmp_path / "b", LINE) == first
    assert _traced(tmp_path / "a", LINE + LINE) != first


def test_a_digest_covers_the_dump_of_the_cluster(tmp_path: Path) -> None:
    """Another cluster is another simulation, and a dump that is gone is said to be."""
    dump = tmp_path / "dump.json"
    dump.write_bytes(b"{}")
    found = load(scenario(tmp_path, f"{HEAD}cluster: {{snapshot: dump.json}}\n{WORKLOAD}"))
    first = digest(found)
    dump.write_bytes(b"[]")
    assert digest(found) != first
    dump.unlink()
    with pytest.raises(InputError, match=r"dump.json: cannot be read: No such file"):
        digest(found)
