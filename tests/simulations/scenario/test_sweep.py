"""How the values of a sweep are told apart, and which scenarios several sweeps and seeds make."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import event, given
from hypothesis import strategies as st

from simulations.scenario.load import load
from simulations.scenario.points import points
from simulations.scenario.sweep import parsed
from simulations.workload.generate import Generation
from simulations.workload.mistakes import InputError
from tests.simulations.scenario.files import CLUSTER, HEAD, scenario

GENERATE = """\
workload:
  generate: {SEEDpods: 5, arrivalRate: 1, durations: {constant: {seconds: 9}}, profiles: {1g.10gb: 1}}
"""
VALUES = st.recursive(
    st.integers(-(2**62), 2**62) | st.text("ab,'\"[]{}:\\ ", max_size=6) | st.booleans() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("xy,'", max_size=3), inner, max_size=2)
    ),
    max_leaves=5,
)


def generated(folder: Path, seed: str = "") -> Path:
    return scenario(folder, HEAD + CLUSTER + GENERATE.replace("SEED", seed) + "seed: 7\n")


@given(st.lists(VALUES, min_size=1, max_size=4, unique_by=repr))
def test_values_are_split_where_yaml_would_split_a_list(values: list[object]) -> None:
    """Whatever YAML writes on one line, with commas, brackets and quotes in it, stays one value."""
    texts = [yaml.safe_dump([value], default_flow_style=True, width=10**6).strip()[1:-1] for value in values]
    event(f"some value has a comma: {any(',' in text for text in texts)}")
    try:
        found = parsed(f"a.b={','.join(texts)}")
    except InputError as error:
        assert "twice" in str(error)  # noqa: PT017 - equal in YAML's eyes
        return
    assert found.values == tuple(texts)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a=5,30,120", ("5", "30", "120")),
        ("a=5, 30", ("5", "30")),
        ("a=[x, y],[z]", ("[x, y]", "[z]")),
        ("a={b: 1, c: [2, 3]},{b: 2}", ("{b: 1, c: [2, 3]}", "{b: 2}")),
        ("a='x, ''y',z", ("'x, ''y'", "z")),
        ('a="x\\",",it\'s', ('"x\\","', "it's")),
        ("a=x=1,y", ("x=1", "y")),
    ],
)
def test_values_that_people_write(text: str, values: tuple[str, ...]) -> None:
    """Commas split outside brackets, braces and quotes only."""
    assert parsed(text).values == values


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a", "is no PATH=VALUE"),
        ("=1,2", "is no PATH=VALUE"),
        ("a=1,,2", "a=: the value is empty"),
        ("a=1,[2", "is no YAML"),
        ("a=5,6,5", "has the value 5 twice; name each value once"),
    ],
)
def test_what_is_no_sweep_is_refused(text: str, said: str) -> None:
    """In a sentence with what was written."""
    with pytest.raises(InputError) as refused:
        parsed(text)
    assert said in str(refused.value)


def test_sweeps_are_crossed_in_order(tmp_path: Path) -> None:
    """The last one varies first and the seed before it, and each scenario is what --set would make of it."""
    file = generated(tmp_path)
    sweeps = ["timing.applySeconds=5,9", "policy.trigger.pendingSeconds=1,2"]
    found = points(file, ["timing.pluginSeconds=3"], sweeps, seeds=2)
    order = [(*one.values.values(), one.scenario.seed) for one in found]
    assert order == [(a, p, seed) for a in ("5", "9") for p in ("1", "2") for seed in (7, 8)]
    for one in found:
        settings = [f"{path}={value}" for path, value in one.values.items()]
        alone = load(file, ["timing.pluginSeconds=3", *settings, f"seed={one.scenario.seed}"])
        assert alone == one.scenario
    assert found[0].settings() == {"timing.applySeconds": 5, "policy.trigger.pendingSeconds": 1}


def test_a_seed_of_the_jobs_own_moves_too(tmp_path: Path) -> None:
    """Several seeds mean other jobs, whether or not the generator has a seed of its own."""
    for seed, expected in (("", [7, 8, 9]), ("seed: 40, ", [40, 41, 42])):
        found = points(generated(tmp_path, seed), seeds=3)
        assert [one.scenario.seed for one in found] == [7, 8, 9]
        drawn = [one.scenario.workload for one in found]
        assert [one.seed for one in drawn if isinstance(one, Generation)] == expected


def test_without_sweeps_and_seeds_there_is_the_scenario(tmp_path: Path) -> None:
    """As `load` reads it."""
    file = generated(tmp_path)
    (only,) = points(file)
    assert only.scenario == load(file)
    assert only.settings() == {}


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Each value that a field cannot have is a sentence, once, and nothing is made."""
    sweeps = ["timing.applySeconds=x,5,1", "timing.pluginSeconds=3,-2"]
    with pytest.raises(InputError) as refused:
        points(generated(tmp_path), (), sweeps, seeds=2)
    said = str(refused.value).splitlines()
    assert [line.partition(": ")[0] for line in said] == [
        "timing.applySeconds=x", "timing.pluginSeconds=-2", "timing.applySeconds=1",
    ]  # fmt: skip


def test_a_field_is_swept_once_and_studies_have_an_end(tmp_path: Path) -> None:
    """Two sweeps of one field, and more simulations than anybody waits for."""
    file = generated(tmp_path)
    with pytest.raises(InputError, match=r"seed: is swept twice"):
        points(file, (), ["seed=1,2", "seed=3"])
    with pytest.raises(InputError, match=r"these are 200000 simulations"):
        points(file, (), ["seed=1,2"], seeds=100_000)
