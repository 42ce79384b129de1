"""YAML as a scenario's file may be written: what YAML hides or guesses is refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import event, given
from hypothesis import strategies as st

from simulations.scenario import document
from simulations.scenario.document import DEEPEST, LARGEST
from tests.simulations.scenario.files import GENERATE, GOOD, NODE, mistakes, scenario

BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 8)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1: is empty; a scenario has apiVersion, kind, cluster and workload"),
        ("# nothing\n", "1: is empty; a scenario has apiVersion, kind, cluster and workload"),
        ("kind: Scenario\n\tcluster: 1\n", "2: is no YAML: found a tab character that violates indentation"),
        ("kind: [\n", "2: is no YAML: did not find expected node content"),
        ("kind: \x07\n", "1: is no YAML: unacceptable character #x0007: control characters are not allowed"),
        ("a: 1\n---\nb: 2\n", "3: a second document begins; a file holds one"),
        ("a:\n  b: 1\n  c: 2\n  b: 3\n", "4: a.b is there twice; name each field once"),
        ("on: yes\n", "1: the document has a key that is no string; put it in quotes"),
        ("a:\n- {1: 2}\n", "2: a[0] has a key that is no string; put it in quotes"),
        ("a: {<<: {b: 1}}\n", "1: a has a key that is no string; put it in quotes"),
        ("a: !!python/name:os.system\n", "1: a has the tag tag:yaml.org,2002:python/name:os.system; only"),
        ("a: !!set {b}\n", "1: a has the tag tag:yaml.org,2002:set; only plain values are read"),
        ("a: !!int b\n", '1: a is no int: "b"; leave the tag out or put the value in quotes'),
        (f"a: 0x{'f' * 17}\n", "1: a is too large a number; it must fit into 64 bits"),
        (f"a: {'9' * 5000}\n", "1: a is too large a number; it must fit into 64 bits"),
        ("a: &a [*a]\n", "1: aliases make too much of it; write the values out"),
        (BOMB, "aliases make too much of it; write the values out"),
        (f"a:\n {'[' * 300_000}{']' * 300_000}\n", f"2: is nested too deeply; {DEEPEST} levels are read"),
        (f"a:\n {'- ' * 300_000}b\n", f"2: is nested too deeply; {DEEPEST} levels are read"),
        (b"a: 1\nb: \xff\n", "2: 0xff is no UTF-8; a scenario is UTF-8 text"),
        (b"a: 1\n" * LARGEST, "is too large; a scenario has at most 1048576 bytes"),
    ],
)  # fmt: skip
def test_what_is_no_plain_yaml_is_one_sentence(tmp_path: Path, text: str | bytes, said: str) -> None:
    """Each trap of YAML is told with file and line, and none of them is stepped into."""
    [found] = mistakes(scenario(tmp_path, text))
    assert found.startswith("scenario.yaml:")
    assert said in found


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    """A wrong path says so, and shows no traceback."""
    assert mistakes(tmp_path / "none.yaml") == ["none.yaml: cannot be read: No such file or directory"]
    assert mistakes(tmp_path)[0].endswith(": cannot be read: Is a directory")
    assert "cannot be read: embedded null" in mistakes(tmp_path / "a\0b")[0]


def test_anchors_dates_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    """What YAML files usually have in them is no mistake."""
    text = f"\ufeff{GOOD}timing: &times {{applySeconds: 8}}\nseed: 4\n".replace("\n", "\r\n")
    assert mistakes(scenario(tmp_path, text)) == []
    assert document.value("{a: &x {b: 1}, c: *x, d: 2026-11-20}") == {
        "a": {"b": 1},
        "c": {"b": 1},
        "d": "2026-11-20",
    }


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text("ab1:#-{[\"' \n~"),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab: #'", min_size=1), inner),
        max_leaves=12,
    )
)
def test_a_document_is_read_as_its_values(value: object) -> None:
    """What a YAML writer wrote is what is simulated, whatever it had to quote."""
    assert document.value(yaml.safe_dump(value)) == value


_WORDS = st.sampled_from(
    [*GOOD.splitlines(keepends=True), NODE, GENERATE, "timing:", "  - ", "{", "}", "[", ": ", "&a ", "*a",
     "!!int ", "? ", "\n---\n", "yes", ".nan", "1e9", "policy:\n", "  mode: Auto\n", "\ud800", "\x00", "\t"],
)  # fmt: skip
_TEXT = st.lists(_WORDS, max_size=14).map(lambda words: "".join(words).encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=300) | _TEXT | st.tuples(st.just(GOOD.encode()), _TEXT).map(b"".join))
def test_no_bytes_end_in_anything_but_sentences(content: bytes) -> None:
    """Whatever a file holds, it is a scenario or refused in sentences, never another exception."""
    with TemporaryDirectory() as folder:
        found = mistakes(scenario(Path(folder), content))
        event("refused" if found else "accepted")
        assert all(line.isprintable() and line.startswith("scenario.yaml:") for line in found)
