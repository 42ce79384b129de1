"""What the command line says to input that is wrong."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.conftest import Command
from tests.cli.dump import waiting_for_a_reshape

Saved = Callable[[Any], str]

MALFORMED = {
    "empty": "",
    "cut off": json.dumps(waiting_for_a_reshape())[:-40],
    "not YAML": "items: [\n",
    "two documents": "kind: List\n---\nkind: List\n",
    "deep": "kind: List\nitems: " + "[" * 300_000,
    "a table": "NAME    STATUS   ROLES\ngpu-0   Ready    <none>\n",
    "a number": "42",
    "an array": "[]",
    "one object": json.dumps(waiting_for_a_reshape()["items"][0]),
    "no items": '{"apiVersion": "v1", "kind": "List"}',
    "items of another type": '{"apiVersion": "v1", "kind": "List", "items": {"a": 1}}',
    "kind of another type": '{"apiVersion": "v1", "kind": 7, "items": []}',
    "an error's text": "Error from server (Forbidden): nodes is forbidden",
    "not a number": '{"kind": "List", "items": [NaN]}',
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_document_that_is_no_list_is_refused(autoslicer: Command, saved: Saved, text: str) -> None:
    """Whatever is no List ends with code 2 and one sentence that names the file."""
    path = saved(text)
    ended = autoslicer("plan", "-f", path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.sentence.startswith(path)


def test_what_is_nested_too_deeply_is_refused_at_its_line(autoslicer: Command, saved: Saved) -> None:
    """The parser would run out of stack; a hundred levels are read."""
    well, deep = ("[" * depth + "]" * depth for depth in (100, 300_000))
    text = yaml.safe_dump(waiting_for_a_reshape())
    path = saved(f"{text}ignored: {well}\n")
    assert autoslicer("plan", "-f", path).code == 0
    path = saved(f"{text}ignored: {deep}\n")
    ended = autoslicer("plan", "-f", path)
    assert (ended.code, ended.out) == (2, "")
    lines = text.count("\n") + 1
    told = f"line {lines}: is nested too deeply; 200 levels are read"
    assert ended.sentence == f"{path} is neither JSON nor YAML: {told}"


def test_bytes_that_are_no_text_are_refused(autoslicer: Command, tmp_path: Path) -> None:
    """A compressed dump is refused with the first byte that is no UTF-8."""
    path = tmp_path / "dump.json.gz"
    path.write_bytes(b"\x1f\x8b\x08\x00")
    ended = autoslicer("plan", "-f", str(path))
    assert ended.code == 2
    assert ended.sentence == f"{path} is not UTF-8 text: byte 1 is 0x8b"


def test_a_file_that_is_not_there_is_named(autoslicer: Command, tmp_path: Path) -> None:
    """A wrong file name and a directory are each refused with the system's reason."""
    missing = autoslicer("plan", "-f", str(tmp_path / "none.json"))
    assert (missing.code, missing.sentence) == (
        2,
        f"{tmp_path}/none.json cannot be read: No such file or directory",
    )
    directory = autoslicer("plan", "-f", str(tmp_path))
    assert (directory.code, directory.sentence) == (2, f"{tmp_path} cannot be read: Is a directory")


@pytest.mark.parametrize("now", ["yesterday", "2026-13-01T00:00:00Z", "2026-01-01"])
def test_a_wrong_time_is_refused(autoslicer: Command, saved: Saved, now: str) -> None:
    """--now says how a time reads."""
    ended = autoslicer("plan", "-f", saved(waiting_for_a_reshape()), "--now", now)
    assert ended.code == 2
    assert ended.sentence.startswith(f"--now: '{now}' is not a timestamp")


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"nodeSelektor": {}}, "spec.nodeSelektor is no field; did you mean nodeSelector?"),
        ({"mode": "Automatic"}, "spec.mode must be"),
        ({"disruption": {"minBenefit": -1}}, "spec.disruption.minBenefit must be"),
    ],
)
def test_a_wrong_policy_is_refused_by_field(
    autoslicer: Command, saved: Saved, tmp_path: Path, spec: dict[str, Any], told: str
) -> None:
    """A --policy file gets the answer that the API server would give: the field and what would be right."""
    required = {"nodeSelector": {"matchLabels": {"nvidia.com/mig.capable": "true"}}}
    raw = {
        "apiVersion": "autoslicer.dev/v1alpha1",
        "kind": "MigAutoscalingPolicy",
        "metadata": {"name": "mine"},
        "spec": {**required, **spec},
    }
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    ended = autoslicer("plan", "-f", saved(waiting_for_a_reshape()), "--policy", str(path))
    assert (ended.code, ended.out) == (2, "")
    assert ended.sentence.startswith(f"{path}: MigAutoscalingPolicy mine: ")
    assert told in ended.sentence


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside a document."""
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path, *(place for key, child in children for place in _places(child, (*path, key)))]


VALID = waiting_for_a_reshape()
PLACES = _places(VALID)


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A valid dump in which up to four values were replaced or removed."""
    document = copy.deepcopy(VALID)
    for place in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=4)):
        parent = document
        try:
            for key in place[:-1]:
                parent = parent[key]
            if not place:
                document = draw(JSON)
            elif draw(st.booleans()):
                parent[place[-1]] = draw(JSON)
            else:
                del parent[place[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier mutation took the place away
    return document


@given(document=mutated())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_mutation_of_a_dump_gives_a_traceback(autoslicer: Command, saved: Saved, document: Any) -> None:
    """However a dump is damaged, there is a plan, or one sentence and code 2."""
    ended = autoslicer("plan", "-f", saved(document), "-o", "json")
    assert ended.code in (0, 2)
    if ended.code:
        assert ended.sentence
    else:
        assert json.loads(ended.out)["kind"] == "Plan"
