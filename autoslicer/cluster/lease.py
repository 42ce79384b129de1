"""One leader at a time, by a Lease: the official client's election with our timings."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

from autoslicer.cluster.client import Client

LEASE_NAME = "autoslicer"


@dataclass(frozen=True, slots=True)
class LeaseTimings:
    """Seconds: how long a lease holds, how long its holder tries to renew it, and how often anybody tries."""

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0


async def lead(
    client: Client,
    namespace: str,
    identity: str,
    timings: LeaseTimings,
    work: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    """Wait for leadership and run `work` while it lasts; returns when it is lost, with `work` cancelled.

    Raises:
        ValueError: the timings are not at least 1 s each with duration > renew deadline > 1.2 x retry period.
    """
    lock = LeaseLock(LEASE_NAME, namespace, identity, client.api)
    config = Config(
        lock,
        lease_duration=timings.duration,
        renew_deadline=timings.renew_deadline,
        retry_period=timings.retry_period,
        onstarted_leading=work,
        onstopped_leading=_nothing,
    )
    await LeaderElection(config).run()


async def _nothing() -> None:
    """The caller learns of a lost leadership by the return."""
