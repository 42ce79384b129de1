"""Fresh reads for one change: its node, the pods on it, the pods that it serves and its agent's reading."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from autoslicer.cluster import paths
from autoslicer.cluster.cache import Cache
from autoslicer.cluster.client import Client, Object, RefusedError
from autoslicer.core import reading
from autoslicer.core.rows import ReconfigurationRow
from autoslicer.core.snapshot import Snapshot, node_named


async def look(client: Client, cache: Cache, change: ReconfigurationRow) -> Snapshot:
    """The cache's snapshot, with everything that decides on this change read anew.

    The pods are listed without a resourceVersion, after the node was read, so that the answer is no
    older than the node. A pod that cannot be read makes its node count as in use.

    Raises:
        RefusedError: the API server refused a read.
        UnreachableError: it did not answer.
    """
    node = await _get(client, paths.one(paths.NODES, change.node))
    listed = (await client.get(paths.PODS, fieldSelector=f"spec.nodeName={change.node}")).get("items") or []
    keys = [key.partition("/") for key in change.serves]
    waits = (_get(client, paths.pod(namespace, name)) for namespace, _, name in keys)
    served = [pod for pod in await asyncio.gather(*waits) if pod is not None]
    agent = (
        await _get(client, paths.one(paths.MIG_NODES, change.node))
        if change.node in cache.mignodes.rows
        else None
    )
    known = cache.snapshot()
    pods = {
        key: pod for key, pod in known.pods.items() if pod.node != change.node and key not in change.serves
    }
    obscured = dict(known.obscured)
    for item in (*listed, *served):
        try:
            row = reading.pod(item)
        except ValueError as error:
            obscured[node_named(item) or change.node] = str(error)
        else:
            pods[row.key] = row
    nodes = {name: row for name, row in known.nodes.items() if name != change.node}
    if node is not None:
        nodes[change.node] = reading.node(node)
    mignodes = {name: row for name, row in known.mignodes.items() if name != change.node}
    if agent is not None:
        mignodes[change.node] = reading.mig_node(agent)
    return replace(known, nodes=nodes, pods=pods, mignodes=mignodes, obscured=obscured)


async def _get(client: Client, path: str) -> Object | None:
    try:
        return await client.get(path)
    except RefusedError as error:
        if error.status == 404:
            return None
        raise
