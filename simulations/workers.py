"""Who carries out the tasks of a study: this process, or several beside each other."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import active_children, get_context, parent_process, resource_tracker
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

ATTEMPTS = 3
"""how often a task may lose its process before it is given up"""


class WorkersLostError(Exception):
    """Those who should have carried out a task are gone; the message is a sentence."""


class NoSchedulerError(Exception):
    """Nobody who could give tasks to workers answers; the message is a sentence."""


class Workers(Protocol):
    """Carry out tasks."""

    def results(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], done: Callable[[], None]
    ) -> list[Result]:
        """What the function makes of each task, in their order, whatever is through first.

        Args:
            function: of a module, without state: a task may be begun again.
            tasks: to be pickled.
            done: called after each.

        Raises:
            WorkersLostError: a task cannot be carried out.
            NoSchedulerError: nobody is there to ask.
            Exception: of the first task that the function raised one for.
        """


@dataclass(frozen=True, slots=True)
class Processes:
    """So many processes of this machine.

    A task whose process is killed, as one that needs too much memory is, is begun again, alone; only if it
    loses its process again and again it is given up. The processes end with this one.

    Attributes:
        count: how many; with one, or for one task, this process does it all.
    """

    count: int

    def results(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], done: Callable[[], None]
    ) -> list[Result]:
        """See `Workers`."""
        if min(self.count, len(tasks)) <= 1:
            return list(_in_turn(function, tasks, done))
        found, lost = _Found(len(tasks), done), Counter[int]()
        while rest := [place for place in range(found.wanted) if place not in found.futures]:
            alone = [place for place in rest if lost[place]][:1]
            lost.update(_Round(function, tasks, found, deque(alone or rest)).lost(1 if alone else self.count))
            if alone and lost[alone[0]] == ATTEMPTS:
                raise WorkersLostError(_given_up(tasks[alone[0]]))
        return [found.futures[place].result() for place in range(found.wanted)]


def _in_turn(
    function: Callable[[Task], Result], tasks: Iterable[Task], done: Callable[[], None]
) -> Iterable[Result]:
    for task in tasks:
        yield function(task)
        done()


def _given_up(task: object) -> str:
    ended = f"the process that worked on it was killed {ATTEMPTS} times, at last with none beside it"
    return f"{task}: {ended}; it may need more memory than there is"


@dataclass(slots=True)
class _Found:
    """What came out so far.

    Attributes:
        wanted: so many tasks, from the first one, matter: all, or those up to the first that failed.
        done: called after each.
        futures: of the tasks that are through, by place.
    """

    wanted: int
    done: Callable[[], None]
    futures: dict[int, Future[Any]] = field(default_factory=dict)

    def add(self, place: int, future: Future[Any]) -> None:
        self.futures[place] = future
        if future.exception() is not None:
            self.wanted = min(self.wanted, place + 1)
        self.done()


@dataclass(slots=True)
class _Round:
    """Tasks in one pool of processes, until they are through or the pool breaks.

    Attributes:
        function: of a task.
        tasks: all of them.
        found: gets what comes out.
        waiting: the places of those to carry out, ascending.
        running: the places of those that are being carried out.
    """

    function: Callable[[Any], Any]
    tasks: Sequence[Any]
    found: _Found
    waiting: deque[int]
    running: dict[Future[Any], int] = field(default_factory=dict)

    def lost(self, processes: int) -> list[int]:
        """Carry them out; the places of those whose process may have been the one that was killed."""
        others = set(active_children())
        processes = min(processes, len(self.waiting))
        pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_end_with_parent)
        lost: list[int] = []
        try:
            while not lost and self._filled(pool, processes):
                lost += self._collected()
            while self.running and lost:
                lost += self._collected()
            return lost
        finally:
            if self.running:  # interrupted, or no longer worth waiting for
                for child in set(active_children()) - others:
                    child.kill()
            pool.shutdown(wait=True, cancel_futures=True)

    def _filled(self, pool: Executor, processes: int) -> bool:
        """Give every process a task; whether one that matters is being carried out."""
        while self.waiting and self.waiting[0] < self.found.wanted and len(self.running) < processes:
            try:
                future = _submitted(pool, self.function, self.tasks[self.waiting[0]])
            except BrokenExecutor:
                break  # so is what runs, which tells the tasks that are lost
            self.running[future] = self.waiting.popleft()
        return any(place < self.found.wanted for place in self.running.values())

    def _collected(self) -> list[int]:
        """Wait until something is through; the places of what was lost."""
        lost = []
        for future in wait(self.running, return_when=FIRST_COMPLETED).done:
            place = self.running.pop(future)
            if isinstance(future.exception(), BrokenExecutor):
                lost.append(place)
            else:
                self.found.add(place, future)
        return lost


def _submitted(pool: Executor, function: Callable[[Any], Any], task: Any) -> Future[Any]:
    """Submit a task; a process that is started for it never hears of Ctrl-C, which this one deals with."""
    resource_tracker.ensure_running()  # its start would end what follows
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(function, task)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """Let this process end when the one that started it does, however that ends."""
    parent = parent_process()
    assert parent is not None, "only processes of a pool are begun with this"
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(process: BaseProcess) -> None:
    process.join()
    os._exit(1)
