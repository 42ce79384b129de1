"""One leader at a time, by a Lease: the official client's election over our own connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.baselock import BaseLock

from autoslicer.cluster.client import Client, Object, RefusedError, UnreachableError, segment
from autoslicer.cluster.fence import Fence, elapsed
from autoslicer.cluster.tasks import first, running
from autoslicer.core import names

JITTER = 1.2
RELEASE_SECONDS = 1.0
"""so long the end of the process may be held up to give the Lease back"""
LOOK_SECONDS = 0.5
"""how often the leader looks whether it still is: timers stand still while the machine sleeps"""

log = structlog.get_logger("autoslicer.lease")


@dataclass(frozen=True, slots=True)
class LeaseTimings:
    """Seconds: how long a lease holds, how long its holder tries to renew it, how often anybody tries.

    Raises:
        ValueError: they are not at least 1 each with duration > renew deadline > 1.2 x retry period.
    """

    duration: int = 15
    renew_deadline: int = 10
    retry_period: int = 2

    def __post_init__(self) -> None:
        if not self.duration > self.renew_deadline > JITTER * self.retry_period >= JITTER:
            raise ValueError(
                f"the lease's duration ({self.duration} s) must be longer than its renew deadline "
                f"({self.renew_deadline} s), and that longer than {JITTER} times its retry period "
                f"({self.retry_period} s), which is at least 1 s"
            )


async def lead(
    client: Client,
    namespace: str,
    identity: str,
    timings: LeaseTimings,
    fence: Fence,
    work: Callable[[], Coroutine[Any, Any, None]],
    told: Callable[[Mapping[str, str]], None] = lambda annotations: None,
) -> None:
    """Wait for leadership and run `work` while it lasts; returns when it is lost, with `work` ended.

    The election itself only tries to renew. That `work` ends in time, whatever a request hangs on, is
    watched here: `renew_deadline` after the start of the last renewal that succeeded, well before anybody
    else may take over. The fence is open for exactly as long. When this call is cancelled or `work` fails,
    the Lease is given back. Whenever the Lease is read, `told` hears its annotations.

    Raises:
        Exception: whatever `work` raises.
    """
    lock = _LeaseLock(client, namespace, identity, timings.renew_deadline, fence, told)
    won = asyncio.Event()

    async def leading() -> None:
        won.set()

    config = Config(
        lock,
        lease_duration=timings.duration,
        renew_deadline=timings.renew_deadline,
        retry_period=timings.retry_period,
        onstarted_leading=leading,
        onstopped_leading=_nothing,
    )
    async with running(LeaderElection(config).run()) as election:
        async with running(won.wait()) as winning:
            await first(election, winning)
        try:
            async with running(work()) as working, running(lock.outlived()) as outlived:
                await first(election, working, outlived)
        finally:
            fence.close()
            election.cancel()
            await lock.release()


class _LeaseLock(BaseLock):
    """A Lease for the election; the client's own one asks for `pretty` in a way that the client refuses."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        identity: str,
        renew_deadline: float,
        fence: Fence,
        told: Callable[[Mapping[str, str]], None],
    ) -> None:
        super().__init__(names.LEASE, namespace, identity)
        self._client, self._deadline, self._fence, self._told = client, renew_deadline, fence, told
        self._leases = f"/apis/coordination.k8s.io/v1/namespaces/{segment(namespace)}/leases"
        self._path = f"{self._leases}/{segment(names.LEASE)}"
        self._present: Object = {}

    async def get(
        self, name: str, namespace: str
    ) -> tuple[bool, LeaderElectionRecord] | tuple[bool, Exception]:
        """The record in the Lease; or False and why there is none."""
        try:
            async with asyncio.timeout(self._deadline):
                self._present = await self._client.get(self._path)
        except RefusedError as error:
            absent = ApiException(status=error.status, reason=str(error))
            absent.body = json.dumps({"code": error.status})
            return False, absent
        except (UnreachableError, TimeoutError) as error:
            return False, ApiException(status=0, reason=str(error) or "no answer")
        self._told(self._present["metadata"].get("annotations") or {})
        spec = self._present.get("spec") or {}
        if self._fence.left and spec.get("holderIdentity") != self.identity:
            self._fence.close()
        duration = spec.get("leaseDurationSeconds")
        return True, LeaderElectionRecord(
            spec.get("holderIdentity"),
            None if duration is None else str(duration),
            spec.get("acquireTime"),
            spec.get("renewTime"),
        )

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        """Create the Lease; False where somebody was first.

        In the place of one that was deleted it gets the annotations that were last seen: nobody has ended a
        pause by deleting it.
        """
        annotations = self._present.get("metadata", {}).get("annotations") or {}
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
            "spec": self._spec(election_record),
        }
        return await self._written(self._client.create(self._leases, body))

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        """Replace the Lease that was read last; False where it is another one by now."""
        body = {**self._present, "spec": self._spec(updated_record)}
        return await self._written(self._client.update(self._path, body))

    async def outlived(self) -> None:
        """Return when the Lease was not renewed for the renew deadline, or is another's."""
        while (left := self._fence.left) > 0:
            await asyncio.sleep(min(left, LOOK_SECONDS))

    async def release(self) -> None:
        """Leave the Lease without a holder, if it is ours, so that the next one need not wait it out.

        It is read again, for a renewal whose answer nobody waited for may have been written all the same.
        """
        with contextlib.suppress(UnreachableError, TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                while not await self._released():
                    pass

    async def _released(self) -> bool:
        """Try once; false where a write of another crossed it."""
        try:
            present = await self._client.get(self._path)
            spec = {**(present.get("spec") or {}), "leaseDurationSeconds": 1}
            if spec.pop("holderIdentity", None) == self.identity:
                await self._client.update(self._path, {**present, "spec": spec})
        except RefusedError as error:
            return not error.conflict
        return True

    async def _written(self, call: Coroutine[Any, Any, Object]) -> bool:
        began = elapsed()
        try:
            async with asyncio.timeout(self._deadline):
                self._present = await call
        except (RefusedError, UnreachableError, TimeoutError) as error:
            if not (isinstance(error, RefusedError) and error.conflict):
                log.warning("the lease cannot be written", error=str(error) or "no answer")
            return False
        self._fence.open(began + self._deadline)
        return not self._fence.closed

    def _spec(self, record: LeaderElectionRecord) -> Object:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        present = self._present.get("spec") or {}
        mine = present.get("holderIdentity") == record.holder_identity
        return {
            "holderIdentity": record.holder_identity,
            "leaseDurationSeconds": int(float(record.lease_duration or 0)),
            "acquireTime": present.get("acquireTime", now) if mine else now,
            "renewTime": now,
            "leaseTransitions": present.get("leaseTransitions", 0) + (0 if mine or not present else 1),
        }


async def _nothing() -> None:
    """The caller learns of a lost leadership by the return."""
