"""What README and docs say of the command line is what it does."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from autoslicer.cli.failures import ExitCode
from autoslicer.cli.main import app
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
    blocks = re.findall(r"```\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    (example,) = [block for block in blocks if "Reshapes, in the order" in block]
    assert shown.startswith(example)


def test_every_command_and_exit_code_is_documented() -> None:
    """docs/cli.md has a row for each command and each exit code, and no others."""
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    group = typer.main.get_command(app)
    commands = {name for name in group.commands if name != "configs"} | {"configs init"}
    rows = re.findall(r"^\| `(.+?)` \|", page.partition("## Streams")[0], flags=re.MULTILINE)
    documented = {re.split(r" (?:\[|[A-Z]|node/)", row)[0] for row in rows}
    assert commands == documented
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", page, flags=re.MULTILINE)}
    assert codes == set(ExitCode)
