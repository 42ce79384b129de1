"""One leader at a time, by a Lease: the official client's election over our own connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.baselock import BaseLock

from autoslicer.cluster.client import Client, Object, RefusedError, UnreachableError, segment

LEASE_NAME = "autoslicer"


@dataclass(frozen=True, slots=True)
class LeaseTimings:
    """Seconds: how long a lease holds, how long its holder tries to renew it, how often anybody tries."""

    duration: int = 15
    renew_deadline: int = 10
    retry_period: int = 2


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
    config = Config(
        _LeaseLock(client, namespace, identity),
        lease_duration=timings.duration,
        renew_deadline=timings.renew_deadline,
        retry_period=timings.retry_period,
        onstarted_leading=work,
        onstopped_leading=_nothing,
    )
    await LeaderElection(config).run()


class _LeaseLock(BaseLock):
    """A Lease for the election; the client's own one asks for `pretty` in a way that the client refuses."""

    def __init__(self, client: Client, namespace: str, identity: str) -> None:
        super().__init__(LEASE_NAME, namespace, identity)
        self._client = client
        self._leases = f"/apis/coordination.k8s.io/v1/namespaces/{segment(namespace)}/leases"
        self._present: Object = {}

    async def get(
        self, name: str, namespace: str
    ) -> tuple[bool, LeaderElectionRecord] | tuple[bool, Exception]:
        """The record in the Lease; or False and why there is none."""
        try:
            self._present = await self._client.get(f"{self._leases}/{segment(name)}")
        except RefusedError as error:
            absent = ApiException(status=error.status, reason=str(error))
            absent.body = json.dumps({"code": error.status})
            return False, absent
        except UnreachableError as error:
            return False, ApiException(status=0, reason=str(error))
        spec = self._present.get("spec") or {}
        duration = spec.get("leaseDurationSeconds")
        return True, LeaderElectionRecord(
            spec.get("holderIdentity"),
            None if duration is None else str(duration),
            spec.get("acquireTime"),
            spec.get("renewTime"),
        )

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        """Create the Lease; False where somebody was first."""
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": namespace},
            "spec": self._spec(election_record),
        }
        return await self._written(self._client.create(self._leases, body))

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        """Replace the Lease that was read last; False where it is another one by now."""
        body = {**self._present, "spec": self._spec(updated_record)}
        return await self._written(self._client.update(f"{self._leases}/{segment(name)}", body))

    async def _written(self, call: Coroutine[Any, Any, Object]) -> bool:
        try:
            self._present = await call
        except (RefusedError, UnreachableError):
            return False
        return True

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
