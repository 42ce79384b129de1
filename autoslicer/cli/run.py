"""`autoslicer run`: the controller."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from autoslicer.cli.failures import BadInputError, CommandError, UnreachableError
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

    from autoslicer.cluster.client import UnreachableError as NoClusterError
    from autoslicer.controller import shell
    from autoslicer.controller.process import ControllerError
    from autoslicer.controller.settings import Settings
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
        sentences = (_sentence(problem["loc"], problem["msg"], given) for problem in error.errors())
        raise BadInputError("\n".join(sentences)) from None
    configure(settings.log_format)
    try:
        shell.run(settings)
    except NoClusterError as error:
        wrong = BadInputError if settings.kubeconfig or settings.context else UnreachableError
        raise wrong(str(error)) from None
    except ControllerError as error:
        raise CommandError(str(error)) from None


def _sentence(place: tuple[str | int, ...], message: str, flags: Iterable[str]) -> str:
    """What is wrong with a setting, under the names that a user can give it."""
    said = message.removeprefix("Value error, ")
    if not place:
        return said
    name = str(place[0])
    variable = f"AUTOSLICER_{name.upper()}"
    called = f"--{name.replace('_', '-')} or {variable}" if name in flags else variable
    return f"{called}: {said}"
