"""`autoslicer run`: the controller."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from autoslicer.cli.failures import BadInputError, CommandError
from autoslicer.cli.live import ContextOption, KubeconfigOption


def run(
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    namespace: Annotated[
        str, typer.Option(help="Namespace of the leader's Lease; the pod's own unless given.")
    ] = "",
    metrics_address: Annotated[
        str, typer.Option(help="Where /metrics, /healthz and /readyz are served; :8080 unless given.")
    ] = "",
    log_format: Annotated[str, typer.Option(help="text or json.")] = "",
) -> None:
    """Run the controller until it is told to stop; every option can also be given as AUTOSLICER_NAME."""
    from pydantic import ValidationError

    from autoslicer.controller.settings import Settings
    from autoslicer.controller.shell import Shell
    from autoslicer.observability.logs import configure

    given = {
        "kubeconfig": kubeconfig,
        "context": context,
        "namespace": namespace,
        "metrics_address": metrics_address,
        "log_format": log_format,
    }
    flags: dict[str, Any] = {name: value for name, value in given.items() if value}
    try:
        settings = Settings(**flags)
    except ValidationError as error:
        sentences = (_sentence(str(problem["loc"][0]), problem["msg"], given) for problem in error.errors())
        raise BadInputError("\n".join(sentences)) from None
    configure(settings.log_format)
    shell = Shell(settings)
    shell.run()
    if shell.failed:
        raise CommandError("the controller ended by itself; the log says why")


def _sentence(name: str, message: str, flags: Iterable[str]) -> str:
    """What is wrong with a setting, under the names that a user can give it."""
    variable = f"AUTOSLICER_{name.upper()}"
    called = f"--{name.replace('_', '-')} or {variable}" if name in flags else variable
    return f"{called}: {message.removeprefix('Value error, ')}"
