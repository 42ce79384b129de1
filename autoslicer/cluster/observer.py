"""Fresh reads for one change: itself, its node, the pods there, those it serves, its policy, its agent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import replace

from autoslicer.cluster import paths
from autoslicer.cluster.cache import Cache
from autoslicer.cluster.client import Client, Object, RefusedError, UnreachableError
from autoslicer.core import reading
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import Snapshot, node_named

MOST_ATTEMPTS = 3
FIRST_PAUSE = 0.1
"""seconds until a read is tried again; doubled"""
PASSING = (429, 500, 502, 503, 504)
"""HTTP statuses of an API server that may answer better in a moment"""


class UnreadableError(Exception):
    """The node of a change cannot be read; the message names the object and the field."""


async def look(client: Client, cache: Cache, change: ReconfigurationRow) -> Snapshot:
    """The cache's snapshot, with everything that decides on this change read anew.

    The pods are listed without a resourceVersion, after the node was read, so that the answer is no
    older than the node. A pod or MigNode that cannot be read makes its node count as in use; a policy that
    cannot be read governs nothing, as if it were gone.

    Raises:
        RefusedError: the API server refused a read; or the change is not the one that is known (409), so
            that what it would do has been done already, or is not wanted any more.
        UnreachableError: it did not answer.
        UnreadableError: the node itself cannot be read.
    """
    present, node, policy = await asyncio.gather(
        _get(client, paths.one(paths.CHANGES, change.name)),
        _get(client, paths.one(paths.NODES, change.node)),
        _get(client, paths.one(paths.POLICIES, change.policy)),
    )
    if present is None or present["metadata"]["resourceVersion"] != change.resource_version:
        raise RefusedError(409, f"change {change.name} is {'gone' if present is None else 'another by now'}")
    pods = (await _read(client, paths.PODS, fieldSelector=f"spec.nodeName={change.node}")).get("items") or []
    keys = [key.partition("/") for key in change.serves]
    served = await asyncio.gather(*(_get(client, paths.pod(namespace, name)) for namespace, _, name in keys))
    pods += [pod for pod in served if pod is not None]
    known = cache.snapshot()
    agent = None
    if change.node in known.mignodes:
        agent = await _get(client, paths.one(paths.MIG_NODES, change.node))
    return _renewed(_without(known, change), change.node, node, policy, pods, agent)


def _without(known: Snapshot, change: ReconfigurationRow) -> Snapshot:
    """The snapshot without what is read anew."""
    return replace(
        known,
        nodes={key: row for key, row in known.nodes.items() if key != change.node},
        mignodes={key: row for key, row in known.mignodes.items() if key != change.node},
        policies={key: row for key, row in known.policies.items() if key != change.policy},
        pods={
            key: row
            for key, row in known.pods.items()
            if row.node != change.node and key not in change.serves
        },
    )


def _renewed(
    rest: Snapshot,
    name: str,
    node: Object | None,
    policy: Object | None,
    pods: Iterable[Object],
    agent: Object | None,
) -> Snapshot:
    nodes, mignodes, policies = dict(rest.nodes), dict(rest.mignodes), dict(rest.policies)
    rows, obscured = dict(rest.pods), dict(rest.obscured)
    try:
        if node is not None:
            nodes[name] = reading.node(node)
    except ValueError as error:
        raise UnreadableError(str(error)) from None
    if policy is not None:
        with contextlib.suppress(ValueError):
            row = reading.policy(policy)
            policies[row.name] = row
    if agent is not None:
        try:
            mignodes[name] = reading.mig_node(agent)
        except ValueError as error:
            obscured[name] = str(error)
    for item in pods:
        try:
            pod = reading.pod(item)
        except ValueError as error:
            obscured[node_named(item) or name] = str(error)
        else:
            rows[pod.key] = pod
    return replace(rest, nodes=nodes, pods=rows, mignodes=mignodes, policies=policies, obscured=obscured)


async def _get(client: Client, path: str) -> Object | None:
    try:
        return await _read(client, path)
    except RefusedError as error:
        if error.status == 404:
            return None
        raise


async def _read(client: Client, path: str, **query: str) -> Object:
    """GET, asked for again soon where that may help: one look is many reads, and fails with any of them."""
    for attempt in range(MOST_ATTEMPTS - 1):
        try:
            return await client.get(path, **query)
        except UnreachableError:
            pause = 0.0
        except RefusedError as error:
            if error.status not in PASSING:
                raise
            pause = error.retry_after
        await asyncio.sleep(max(pause, FIRST_PAUSE * 2**attempt))
    return await client.get(path, **query)
