"""The figures of a run as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tests.chaos.injections import Row
from tests.chaos.invariants import Invariant, Violation
from tests.chaos.kills import AIMS, Outcome


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as wide as they need to be, in Markdown."""
    cells = [[str(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def of_kills(outcome: Outcome) -> str:
    """The histogram of the kills, and what became of the changes and the pods."""
    hits, caught = outcome.histogram(), Counter(p for kill in outcome.kills for p in kill.caught)
    phases = table(("phase", "kills in it", "changes caught in it"), [(p, hits[p], caught[p]) for p in AIMS])
    ends = table(("how the changes ended", "times"), sorted(outcome.ends.items()))
    words = (
        f"{len(outcome.counted)} kills during changes in {outcome.seconds:.0f} s, seed {outcome.seed}; "
        f"{outcome.pods} pods; {outcome.storms} lives of the controller under API faults, which "
        f"{outcome.faults.total()} requests met; nodes released by hand: {outcome.released}, repaired by "
        f"hand: {outcome.repaired}"
    )
    return "\n\n".join((words, phases, ends, of_invariants(outcome.violations)))


def of_faults(rows: Sequence[Row]) -> str:
    """Each fault: how often, how the change that met it ended, who served the pod, what was broken."""
    lines = []
    for row in rows:
        ends = Counter(found.ends[0] if found.ends else "no change" for found in row.injections)
        served = Counter(found.by or "nobody" for found in row.injections)
        told = ", ".join(f"{count} {end}" for end, count in ends.most_common())
        by = ", ".join(f"{count} {who}" for who, count in served.most_common())
        lines.append((row.fault, len(row.injections), told, by, len(row.violations) or "all held"))
    heads = ("fault", "times", "how the change ended", "the pod was served by", "invariants broken")
    broken = [violation for row in rows for violation in row.violations]
    return "\n".join((table(heads, lines), *map(str, broken)))


def of_invariants(violations: Sequence[Violation]) -> str:
    """Every invariant with how often it was broken, and by whom."""
    broken = Counter(violation.invariant for violation in violations)
    summary = table(("invariant", "broken"), [(found, broken[found]) for found in Invariant])
    return "\n".join((summary, *map(str, violations)))
