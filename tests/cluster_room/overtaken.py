"""A list that something else overtakes while it is under way."""

from __future__ import annotations

from collections.abc import Callable

from autoslicer.cluster.client import Client, Object


class Overtaken(Client):
    """A client whose answers come only after something else has happened."""

    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    async def get(self, path: str, **query: str) -> Object:
        """As its parent's."""
        page = await super().get(path, **query)
        self.meanwhile()
        return page
