"""When the controller has to look again: not where nothing waits, is under way or is wished for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from autoslicer.core.phases import live
from autoslicer.core.policy import Policy
from autoslicer.core.rows import MigNodeRow, PodRow, ReconfigurationRow
from simulations.world import Row, World


@dataclass(slots=True)
class Attention:
    """Listens to every write and remembers whether one of them may call for an action.

    A pod that starts where it is bound never calls for one. Pods that come, are bound and end call for none
    while no pod is unschedulable, no change is live and no policy asks for headroom or for anything of idle
    nodes. Everything else does.

    Attributes:
        asked: there was such a write since this was set to False last; true at first.
    """

    world: World
    asked: bool = True
    _waiting: set[str] = field(default_factory=set)
    _changing: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        there: list[Row] = [*self.world.pods.values(), *self.world.changes.values()]
        for row in there:
            self._notice(None, row)
        self.world.watch(self._notice)

    def _notice(self, old: Row | None, new: Row | None) -> None:
        row = new or old
        match row:
            case PodRow():
                before = bool(self._waiting)
                if new is not None and row.unschedulable_since is not None and not row.node:
                    self._waiting.add(row.key)
                else:
                    self._waiting.discard(row.key)
                self.asked |= (before or self._busy()) and not _starts(old, new)
            case MigNodeRow():
                self.asked |= self._busy()
            case ReconfigurationRow():
                if new is not None and live(row):
                    self._changing.add(row.name)
                else:
                    self._changing.discard(row.name)
                self.asked = True
            case _:
                self.asked = True

    def _busy(self) -> bool:
        return bool(self._waiting or self._changing) or any(map(_wishes, self.world.policies.values()))


def _starts(old: Row | None, new: Row | None) -> bool:
    """A pod that is bound already runs now, which says nothing new of who holds what."""
    if not isinstance(old, PodRow) or not isinstance(new, PodRow) or not old.node:
        return False
    return not new.finished and new == replace(old, phase=new.phase, ready=new.ready)


def _wishes(policy: Policy) -> bool:
    return bool(policy.headroom or policy.idle.after_seconds)
