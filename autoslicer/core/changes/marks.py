"""The marks that keep autoscalers off a node while it is in a change, and which of them are ours."""

from __future__ import annotations

from autoslicer.core import names
from autoslicer.core.rows import NodeRow

_SET = "true"


def to_set(node: NodeRow) -> tuple[str, ...]:
    """The marks that a node is given: those that it lacks, beside those that it has from us already.

    One that is there and not from us is somebody else's, whatever its value, and stays as it is.
    """
    noted = ours(node) or ()
    return tuple(mark for mark in names.DO_NOT_DISRUPT if mark not in node.annotations or mark in noted)


def ours(node: NodeRow) -> tuple[str, ...] | None:
    """The marks on the node that are ours by its note and still as we set them; None where it has no note."""
    if names.MARKS not in node.annotations:
        return None
    noted = node.annotations[names.MARKS].split(",")
    still = (mark for mark in names.DO_NOT_DISRUPT if node.annotations.get(mark) == _SET)
    return tuple(mark for mark in still if mark in noted)


def setting(marks: tuple[str, ...]) -> dict[str, str | None]:
    """The annotations that set these marks and note that they are ours; none for no mark."""
    return {**dict.fromkeys(marks, _SET), names.MARKS: ",".join(marks)} if marks else {}


def removing(marks: tuple[str, ...] | None) -> dict[str, str | None]:
    """The annotations to take away with these marks, each with None: the note goes as well.

    None asks for nothing.
    """
    return {} if marks is None else dict.fromkeys((*marks, names.MARKS))
