"""Fresh reads for one change: its node, the pods there, those it serves, its policy, its agent's reading."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from autoslicer.cluster import paths
from autoslicer.cluster.cache import Cache
from autoslicer.cluster.client import Client, Object, RefusedError
from autoslicer.core import reading
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import Snapshot, node_named


class UnreadableError(Exception):
    """What the API server has of the node cannot be read; the message names the object and the field."""


async def look(client: Client, cache: Cache, change: ReconfigurationRow) -> Snapshot:
    """The cache's snapshot, with everything that decides on this change read anew.

    The pods are listed without a resourceVersion, after the node was read, so that the answer is no
    older than the node. A pod or MigNode that cannot be read makes its node count as in use.

    Raises:
        RefusedError: the API server refused a read.
        UnreachableError: it did not answer.
        UnreadableError: the node itself cannot be read.
    """
    node = await _get(client, paths.one(paths.NODES, change.node))
    policy = await _get(client, paths.one(paths.POLICIES, change.policy))
    pods = (await client.get(paths.PODS, fieldSelector=f"spec.nodeName={change.node}")).get("items") or []
    keys = [key.partition("/") for key in change.serves]
    served = await asyncio.gather(*(_get(client, paths.pod(namespace, name)) for namespace, _, name in keys))
    pods += [pod for pod in served if pod is not None]
    if policy is not None:
        cache.policies.apply("MODIFIED", policy)
    known = cache.snapshot()
    agent = None
    if change.node in known.mignodes:
        agent = await _get(client, paths.one(paths.MIG_NODES, change.node))
    return _renewed(known, change, node, pods, agent)


def _renewed(
    known: Snapshot,
    change: ReconfigurationRow,
    node: Object | None,
    pods: Iterable[Object],
    agent: Object | None,
) -> Snapshot:
    name, obscured = change.node, dict(known.obscured)
    nodes = {key: row for key, row in known.nodes.items() if key != name}
    mignodes = {key: row for key, row in known.mignodes.items() if key != name}
    rows = {key: row for key, row in known.pods.items() if row.node != name and key not in change.serves}
    if node is not None:
        try:
            nodes[name] = reading.node(node)
        except ValueError as error:
            raise UnreadableError(str(error)) from None
    if agent is not None:
        try:
            mignodes[name] = reading.mig_node(agent)
        except ValueError as error:
            obscured[name] = str(error)
    for item in pods:
        try:
            row = reading.pod(item)
        except ValueError as error:
            obscured[node_named(item) or name] = str(error)
        else:
            rows[row.key] = row
    return replace(known, nodes=nodes, pods=rows, mignodes=mignodes, obscured=obscured)


async def _get(client: Client, path: str) -> Object | None:
    try:
        return await client.get(path)
    except RefusedError as error:
        if error.status == 404:
            return None
        raise
