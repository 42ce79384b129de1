"""The policies: told by events of the shell, and listed now and then to find what no event told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

import structlog

from autoslicer.cluster import paths
from autoslicer.cluster.client import Client, Object, RefusedError, UnreachableError, version
from autoslicer.core import reading
from autoslicer.core.policy import Policy

RELIST_SECONDS = 60.0
RETRY_SECONDS = 1.0

log = structlog.get_logger("autoslicer.policies")


class Policies:
    """Every policy with its whole object; of two tellings of one policy the newer one counts.

    Attributes:
        listed: set once all have been listed.
    """

    def __init__(self, client: Client, changed: Callable[[Policy | None, Policy | None], None]) -> None:
        self.listed = asyncio.Event()
        self._client, self._changed = client, changed
        self._found: dict[str, tuple[Policy, Object]] = {}
        self._told = 0
        self._contact = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since the policies were listed last."""
        return time.monotonic() - self._contact

    def rows(self) -> Iterable[Policy]:
        """The policies that can be read; the others govern nothing."""
        return (policy for policy, _ in self._found.values())

    def object(self, name: str) -> Object | None:
        """The whole object of a policy, with its present status."""
        found = self._found.get(name)
        return None if found is None else found[1]

    def apply(self, event: str | None, item: Object) -> None:
        """Take over one watch event, or an object that the watch has listed (event None)."""
        if (at := version(item)) >= version(self.object(item["metadata"]["name"]) or {}):
            self._told = max(self._told, at)
            self._put(None if event == "DELETED" else _policy(item), item)

    def _put(self, new: Policy | None, item: Object) -> None:
        name = item["metadata"]["name"]
        old, _ = self._found.get(name, (None, {}))
        if new is None:
            self._found.pop(name, None)
        else:
            self._found[name] = (new, item)
        if old != new:
            self._changed(old, new)

    def observe(self, item: Object) -> None:
        """Take over what a write of our own returned, unless the policy is gone by now."""
        if item["metadata"]["name"] in self._found:
            self.apply("MODIFIED", item)

    async def run(self) -> None:
        """List again and again until cancelled."""
        trouble = ""
        while True:
            known = self._told
            try:
                page = await self._client.get(paths.POLICIES)
            except (RefusedError, UnreachableError) as error:
                if str(error) != trouble:
                    trouble = str(error)
                    log.warning("the policies cannot be listed", error=trouble)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            trouble = ""
            self._contact = time.monotonic()
            # older than what was told meanwhile it would bring back what is gone; where nothing was told
            # meanwhile an older list counts, as of an etcd that was restored
            outdated = self._told != known and version(page) < self._told
            if not outdated:
                self._replace(page.get("items") or [], version(page))
            await asyncio.sleep(RETRY_SECONDS if outdated else RELIST_SECONDS)

    def _replace(self, items: list[Object], at: int) -> None:
        self._told = at
        gone = self._found.keys() - {item["metadata"]["name"] for item in items}
        for name in gone:
            self._put(None, self._found[name][1])
        for item in items:
            self._put(_policy(item), item)
        if not self.listed.is_set():
            self.listed.set()
            self._changed(None, None)


def _policy(item: Object) -> Policy | None:
    try:
        return reading.policy(item)
    except ValueError as error:
        log.warning("a policy cannot be read and governs nothing", error=str(error))
        return None
