"""`-o html=FILE`: a simulation's report as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autoslicer.cli.failures import BadInputError, CommandError
from autoslicer.cli.output import Format, say

if TYPE_CHECKING:
    from simulations.history.history import History
    from simulations.run import Outcome
    from simulations.scenario.scenario import Scenario

FORMATS = "|".join((*Format, "html=FILE"))


def asked(form: str, *, alone: bool) -> tuple[Format, Path | None]:
    """The format for stdout, and the file for a report; None where none is asked for.

    Args:
        form: what `-o` is.
        alone: one scenario is simulated, and not several.

    Raises:
        BadInputError: the format is not known, or none of several scenarios; or the file cannot be written.
    """
    kind, equals, name = form.partition("=")
    if kind == "html" and equals and name:
        if not alone:
            raise BadInputError("-o html=FILE tells of one scenario; leave out --sweep and --seeds")
        file = Path(name)
        _try(file)
        return Format.TABLE, file
    if form not in list(Format):
        raise BadInputError(f"-o is {form!r}; it must be {', '.join(Format)} or html=FILE")
    return Format(form), None


def _try(file: Path) -> None:
    """Find out now, and not after hours, whether the file can be written; nothing of it changes.

    Raises:
        BadInputError: it cannot.
    """
    try:
        if not file.parent.is_dir():
            raise BadInputError(f"{file}: cannot be written: there is no folder {file.parent}")
        there = file.exists()
        if there and not file.is_file() and not file.is_dir():
            return  # a pipe, say: whoever reads it would see it end
        file.open("ab").close()
        if not there:
            file.resolve().unlink()
    except OSError as error:
        raise BadInputError(f"{file}: cannot be written: {error.strerror}") from None


def write(
    file: Path,
    scenario: Scenario,
    digest: str,
    recordings: Sequence[tuple[Outcome, History]],
    bound: float | None,
    *,
    lenient: bool,
) -> None:
    """Write the report; where that fails no half of one is left.

    Raises:
        CommandError: the file cannot be written.
    """
    from simulations.report.page import Study, page

    outcomes, histories = zip(*recordings, strict=True)
    text = page(Study(outcomes, histories, scenario.document, digest, bound, lenient))
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        if file.is_file():
            file.unlink()
        raise CommandError(f"{file}: cannot be written: {error.strerror}") from None
    say(f"report: {file}")
