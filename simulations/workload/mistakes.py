"""How mistakes in the files that a user hands over are told."""

from __future__ import annotations

from enum import StrEnum

from autoslicer.core.plain_text import plain


class InputError(ValueError):
    """A file that a user handed over is not as it must be.

    Every line of the message is one sentence `FILE:LINE: field: what is wrong; what would be right`; where no
    line is to blame there is none.
    """


class Kind(StrEnum):
    """What kind of mistake a line of a trace holds: what skipped lines are counted by."""

    TEXT = "not UTF-8 text"
    LENGTH = "line too long"
    SYNTAX = "broken syntax"
    MISSING = "field missing"
    UNKNOWN = "unknown field"
    VALUE = "wrong value"
    PROFILE = "unknown profile"
    GANG = "gang"
    ORDER = "arrival runs back"
    NAME = "name in use"


class Mistake(Exception):  # noqa: N818 - the user's, not the program's
    """One line of a trace is not as it must be; the message lacks only file and line.

    Attributes:
        kind: of the mistake.
    """

    def __init__(self, kind: Kind, field: str, wrong: str, right: str) -> None:
        where = f"{field}: " if field else ""
        super().__init__(plain(f"{where}{wrong}; {right}"))
        self.kind = kind
