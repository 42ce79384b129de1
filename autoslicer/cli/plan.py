"""`autoslicer plan`: what would be changed now, for whom, and why not more."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from autoslicer.cli import output
from autoslicer.cli.failures import ExitCode
from autoslicer.cli.given import FilenameOption, NowOption, PolicyOption, given
from autoslicer.cli.live import ContextOption, KubeconfigOption
from autoslicer.cli.output import Format, say
from autoslicer.cli.stopwatch import Stopwatch
from autoslicer.cli.wording import number


def plan(
    filename: FilenameOption = "",
    policy: PolicyOption = "",
    form: Annotated[
        Format, typer.Option("-o", "--output", help="wide names every pod and node.")
    ] = Format.TABLE,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 3 where the plan changes a node.")
    ] = False,
    effort: Annotated[
        int | None, typer.Option(min=1, help="Work that the search may spend; counted, not timed.")
    ] = None,
    now: NowOption = "",
    timings: Annotated[
        bool, typer.Option("--timings", help="Say on stderr how long each part of the work took.")
    ] = False,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
) -> int:
    """Show which nodes would be reshaped, from what to what and for which pods; nothing is written.

    Without -f the cluster of the kubeconfig is read.
    """
    from autoslicer.core import planner
    from autoslicer.core.plan import document

    watch = Stopwatch()
    snapshot, policies, at = given(filename, policy, now, kubeconfig, context)
    watch.lap("read")
    if sys.stderr.isatty():
        say(f"planning on {number(len(snapshot.nodes), 'node')} with {number(len(snapshot.pods), 'pod')} ...")
    result = planner.plan(
        snapshot,
        policies,
        at,
        effort=effort or planner.EFFORT,
        reached=watch.lap,
    )
    if form.for_people:
        from autoslicer.cli.render_plan import draw

        output.drawn(lambda console: draw(console, result, wide=form == Format.WIDE))
    else:
        output.data(document(result), form)
    watch.lap("printed")
    if timings:
        say(f"timings: {watch}")
    return ExitCode.PLAN_NOT_EMPTY if detailed_exitcode and result.reshapes else ExitCode.OK
