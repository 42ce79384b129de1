from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[1] / "Makefile"
TARGETS = re.findall(r"^([a-z-]+):.*## ", MAKEFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_that_is_listed_can_be_made(target: str) -> None:
    """Whatever `make` lists has all that it needs to begin."""
    said = subprocess.run(
        ["make", "--dry-run", target], cwd=MAKEFILE.parent, capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stderr) == (0, "")


def test_what_is_not_listed_cannot() -> None:
    """The same question about no target is answered otherwise."""
    said = subprocess.run(
        ["make", "--dry-run", "nothing-of-the-kind"], cwd=MAKEFILE.parent, capture_output=True, check=False
    )
    assert said.returncode != 0
    assert "bench" in TARGETS
