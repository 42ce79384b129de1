"""What came out of a simulation, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from simulations.run import Outcome

US = "autoslicer"


def answer(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What came out, in a sentence or a few."""
    ours = next((one for one in outcomes if one.strategy == US), outcomes[0])
    yield (
        f"{ours.strategy} serves {ours.pods - ours.unserved} of {_number(ours.pods, 'pod')}, "
        f"with a mean wait of {wait(ours.waits.mean)} and {_number(ours.reshapes, 'reshape')}."
    )
    others = [one for one in outcomes if one is not ours]
    if others:
        told = "; ".join(
            f"{one.strategy} {one.pods - one.unserved} with {wait(one.waits.mean)}" for one in others
        )
        yield f"The others: {told}."
    if ours.reasons:
        why = ", ".join(f"{count} {reason}" for reason, count in ours.reasons.items())
        yield f"Why {ours.strategy} leaves pods in the end: {why}."
    if any(one.unserved for one in outcomes):
        yield "Who is never served waits to the end, which is the same for all."


def bounded(seconds: float) -> str:
    """What no strategy can beat, in a sentence."""
    return f"Whoever serves all, even if it knows the trace, has a mean wait of at least {wait(seconds)}."


def wait(seconds: float) -> str:
    """A time as people say it.

    >>> wait(0.25), wait(75), wait(3725), wait(200000)
    ('0.2 s', '1 min 15 s', '1 h 2 min', '2 d 7 h')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    for unit, larger, smaller, step in (("d", 86400, 3600, "h"), ("h", 3600, 60, "min"), ("min", 60, 1, "s")):
        if seconds >= larger:
            rest = round(seconds % larger // smaller)
            return f"{int(seconds // larger)} {unit}" + (f" {rest} {step}" if rest else "")
    raise AssertionError("no time is below a minute here")


def _number(count: int, noun: str) -> str:
    return f"{count} {noun if count == 1 else noun + 's'}"
