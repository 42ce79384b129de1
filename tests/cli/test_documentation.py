"""What README and docs say of the command line is what it does."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from autoslicer.cli.failures import ExitCode
from autoslicer.cli.main import app
from autoslicer.controller.settings import Settings
from autoslicer.core.reading.predicates import UNKNOWN_PREDICATES
from tests.build import dump, node, pod
from tests.cli.conftest import Command

ROOT = Path(__file__).parents[2]


def test_the_readmes_plan_is_a_real_one(autoslicer: Command, saved: Callable[[Any], str]) -> None:
    """The example that a first visitor reads is what `plan` prints, word for word."""
    pods = [pod(f"infer/web-{n}").wants({"1g.10gb": 1}) for n in range(20)]
    pods += [pod(f"train/large-{n}").wants({"3g.40gb": 1}) for n in range(2)]
    pods += [pod("train/huge").wants({"7g.80gb": 3}), pod("batch/old").wants({"1g.10gb": 1}).on("gpu-c")]
    configs = {"gpu-a": "all-7g.80gb", "gpu-b": "all-7g.80gb", "gpu-c": "all-1g.10gb"}
    nodes = [node(name).gpus(2).config(config) for name, config in configs.items()]
    shown = autoslicer("plan", "-f", saved(dump(*nodes, *pods))).out
    (example,) = [block for block in _blocks() if "Reshapes, in the order" in block]
    assert shown.startswith(example)


def test_the_readmes_story_is_the_demos() -> None:
    """What the README shows of `make demo` is what it tells, line by line and in order."""
    (example,) = [block for block in _blocks() if "The plan: " in block]
    told = subprocess.run(
        [sys.executable, "-m", "simulations.demo"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    rest = iter(told.stdout.splitlines())
    missing = [line for line in example.splitlines() if line != "  ..." and line not in rest]
    assert missing == []


def _blocks() -> list[str]:
    """The fenced blocks of the README."""
    return re.findall(r"```\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)


def test_every_command_and_exit_code_is_documented() -> None:
    """docs/cli.md has a row for each command and each exit code, and no others."""
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    group = typer.main.get_command(app())
    commands = {name for name in group.commands if name != "configs"} | {"configs init"}
    rows = re.findall(r"^\| `(.+?)` \|", page.partition("## Streams")[0], flags=re.MULTILINE)
    documented = {re.split(r" (?:\[|[A-Z]|node/)", row)[0] for row in rows}
    assert commands == documented
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", page, flags=re.MULTILINE)}
    assert codes == set(ExitCode)


def test_every_setting_without_a_flag_is_documented() -> None:
    """docs/cli.md lists each variable of the controller that has no flag, with its default."""
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| `AUTOSLICER_([A-Z_]+)` \| ([\d.]+) \|", page, flags=re.MULTILINE))
    settings = {name.upper(): field.default for name, field in Settings.model_fields.items()}
    numbers = {name: default for name, default in settings.items() if isinstance(default, int | float)}
    assert {name: float(default) for name, default in table.items()} == numbers


def test_every_predicate_that_is_not_modelled_is_documented() -> None:
    """Who reads UnknownPredicate finds in docs/limits.md what it may be, and nothing else."""
    page = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
    rows = re.findall(r"^  \| (`.+?`) \|", page, flags=re.MULTILINE)
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == list(UNKNOWN_PREDICATES)
