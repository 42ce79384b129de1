"""The examples of docs/simulate.md are valid, and name every field that there is."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from autoslicer.api.sentences import fields
from simulations.scenario import cluster, model, workload
from simulations.scenario.load import load
from simulations.scenario.points import points
from simulations.workload.mistakes import InputError
from simulations.workload.source import jobs
from tests.architecture import ROOT
from tests.simulations.scenario.files import CLUSTER, HEAD, scenario

PAGE = (ROOT / "docs" / "simulate.md").read_text(encoding="utf-8")
MODELS = (
    model.ScenarioModel, model.TimingModel, cluster.Cluster, cluster.NodeGroup, cluster.NodeTaint,
    workload.Workload,
    workload.Trace, workload.Generate, workload.Durations, workload.Constant, workload.Exponential,
    workload.Lognormal,
)  # fmt: skip


def _example(language: str, word: str) -> str:
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return next(block for block in blocks if word in block)


def test_the_scenario_on_the_page_is_valid(tmp_path: Path) -> None:
    """What somebody copies from the page runs, and with it the trace's line."""
    (tmp_path / "jobs.jsonl").write_text(_example("json", "arrival"), encoding="utf-8")
    found = load(scenario(tmp_path, _example("yaml", "kind: Scenario")))
    assert [job.pod for job in jobs(found.workload)] == ["team/name"]


def test_the_generator_on_the_page_is_valid(tmp_path: Path) -> None:
    """What somebody copies from the page gives as many jobs as it says."""
    found = load(scenario(tmp_path, f"{HEAD}{CLUSTER}{_example('yaml', 'generate:')}"))
    assert len(list(jobs(found.workload))) == 60


def _asked(page: str) -> list[tuple[Path, list[str], list[str]]]:
    """The commands of a page that change fields: the shipped scenario, and what --set and --sweep say."""
    lines = re.findall(r"^autoslicer simulate .+$", page, re.MULTILINE)
    inline = re.findall(r"`(--(?:set|sweep) [a-z][^`]*)`", page)
    found = []
    for words in map(shlex.split, [*lines, *inline]):
        given: dict[str, list[str]] = {"--set": [], "--sweep": []}
        for option, value in pairwise(words):
            if option in given:
                given[option].append(value)
        if any(given.values()):
            name = "spot" if "leavesAtSeconds" in str(given) else "morning"
            found.append((ROOT / "simulations" / "scenarios" / f"{name}.yaml", *given.values()))
    return found


def test_the_commands_on_the_page_are_valid() -> None:
    """What somebody copies from the page is read, and no two of its scenarios are the same."""
    asked = _asked(PAGE)
    assert len(asked) >= 5
    for file, settings, sweeps in asked:
        documents = [str(one.scenario.document) for one in points(file, settings, sweeps)]
        assert len(set(documents)) == len(documents), sweeps


def test_a_command_on_the_page_with_a_wrong_value_is_found() -> None:
    """So the test above would find it."""
    ((file, settings, sweeps),) = _asked("autoslicer simulate scenario.yaml --sweep timing.applySeconds=30,x")
    with pytest.raises(InputError, match="must be a number"):
        points(file, settings, sweeps)


@pytest.mark.parametrize("documented", MODELS, ids=lambda kind: kind.__name__)
def test_the_page_names_every_field(documented: type) -> None:
    """A field that can be written can be read about."""
    missing = [name for name in fields(documented) if not re.search(rf"\b{name}\b", PAGE)]
    assert missing == []
