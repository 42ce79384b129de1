"""Which release of Kubernetes the API server is."""

from __future__ import annotations

import re

from autoslicer.cluster.client import Client, UnreachableError


async def release(client: Client) -> tuple[int, int]:
    """The major and minor version; providers may add to the minor one, as in "35+".

    Raises:
        RefusedError: the API server refused to tell.
        UnreachableError: it did not answer, or not with a version.
    """
    found = await client.get("/version")
    numbers = [re.match(r"\d{1,4}", str(found.get(part, "")), re.ASCII) for part in ("major", "minor")]
    major, minor = (int(number[0]) if number is not None else -1 for number in numbers)
    if major < 0 or minor < 0:
        raise UnreachableError("the API server does not tell its version")
    return major, minor
