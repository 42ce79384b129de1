"""`autoslicer run`: the controller."""

from __future__ import annotations

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
    """Run the controller until it is told to stop; every option also as AUTOSLICER_<NAME>."""
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
        raise BadInputError("\n".join(_sentence(dict(problem)) for problem in error.errors())) from None
    configure(settings.log_format)
    shell = Shell(settings)
    shell.run()
    if shell.failed:
        raise CommandError("the controller ended by itself; the log says why")


def _sentence(problem: dict[str, Any]) -> str:
    name = str(problem["loc"][0])
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"--{name.replace('_', '-')} (or AUTOSLICER_{name.upper()}): {message}"
