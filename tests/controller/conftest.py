"""Our own client with our own rights, on the real API server."""

from __future__ import annotations

from tests.cluster_room.conftest import account, client, proxy

__all__ = ["account", "client", "proxy"]
