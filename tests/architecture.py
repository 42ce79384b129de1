"""The module list of docs/architecture.md, made from the first line of every module's docstring.

`python -m tests.architecture --write` writes it anew.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture.md"
START, END = "<!-- modules: written by `make docs` -->", "<!-- end of modules -->"
PACKAGES = ("autoslicer", "solver", "simulations")


def module_list() -> str:
    """The list as Markdown: a heading a package, a line a module; the same bytes for the same tree."""
    folders = sorted({path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")})
    return "\n".join(_package(folder) for folder in folders)


def page_with(modules: str) -> str:
    """The page with its list replaced.

    Raises:
        ValueError: the page lacks the marks between which the list stands.
    """
    before, start, rest = PAGE.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"docs/architecture.md must hold the lines {START} and {END}")
    return f"{before}{START}\n\n{modules}\n{END}{after}"


def _package(folder: Path) -> str:
    lines = [f"**{'.'.join(folder.relative_to(ROOT).parts)}**: {_first_line(folder / '__init__.py')}\n"]
    modules = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")
    lines += [f"- `{path.stem}`: {_first_line(path)}" for path in modules]
    return "\n".join(lines) + "\n"


def _first_line(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not docstring:
        raise ValueError(f"{path.relative_to(ROOT)} has no docstring")
    return docstring.splitlines()[0]


if __name__ == "__main__":
    page = page_with(module_list())
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page, encoding="utf-8")
    elif page != PAGE.read_text(encoding="utf-8"):
        sys.exit("docs/architecture.md lists other modules than the tree has; `make docs` writes it anew")
