"""`autoslicer capacity`: how many more pods fit, which nodes packing would free, or what a scenario needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autoslicer.cli import output
from autoslicer.cli.failures import BadInputError
from autoslicer.cli.given import FilenameOption, NowOption, PolicyOption, given
from autoslicer.cli.live import ContextOption, KubeconfigOption
from autoslicer.cli.options import LenientOption, first_given
from autoslicer.cli.output import Format
from autoslicer.cli.sizing import size

OF_SCENARIOS = ("until_served", "within", "most", "lenient")
OF_CLUSTERS = ("filename", "policy", "cpu", "memory", "now", "kubeconfig", "context")


def capacity(
    asked: typer.Context,
    scenario: Annotated[
        Path | None, typer.Argument(help="A Scenario as YAML: how many more nodes does it need?")
    ] = None,
    until_served: Annotated[
        str, typer.Option("--until-served", help="Of a scenario: the share of its pods, such as 99%.")
    ] = "99%",
    within: Annotated[
        float | None,
        typer.Option(
            min=0, help="Of a scenario: they are served so many seconds after they come; else ever."
        ),
    ] = None,
    most: Annotated[
        int, typer.Option("--most", min=1, max=1024, help="Of a scenario: try at most so many more nodes.")
    ] = 64,
    lenient: LenientOption = False,
    filename: FilenameOption = "",
    policy: PolicyOption = "",
    cpu: Annotated[
        str, typer.Option(help="What each pod asks for besides its slice, such as 4 or 500m.")
    ] = "0",
    memory: Annotated[str, typer.Option(help="The same of memory, such as 16Gi.")] = "0",
    form: Annotated[
        Format, typer.Option("-o", "--output", help="wide shows all profiles and nodes.")
    ] = Format.TABLE,
    now: NowOption = "",
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
) -> None:
    """Count how many more pods with one slice each would fit, as the nodes are cut and after reshapes.

    Each figure holds by itself: room that one profile takes is gone for the others. Then: which nodes would
    have no pods with GPUs left if the running ones were packed. Without -f the cluster of the kubeconfig is
    read; nothing is written.

    With a SCENARIO: how many more of its nodes, of one kind at a time, autoslicer needs to serve its pods.
    """
    option = first_given(asked, OF_SCENARIOS if scenario is None else OF_CLUSTERS)
    if scenario is not None:
        if option:
            raise BadInputError(
                f"{option}: asks about a cluster, and {scenario} is a scenario; leave one of them out"
            )
        size(scenario, until_served, within, most, form, lenient=lenient)
        return
    if option:
        raise BadInputError(f"{option}: asks about a scenario; name one, or leave out {option}")
    from autoslicer.core.consolidation.packed import document as packed_document
    from autoslicer.core.consolidation.packed import packed
    from autoslicer.core.remaining import document, remaining

    requests = {"cpu": _amount("cpu", cpu), "memory": _amount("memory", memory)}
    snapshot, policies, at = given(filename, policy, now, kubeconfig, context)
    rooms = remaining(snapshot, policies, at, requests)
    tight = packed(snapshot, policies, at)
    if form.for_people:
        from autoslicer.cli.render_capacity import draw

        output.drawn(lambda console: draw(console, rooms, tight, wide=form == Format.WIDE))
    else:
        output.data({**document(rooms, requests), "packed": packed_document(tight)}, form)


def _amount(resource: str, text: str) -> int:
    from autoslicer.core import quantity

    try:
        return quantity.parse(resource, text)
    except ValueError as error:
        raise BadInputError(f"--{error}") from None
