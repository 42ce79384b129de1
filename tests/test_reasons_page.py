"""docs/reasons.md explains every reason, and nothing that is none."""

from __future__ import annotations

import re
from pathlib import Path

from autoslicer.core.reasons import Reason

PAGE = Path(__file__).parents[1] / "docs" / "reasons.md"
SECTION = re.compile(r"^### (\w+)\n\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)


def test_every_reason_has_a_section() -> None:
    """A word in an event or condition can be looked up; the sections come in the order of precedence."""
    told = [name for name, _ in SECTION.findall(PAGE.read_text(encoding="utf-8"))]
    missing = [reason.value for reason in Reason if reason not in told]
    assert not missing, f"docs/reasons.md lacks a section '### {missing[0]}' (all that lack one: {missing})"
    unknown = [name for name in told if name not in list(Reason)]
    assert not unknown, f"docs/reasons.md explains {unknown}, which core/reasons.py does not have"
    assert told == [reason.value for reason in Reason], (
        "docs/reasons.md is not in the order of core/reasons.py"
    )


def test_every_section_says_what_to_do() -> None:
    """Each says what the word means and then what to do, be it nothing; Done alone leaves nothing to do."""
    text = PAGE.read_text(encoding="utf-8")
    silent = [
        name for name, body in SECTION.findall(text) if "**To do:**" not in body and name != Reason.Done
    ]
    assert not silent, f"docs/reasons.md does not say what to do about {silent} (**To do:** ...)"
    assert all(body.strip() for _, body in SECTION.findall(text))
