"""Cycles and the starts that are under way between them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from autoslicer.controller import executor
from autoslicer.controller.executor import Executor
from autoslicer.core import configs
from autoslicer.core.actions import Action, WriteChangeStatus
from autoslicer.core.changes.observation import Timing
from autoslicer.core.cycle import decide
from autoslicer.core.phases import started
from autoslicer.core.planner import Prepared
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import Snapshot
from tests.build import NOON, change, config_map, mig_manager, node, pod, policy
from tests.core.scenes import snapshot

WHOLE, SMALL = [{"7g.80gb": 1}], [{"1g.10gb": 7}]
OLD, YOUNG = "gpu-1-1", "gpu-2-1"


@dataclass
class Changes:
    """The cache's changes."""

    rows: dict[str, ReconfigurationRow] = field(default_factory=dict)


@dataclass
class Room:
    """Two nodes with a change each that waits, under a budget of one; a cache, a writer and slow reads.

    Attributes:
        ready: the mig-manager of the node whose change is older.
        reading: steps that wait for their reads go on.
    """

    ready: bool = False
    changes: Changes = field(default_factory=Changes)
    reading: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.changes.rows = dict(self.world().changes)

    def world(self) -> Snapshot:
        """The cluster without what was written."""
        only = policy().set("spec.mode", "Auto").set("spec.disruption.budgets", [{"nodes": "1"}])
        only = only.set("spec.disruption.canary", False)
        managers = [mig_manager("gpu-1"), mig_manager("gpu-2")]
        if not self.ready:
            managers[0] = managers[0].set("status.conditions", [{"type": "Ready", "status": "False"}])
        changes = [
            change(f"gpu-{number}", WHOLE, SMALL, serves=(f"team/{number}",)).set(
                "metadata.creationTimestamp", f"2026-11-20T11:00:0{number}Z"
            )
            for number in (1, 2)
        ]
        known = config_map(
            {name: configs.DEFAULTS[name] for name in ("all-disabled", "all-7g.80gb", "all-1g.10gb")}
        )
        nodes = [node(f"gpu-{number}").gpus(1).config("all-7g.80gb") for number in (1, 2)]
        pods = [pod(f"team/{number}").wants({"1g.10gb": 1}).unschedulable(NOON - 60) for number in (1, 2)]
        return snapshot(known, only, *nodes, *managers, *changes, *pods)

    def snapshot(self) -> Snapshot:
        """The cluster now."""
        return replace(self.world(), changes=dict(self.changes.rows))

    def listen(self, heard: object) -> None:
        """Nothing is told."""

    async def carry_out(self, actions: Sequence[Action], now: float) -> None:
        """Only what is written of changes is kept."""
        for action in actions:
            if isinstance(action, WriteChangeStatus):
                row = self.changes.rows[action.name]
                self.changes.rows[action.name] = replace(row, status=action.status)

    async def look(self, *_: object) -> Snapshot:
        """The fresh reads of a step."""
        await self.reading.wait()
        return self.snapshot()


@pytest.mark.parametrize("in_between", [True, False])
async def test_a_start_under_way_keeps_its_place_in_the_budget(
    monkeypatch: pytest.MonkeyPatch, in_between: bool
) -> None:
    """An older change that becomes free while another starts waits for it; else it comes first."""
    room = Room()
    monkeypatch.setattr(executor, "look", room.look)
    monkeypatch.setattr("time.time", lambda: NOON)
    steps = Executor(None, room, room, Timing())  # type: ignore[arg-type]

    def cycle() -> set[str]:
        found = room.snapshot()
        decision, _ = decide(found, found.policies, NOON, Prepared(), starting=steps.starting)
        steps.follow(decision.holds, frozenset(found.changes))
        return set(decision.holds)

    if in_between:
        assert cycle() == {OLD}
        await asyncio.sleep(0)
    room.ready = True
    assert cycle() == ({OLD} if in_between else {YOUNG})
    room.reading.set()
    await asyncio.sleep(0.05)
    await steps.stop()
    assert [name for name, row in room.changes.rows.items() if started(row)] == [YOUNG if in_between else OLD]


async def test_a_start_that_is_held_at_last_counts_until_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its write may be on its way: nobody else gets its place, and it is looked at again soon."""
    room = Room(ready=True)
    monkeypatch.setattr(executor, "look", room.look)
    steps = Executor(None, room, room, Timing())  # type: ignore[arg-type]
    found = room.snapshot()
    first, _ = decide(found, found.policies, NOON, Prepared())
    steps.follow(first.holds, frozenset(found.changes))
    await asyncio.sleep(0)
    assert steps.starting == {OLD}
    room.ready = False
    found = room.snapshot()
    held, _ = decide(found, found.policies, NOON, Prepared(), starting=steps.starting)
    assert set(held.holds) == {OLD, YOUNG}
    assert held.wake is not None
    assert held.wake <= NOON + 1.0
    free, _ = decide(found, found.policies, NOON, Prepared())
    assert set(free.holds) == {OLD}
    await steps.stop()
    assert steps.starting == frozenset({OLD})
    steps.follow(held.holds, frozenset(found.changes))
    await steps.stop()
    assert steps.starting == frozenset()
