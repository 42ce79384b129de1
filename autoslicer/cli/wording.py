"""How layouts, counts and lists of names are spelled for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulations.workload.mistakes import Kind
    from solver.problem import Counts


def layout(counts: Counts | None) -> str:
    """A multiset of profiles, largest first.

    >>> layout((("1g.10gb", 4), ("3g.40gb", 1)))
    '1 x 3g.40gb + 4 x 1g.10gb'
    >>> layout(()), layout(None)
    ('no instances', 'MIG off')
    """
    if counts is None:
        return "MIG off"
    return " + ".join(f"{-less} x {profile}" for _, profile, less in largest_first(counts)) or "no instances"


def largest_first(counts: Counts) -> list[tuple[int, str, int]]:
    """A sort key that puts large instances first: (-compute slices, profile, -count) of each profile."""
    return sorted((-_compute_slices(profile), profile, -count) for profile, count in counts)


def number(count: int, noun: str, plural: str = "") -> str:
    """A count with its noun.

    >>> number(1, "pod"), number(2, "pod"), number(2, "policy", "policies")
    ('1 pod', '2 pods', '2 policies')
    """
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def skipped(kinds: Mapping[Kind, int]) -> str:
    """How many lines of a trace are left out, by kind of mistake.

    >>> skipped({"wrong value": 2, "broken syntax": 1})
    'warning: skipped 3 lines of the trace: 1 x broken syntax, 2 x wrong value'
    """
    told = ", ".join(f"{count} x {kind}" for kind, count in sorted(kinds.items()))
    return f"warning: skipped {number(sum(kinds.values()), 'line')} of the trace: {told}"


def examples(names: Iterable[str], most: int) -> str:
    """The first names, and how many more there are.

    >>> examples(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    given = list(names)
    shown = ", ".join(given[:most])
    return f"{shown} and {len(given) - most} more" if len(given) > most else shown


def ranges(positions: Sequence[int]) -> str:
    """Ascending numbers, runs of three or more written as ranges.

    >>> ranges([0, 1, 2, 3]), ranges([0, 4])
    ('0-3', '0,4')
    """
    runs: list[list[int]] = []
    for position in positions:
        if runs and position == runs[-1][-1] + 1:
            runs[-1].append(position)
        else:
            runs.append([position])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)


def _compute_slices(profile: str) -> int:
    head = profile.partition("g.")[0]
    return int(head) if head.isascii() and head.isdigit() else 0
