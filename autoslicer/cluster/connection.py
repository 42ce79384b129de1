"""How the API server is found: a kubeconfig as kubectl reads it, or the pod's service account."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, KubeConfigLoader

from autoslicer.cluster.client import INACTIVE_SECONDS, Client, Counter, UnreachableError

RELOAD_SECONDS = 60.0
"""a kubeconfig, or a pod's token, is read again after so long: tokens expire, and others take their place"""
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError)
"""what the official client raises on its way through a file that is no kubeconfig"""


async def connect(
    kubeconfig: str = "",
    context: str = "",
    count: Counter = lambda verb, code: None,
    inactive_seconds: float = INACTIVE_SECONDS,
) -> Client:
    """A client from a kubeconfig, or from the pod's service account where no kubeconfig is found.

    Raises:
        UnreachableError: there is neither, or it cannot be used; the message is one sentence.
    """
    settings: Any = Configuration()
    files = (kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION).split(os.pathsep)
    if any(Path(file).expanduser().is_file() for file in files):
        loader = await _load(kubeconfig, context, settings)
        settings.refresh_api_key_hook = _Reload(loader.load_and_set)
    elif kubeconfig or context:
        raise UnreachableError(f"the kubeconfig {files[0]} does not exist")
    else:
        try:
            await _load_mounted(settings)
        except config.ConfigException:
            raise UnreachableError("neither a kubeconfig nor a pod's service account is here") from None
        settings.refresh_api_key_hook = _Reload(_load_mounted)
    try:
        return Client(ApiClient(settings), count, inactive_seconds)
    except OSError as error:
        raise UnreachableError(f"the certificates to connect with cannot be used: {error}") from None


async def _load(kubeconfig: str, context: str, settings: Configuration) -> KubeConfigLoader:
    try:
        loader: KubeConfigLoader = await config.load_kube_config(
            kubeconfig or None, context or None, settings
        )
    except (config.ConfigException, OSError) as error:
        raise UnreachableError(f"the kubeconfig cannot be used: {error}") from None
    except _MALFORMED:
        raise UnreachableError(
            f"the kubeconfig cannot be used: {kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION} is not one"
        ) from None
    if not settings.host:
        raise UnreachableError("the kubeconfig cannot be used: its cluster has no server")
    return loader


async def _load_mounted(settings: Configuration) -> None:
    config.load_incluster_config(settings, try_refresh_token=False)


class _Reload:
    """Takes over what the files say by now, at most once in `RELOAD_SECONDS`."""

    def __init__(self, load: Callable[[Configuration], Awaitable[None]]) -> None:
        self._load, self._at = load, time.monotonic()

    async def __call__(self, settings: Configuration) -> None:
        """Called before each request; where nothing can be read any more, the last credentials stay."""
        if time.monotonic() - self._at < RELOAD_SECONDS:
            return
        self._at = time.monotonic()
        with contextlib.suppress(config.ConfigException, OSError, *_MALFORMED):
            await self._load(settings)
