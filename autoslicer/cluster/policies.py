"""The policies: told by events of the shell, and listed now and then to find what no event told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from autoslicer.cluster import paths
from autoslicer.cluster.client import Client, Object, RefusedError, UnreachableError, version
from autoslicer.core import reading
from autoslicer.core.policy import Policy

RELIST_SECONDS = 300.0
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

    def rows(self) -> Iterable[Policy]:
        """The policies that can be read; the others govern nothing."""
        return (policy for policy, _ in self._found.values())

    def object(self, name: str) -> Object | None:
        """The whole object of a policy, with its present status."""
        found = self._found.get(name)
        return None if found is None else found[1]

    def apply(self, event: str | None, item: Object) -> None:
        """Take over one watch event, or an object that was listed (event None)."""
        name, at = item["metadata"]["name"], version(item)
        old, known = self._found.get(name, (None, {}))
        if at < version(known):
            return
        self._told = max(self._told, at)
        new = None if event == "DELETED" else _policy(item)
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
            try:
                page = await self._client.get(paths.POLICIES)
            except (RefusedError, UnreachableError) as error:
                if str(error) != trouble:
                    trouble = str(error)
                    log.warning("the policies cannot be listed", error=trouble)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            trouble = ""
            # a list that is older than an event would bring back what is gone
            outdated = version(page) < self._told
            if not outdated:
                self._replace(page.get("items") or [])
            await asyncio.sleep(RETRY_SECONDS if outdated else RELIST_SECONDS)

    def _replace(self, items: list[Object]) -> None:
        gone = self._found.keys() - {item["metadata"]["name"] for item in items}
        for name in gone:
            self.apply("DELETED", self._found[name][1])
        for item in items:
            self.apply(None, item)
        if not self.listed.is_set():
            self.listed.set()
            self._changed(None, None)


def _policy(item: Object) -> Policy | None:
    try:
        return reading.policy(item)
    except ValueError as error:
        log.warning("a policy cannot be read and governs nothing", error=str(error))
        return None
