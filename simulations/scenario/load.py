"""A scenario from its file: checked as a whole, every mistake a sentence with its line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from autoslicer.api.sentences import KEY, Location, path, sentence
from autoslicer.core.names import MIG_CAPABLE
from autoslicer.core.plain_text import plain
from autoslicer.core.policy import Mode, Policy
from autoslicer.core.reading import policy as read_policy
from simulations.scenario import document, override
from simulations.scenario.document import Document
from simulations.scenario.model import ScenarioModel
from simulations.scenario.scenario import Scenario, Timing
from simulations.workload.mistakes import InputError
from simulations.workload.source import Format, Trace

BUILT_IN: Mapping[str, Any] = {
    "trigger": {"pendingSeconds": 0, "batchIdleSeconds": 0, "batchMaxSeconds": 0},
    "disruption": {"budgets": [{"nodes": "100%"}], "canary": False, "cooldownSeconds": 0},
}
"""the policy where a scenario has none: nothing is held back"""
_GOVERNED: Mapping[str, Any] = {
    "nodeSelector": {"matchLabels": {MIG_CAPABLE: "true"}},
    "mode": str(Mode.AUTO),
}
"""what a scenario's policy need not say"""


def load(file: Path, overrides: Iterable[str] = ()) -> Scenario:
    """The scenario in a file, with fields set to other values, each by `PATH=VALUE`, in turn.

    Raises:
        InputError: a sentence a line for every mistake.
    """
    return resolved(document.read(file), file.parent, overrides)


def resolved(found: Document, folder: Path, overrides: Iterable[str] = ()) -> Scenario:
    """The scenario that a document is, with fields set; paths are relative to the folder.

    Raises:
        InputError: a sentence a line for every mistake.
    """
    # an override of one field of a policy that is not there changes the built-in one
    raw = _with_policy(found.value)
    set_by: dict[Location, str] = {}
    for text in overrides:
        raw, location = override.applied(raw, override.parsed(text))
        set_by[location] = text
    try:
        model = ScenarioModel.model_validate(_with_policy(raw))
    except ValidationError as error:
        own = _mistakes(_with_policy(found.value)) if set_by else []
        told = (
            found.mistake(*mistake) if mistake in own else _placed(found, set_by, *mistake)
            for mistake in _sentences(error)
        )
        raise InputError("\n".join(told)) from None
    scenario = _scenario(model, folder)
    if mistakes := [_placed(found, set_by, where, said) for where, said in _outside(scenario)]:
        raise InputError("\n".join(mistakes))
    return scenario


def _mistakes(raw: Any) -> list[tuple[Location, str]]:
    """What is wrong with a document by itself."""
    try:
        ScenarioModel.model_validate(raw)
    except ValidationError as error:
        return list(_sentences(error))
    return []


def _sentences(error: ValidationError) -> Iterator[tuple[Location, str]]:
    """Where something is wrong, and what."""
    for problem in error.errors(include_url=False):
        location = problem["loc"]
        yield location[:-1] if location[-1:] == (KEY,) else location, sentence(problem, ScenarioModel)


def _with_policy(raw: Any) -> Any:
    """The document with what its policy need not say."""
    if not isinstance(raw, dict):
        return raw
    given = BUILT_IN if raw.get("policy") is None else raw["policy"]
    if isinstance(given, Mapping):
        given = {**_GOVERNED, **{key: value for key, value in given.items() if value is not None}}
    return {**raw, "policy": given}


def _placed(found: Document, set_by: Mapping[Location, str], location: Location, said: str) -> str:
    """The sentence with what is to blame: the last override of something there, else a line of the file."""
    for where, text in reversed(list(set_by.items())):
        shared = min(len(where), len(location))
        if where[:shared] == location[:shared]:
            return plain(f"{text}: {said}")
    return found.mistake(location, said)


def _outside(scenario: Scenario) -> Iterator[tuple[Location, str]]:
    """What is wrong with what the scenario refers to: where it does, and a sentence."""
    workload = scenario.workload
    if isinstance(workload, Trace):
        yield from _no_file(("workload", "trace", "path"), workload.path)
        if workload.format is Format.OPENB and workload.geometry is None:
            right = "name the GPU whose profiles stand for shares, where the cluster has not just one"
            yield ("workload", "trace"), f"workload.trace.product is required for the format openb; {right}"
    if scenario.snapshot is not None:
        yield from _no_file(("cluster", "snapshot"), scenario.snapshot)


def _no_file(location: Location, wanted: Path) -> Iterator[tuple[Location, str]]:
    try:
        there = wanted.is_file()
    except (OSError, ValueError):
        there = False
    if not there:
        yield location, f"{path(location)}: there is no file {wanted}; it is sought beside the scenario"


def _scenario(model: ScenarioModel, folder: Path) -> Scenario:
    written = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    cluster, timing = model.cluster, model.timing
    nodes = tuple(node for group in cluster.nodes or () for node in group.all())
    return Scenario(
        nodes=nodes,
        snapshot=None if cluster.snapshot is None else folder / cluster.snapshot,
        workload=model.workload.source(folder, model.seed, {node.product for node in nodes}),
        policy=_policy(written["policy"]),
        timing=Timing(
            timing.schedule_seconds,
            timing.apply_seconds,
            timing.plugin_seconds,
            timing.reboot_seconds,
            timing.failure_rate,
        ),
        compare=tuple(model.compare),
        seed=model.seed,
        document=written,
    )


def _policy(spec: Mapping[str, Any]) -> Policy:
    return read_policy({"metadata": {"name": "scenario", "uid": "scenario", "generation": 1}, "spec": spec})
