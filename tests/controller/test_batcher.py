"""When a cycle runs."""

from __future__ import annotations

import asyncio
import time

import pytest

from autoslicer.controller import batcher
from autoslicer.controller.batcher import Batcher


async def _waited(found: Batcher, limit: float = 2.0) -> float:
    """How long the batcher waits."""
    began = time.monotonic()
    await asyncio.wait_for(found.wait(), limit)
    return time.monotonic() - began


async def test_without_a_reason_no_cycle_runs() -> None:
    """Where nothing changes and nothing was said, the controller is still."""
    with pytest.raises(TimeoutError):
        await _waited(Batcher(), 0.3)


async def test_a_change_is_answered_at_once() -> None:
    """One change leads to one cycle, sooner than a person could see."""
    found = Batcher()
    asyncio.get_running_loop().call_later(0.1, found.poke)
    assert 0.1 <= await _waited(found) < 0.1 + 10 * batcher.QUIET_SECONDS
    with pytest.raises(TimeoutError):
        await _waited(found, 0.2)


async def test_a_burst_is_one_cycle() -> None:
    """A hundred changes in a row end in one cycle after the last of them."""
    found = Batcher()
    loop = asyncio.get_running_loop()
    for number in range(20):
        loop.call_later(number * batcher.QUIET_SECONDS / 4, found.poke)
    assert await _waited(found) >= 19 * batcher.QUIET_SECONDS / 4
    with pytest.raises(TimeoutError):
        await _waited(found, 0.2)


async def test_a_stream_of_changes_holds_no_cycle_back_for_long() -> None:
    """Where changes never end, cycles run all the same."""
    found = Batcher()

    async def pour() -> None:
        while True:
            found.poke()
            await asyncio.sleep(batcher.QUIET_SECONDS / 4)

    stream = asyncio.create_task(pour())
    took = [await _waited(found) for _ in range(3)]
    stream.cancel()
    assert max(took) < 2 * batcher.LONGEST_SECONDS


async def test_a_change_during_a_cycle_is_not_lost() -> None:
    """What changes between two waits is answered by the next."""
    found = Batcher()
    found.poke()
    await _waited(found)
    found.poke()
    assert await _waited(found) < 1


async def test_the_time_that_a_cycle_named_wakes_the_next() -> None:
    """A pod that comes of age, or a cooldown that ends, needs no change of the cluster; and only once."""
    found = Batcher()
    found.wake_at(time.time() + 0.2)
    assert 0.15 < await _waited(found) < 1
    found.wake_at(None)
    with pytest.raises(TimeoutError):
        await _waited(found, 0.3)


async def test_a_time_that_has_passed_is_now() -> None:
    """A cycle that took longer than until its own next date is followed at once."""
    found = Batcher()
    found.wake_at(time.time() - 5)
    assert await _waited(found) < 0.2


async def test_it_ends_when_it_is_cancelled_as_something_changes() -> None:
    """A cancellation that comes with a poke is not lost: the controller would go on without its Lease."""
    found = Batcher()

    async def cycles() -> None:
        while True:
            await found.wait()

    task = asyncio.create_task(cycles())
    found.wake_at(time.time() + 60)
    for _ in range(3):
        await asyncio.sleep(0.01)
        found.poke()
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=1)
    assert task.cancelled()
