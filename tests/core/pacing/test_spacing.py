"""Nodes that come back do so apart from each other."""

from __future__ import annotations

from autoslicer.core.pacing.spacing import PATIENCE, Spacing


def _turns(
    spacing: Spacing, names: str, until: float, back: float = 0.0, start: float = 100.0
) -> dict[str, float]:
    """When each change gets its turn where all ask until they have it, and each is back after so long."""
    turns: dict[str, float] = {}
    waiting = dict.fromkeys(names, start)
    while waiting:
        name, now = min(waiting.items(), key=lambda item: item[1])
        if now > until:
            break
        busy = any(now < at + back for at in turns.values())
        pause = spacing.turn(name, now, busy=busy)
        if pause:
            waiting[name] = now + pause
        else:
            turns[name] = round(now, 3)
            del waiting[name]
    return turns


def test_turns_are_apart() -> None:
    """The first waits for nobody, and each other one for those before it, in the order of asking."""
    turns = _turns(Spacing(2.0), "abc", 120)
    assert list(turns) == ["a", "b", "c"]
    assert turns["a"] == 100.0
    assert 2.0 <= turns["b"] - turns["a"] < 2.3
    assert 2.0 <= turns["c"] - turns["b"] < 2.3


def test_a_turn_waits_for_the_node_before_it() -> None:
    """A node that is longer on its way back than the spacing holds the next one up, but not for ever."""
    slow = _turns(Spacing(2.0), "ab", 120, back=3.5)
    assert 3.5 <= slow["b"] - slow["a"] < 3.8
    stuck = _turns(Spacing(2.0), "ab", 120, back=1000)
    assert 2.0 * PATIENCE <= stuck["b"] - stuck["a"] < 2.0 * PATIENCE + 0.3


def test_a_turn_is_kept() -> None:
    """Who had its turn and asks again, because its write was refused, has it still."""
    spacing = Spacing(2.0)
    assert [spacing.turn("a", at) for at in (100.0, 100.1, 101.0)] == [0.0, 0.0, 0.0]


def test_one_that_asks_no_more_holds_nobody_up() -> None:
    """A change that has gone while it waited loses its place in the row."""
    spacing = Spacing(2.0)
    assert spacing.turn("a", 100.0) == 0.0
    assert spacing.turn("b", 100.1) > 0
    assert list(_turns(spacing, "c", 120, start=100.2)) == ["c"]


def test_a_lead_is_waited_for() -> None:
    """Nobody has a turn sooner than the lead after asking for it."""
    assert _turns(Spacing(2.0, 0.25), "a", 120) == {"a": 100.25}


def test_without_spacing_nobody_waits() -> None:
    """With 0 seconds all come back at once, whoever is on the way."""
    spacing = Spacing(0.0)
    assert [spacing.turn(name, 100.0, busy=True) for name in "abc"] == [0.0, 0.0, 0.0]


def test_a_clock_that_was_set_back_holds_nobody_up() -> None:
    """Turns that were given and asked for an hour ahead of the clock were so just now."""
    spacing = Spacing(2.0, 0.25)
    assert list(_turns(spacing, "a", 3800, start=3700.0)) == ["a"]
    assert spacing.turn("b", 3700.5) > 0
    assert spacing.turn("a", 100.0) == 0.0
    turns = _turns(spacing, "bc", 120, start=100.0)
    assert list(turns) == ["b", "c"]
    assert turns["b"] <= 102.5
