"""Carries out the core's actions on the cluster, each under its precondition; the only place that writes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from autoslicer.cluster import documents, paths
from autoslicer.cluster.cache import Cache
from autoslicer.cluster.client import Client, Object, RefusedError
from autoslicer.cluster.config_file import CONFIG_KEY, PublishError, file_with
from autoslicer.cluster.events import Recorder
from autoslicer.core import names
from autoslicer.core.actions import (
    Action,
    AddTaint,
    CreateChange,
    DeleteChange,
    DeletePod,
    Evict,
    Leaver,
    Nominate,
    NoteOnNode,
    PolicyStatus,
    Publish,
    RemoveTaint,
    Report,
    RestoreClients,
    SetConfig,
    TouchPod,
    WakeAt,
    WriteChangeStatus,
)
from autoslicer.core.changes import marks
from autoslicer.core.rows import ConfigEntry

_ATTEMPTS = 5
KEPT_SECONDS = 5.0
"""until a pod that something keeps is asked for again, or longer where the API server says so"""
_KEPT = (403, 422, 429, 500)
"""how an eviction is refused: by a right or an admission policy (the first two), or by disruption budgets"""


class UntouchableError(Exception):
    """We have no right to annotate mig-manager's pods."""


@dataclass(slots=True)
class _Batch:
    """Configs that go into one ConfigMap in one write."""

    configs: dict[str, tuple[ConfigEntry, ...]] = field(default_factory=dict)
    begun: bool = False
    done: bool = False


class Writer:
    """Carries out actions; what the API server returns goes into the cache at once."""

    def __init__(self, client: Client, cache: Cache, recorder: Recorder) -> None:
        self._client, self._cache, self._recorder = client, cache, recorder
        self._kept: dict[str, float] = {}
        self._batches: dict[str, tuple[asyncio.Lock, _Batch]] = {}

    async def carry_out(self, actions: Sequence[Action], now: float) -> None:
        """Do all actions in order; the rest is dropped at the first that fails.

        Raises:
            RefusedError: the API server refused one; `conflict` is set where a precondition did not hold.
            UnreachableError: it did not answer.
            PublishError: the ConfigMap cannot take the configs.
            UntouchableError: a pod may not be annotated.
        """
        for action in actions:
            await self._one(action, now)

    async def _one(self, action: Action, now: float) -> None:
        match action:
            case WakeAt():
                pass
            case CreateChange():
                await self._create(action)
            case DeleteChange():
                await self._delete(action)
            case WriteChangeStatus():
                await self._status(action)
            case AddTaint():
                taint = {"key": names.TAINT, "value": action.value, "effect": "NoSchedule"}
                await self._taints(action, taint, marks.setting(action.marks))
            case RemoveTaint():
                await self._taints(action, None, marks.removing(action.marks))
            case SetConfig():
                await self._set_config(action)
            case RestoreClients():
                await self._restore_clients(action)
            case DeletePod():
                await self._delete_pod(action)
            case NoteOnNode():
                await self._note(action)
            case Publish():
                await self._publish(action)
            case TouchPod():
                await self._touch(action)
            case Evict():
                await self._evict(action, now)
            case Nominate():
                await self._nominate(action)
            case Report():
                self._recorder.report(action)
            case PolicyStatus():
                await self._policy_status(action, now)

    async def _touch(self, action: TouchPod) -> None:
        body = {"metadata": {"uid": action.uid, "annotations": {action.annotation: action.value}}}
        try:
            self._cache.pods.observe(await self._client.patch(paths.pod(action.namespace, action.name), body))
        except RefusedError as error:
            if error.status == 422:
                await self._as_expected(action, {"/metadata/uid": action.uid}, error)
            if error.status not in (403, 422):
                raise
            raise UntouchableError(str(error)) from None

    async def _as_expected(
        self, action: TouchPod | Nominate, expected: Mapping[str, str | None], error: RefusedError
    ) -> None:
        """Tell what 422 means: a pod that is not as expected, by JSON pointer, or an admission policy's no.

        Raises:
            RefusedError: a conflict (409), for the pod is another one, has changed or is gone.
        """
        found = await self._client.get(paths.pod(action.namespace, action.name))
        for pointer, value in expected.items():
            part, field_ = pointer.lstrip("/").split("/")
            if found.get(part, {}).get(field_) != value:
                raise RefusedError(409, str(error)) from None

    async def _evict(self, action: Evict, now: float) -> None:
        """Ask for all, once no answer to a dry run says that one of them stays."""
        self._kept = {uid: until for uid, until in self._kept.items() if until > now}
        if any(pod.uid in self._kept for pod in action.pods):
            return
        if len(action.pods) > 1:
            for pod in action.pods:
                if not await self._leaves(pod, now, dryRun="All"):
                    return
        for pod in action.pods:
            await self._leaves(pod, now)

    async def _leaves(self, pod: Leaver, now: float, **query: str) -> bool:
        """Ask once; a pod that something keeps is left alone for as long as the API server says."""
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"namespace": pod.namespace, "name": pod.name},
            "deleteOptions": {"preconditions": {"uid": pod.uid}},
        }
        try:
            await self._client.create(f"{paths.pod(pod.namespace, pod.name)}/eviction", body, **query)
        except RefusedError as error:
            if error.status not in _KEPT:
                raise
            self._kept[pod.uid] = now + max(error.retry_after, KEPT_SECONDS)
            return False
        return True

    async def _nominate(self, action: Nominate) -> None:
        hint = "/status/nominatedNodeName"
        expected = {"/metadata/uid": action.uid, "/spec/nodeName": None, hint: action.before or None}
        path = f"{paths.pod(action.namespace, action.name)}/status"
        try:
            changed = await self._client.patch_where(path, expected, {hint: action.node or None})
        except RefusedError as error:
            if error.status == 422:
                await self._as_expected(action, expected, error)
            raise
        self._cache.pods.observe(changed)

    async def _create(self, action: CreateChange) -> None:
        try:
            made = await self._client.create(
                paths.CHANGES, documents.change(action.change, action.change.node_uid)
            )
        except RefusedError as error:
            if error.status != 409:
                raise
            # somebody made it whom no watch has told of
            await self._cache.changes.refresh()
        else:
            self._cache.changes.observe(made)

    async def _delete(self, action: DeleteChange) -> None:
        try:
            await self._client.delete(paths.one(paths.CHANGES, action.name), uid=action.uid)
        except RefusedError as error:
            if not error.conflict:
                raise

    async def _status(self, action: WriteChangeStatus) -> None:
        body = {
            "metadata": {"resourceVersion": action.resource_version},
            "status": documents.change_status(action.status),
        }
        path = f"{paths.one(paths.CHANGES, action.name)}/status"
        self._cache.changes.observe(await self._client.patch(path, body))

    async def _taints(
        self, action: AddTaint | RemoveTaint, taint: Object | None, annotations: Mapping[str, str | None]
    ) -> None:
        """Write the whole list of taints, with ours replaced; refused unless the node is as it was seen.

        Annotations are set in the same write; None takes one away.
        """
        path, version = paths.one(paths.NODES, action.node), action.resource_version
        present = await self._client.get(path)
        if present["metadata"]["resourceVersion"] != version:
            raise RefusedError(409, f"node {action.node} has changed")
        others = [found for found in present["spec"].get("taints") or [] if found.get("key") != names.TAINT]
        wanted = others if taint is None else [*others, taint]
        metadata: Object = {"resourceVersion": version}
        if annotations:
            metadata["annotations"] = dict(annotations)
        body = {"metadata": metadata, "spec": {"taints": wanted or None}}
        self._cache.nodes.observe(await self._client.patch(path, body))

    async def _set_config(self, action: SetConfig) -> None:
        body = {
            "metadata": {
                "resourceVersion": action.resource_version,
                "labels": {names.MIG_CONFIG: action.config, names.MIG_CONFIG_STATE: "pending"},
                "annotations": {names.APPLIED_CONFIG: action.config},
            }
        }
        self._cache.nodes.observe(await self._client.patch(paths.one(paths.NODES, action.node), body))

    async def _restore_clients(self, action: RestoreClients) -> None:
        body = {
            "metadata": {
                "resourceVersion": action.resource_version,
                "labels": dict.fromkeys(action.clients, "true"),
            }
        }
        self._cache.nodes.observe(await self._client.patch(paths.one(paths.NODES, action.node), body))

    async def _delete_pod(self, action: DeletePod) -> None:
        try:
            await self._client.delete(paths.pod(action.namespace, action.name), uid=action.uid)
        except RefusedError as error:
            if not error.conflict:
                raise

    async def _note(self, action: NoteOnNode) -> None:
        note = {action.annotation: action.value or None}
        body = {"metadata": {"resourceVersion": action.resource_version, "annotations": note}}
        self._cache.nodes.observe(await self._client.patch(paths.one(paths.NODES, action.node), body))

    async def _publish(self, action: Publish) -> None:
        """Add the configs, in one write with those that others ask for while a write is under way."""
        path = paths.one(paths.config_maps(action.namespace), action.name)
        lock, batch = self._batches.setdefault(path, (asyncio.Lock(), _Batch()))
        batch.configs.update(action.configs)
        async with lock:
            if not batch.begun:
                batch.begun = True
                self._batches[path] = (lock, _Batch())
                try:
                    await self._add(path, batch.configs)
                    batch.done = True
                except PublishError:
                    if batch.configs.keys() == action.configs.keys():
                        raise
            if not batch.done:
                # what failed for another's sake may be possible without it
                await self._add(path, action.configs)

    async def _add(self, path: str, wanted: Mapping[str, tuple[ConfigEntry, ...]]) -> None:
        for _ in range(_ATTEMPTS):
            present = await self._client.get(path)
            text = file_with(present, wanted)
            if text is None:
                return
            data = {**(present.get("data") or {}), CONFIG_KEY: text}
            try:
                self._cache.observe_config_map(await self._client.update(path, {**present, "data": data}))
            except RefusedError as error:
                if error.status != 409:
                    raise
            else:
                return
        raise RefusedError(409, f"{path} keeps changing")

    async def _policy_status(self, action: PolicyStatus, now: float) -> None:
        present = self._cache.policies.object(action.name)
        wanted = documents.policy_status(action, now)
        if present is None or documents.same_policy_status(present.get("status") or {}, wanted):
            return
        path = f"{paths.one(paths.POLICIES, action.name)}/status"
        body = {"metadata": {"resourceVersion": present["metadata"]["resourceVersion"]}, "status": wanted}
        self._cache.policies.observe(await self._client.patch(path, body))
