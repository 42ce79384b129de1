"""`autoslicer plan`: what would be changed now, for whom, and why not more."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from autoslicer.cli import documents, output
from autoslicer.cli.failures import BadInputError, ExitCode
from autoslicer.cli.live import ContextOption, KubeconfigOption, session
from autoslicer.cli.output import Format, say
from autoslicer.cli.policies import from_file
from autoslicer.cli.snapshot import KINDS, collect
from autoslicer.cli.stopwatch import Stopwatch
from autoslicer.cli.wording import number

if TYPE_CHECKING:
    from autoslicer.core.policy import Policy
    from autoslicer.core.snapshot import Snapshot

SKIPPED_SHOWN = 5


def plan(
    filename: Annotated[
        str,
        typer.Option(
            "-f", "--filename", help="A List, as `kubectl get nodes,pods -A -o json` prints it; - is stdin."
        ),
    ] = "",
    policy: Annotated[
        str, typer.Option(help="A file with MigAutoscalingPolicies that stand in for those of the cluster.")
    ] = "",
    form: Annotated[
        Format, typer.Option("-o", "--output", help="wide names every pod and node.")
    ] = Format.TABLE,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 3 where the plan changes a node.")
    ] = False,
    effort: Annotated[
        int | None, typer.Option(min=1, help="Work that the search may spend; counted, not timed.")
    ] = None,
    now: Annotated[
        str, typer.Option(help="The time to plan for (RFC 3339); by default the newest in the snapshot.")
    ] = "",
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
    at = _time(now)
    given = from_file(policy) if policy else None
    snapshot = documents.read_snapshot(filename) if filename else _collected(kubeconfig, context)
    _tell(snapshot)
    policies = given if given is not None else _policies(snapshot)
    watch.lap("read")
    if sys.stderr.isatty():
        say(f"planning on {number(len(snapshot.nodes), 'node')} with {number(len(snapshot.pods), 'pod')} ...")
    result = planner.plan(
        snapshot,
        policies,
        snapshot.newest if at is None else at,
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


def _time(now: str) -> float | None:
    from autoslicer.core.times import seconds

    try:
        return seconds(now) if now else None
    except ValueError as error:
        raise BadInputError(f"--now: {error}") from None


def _collected(kubeconfig: str, context: str) -> Snapshot:
    from autoslicer.core.snapshot import read

    with session(kubeconfig, context) as cluster:
        return read(collect(cluster, [kind for kind in KINDS if kind.planned], name_absent=False))


def _tell(snapshot: Snapshot) -> None:
    """Say on stderr what was left out of the snapshot."""
    for sentence in snapshot.skipped[:SKIPPED_SHOWN]:
        say(f"warning: skipped: {sentence}")
    if len(snapshot.skipped) > SKIPPED_SHOWN:
        say(f"warning: skipped {number(len(snapshot.skipped) - SKIPPED_SHOWN, 'more object')}")
    if snapshot.ignored:
        kinds = ", ".join(f"{count} {kind}" for kind, count in snapshot.ignored.items())
        say(
            f"ignored {number(sum(snapshot.ignored.values()), 'object')} of kinds that no plan reads: {kinds}"
        )


def _policies(snapshot: Snapshot) -> Mapping[str, Policy]:
    """The snapshot's policies, or the built-in one."""
    from autoslicer.core.policy import BUILT_IN

    if snapshot.policies:
        return snapshot.policies
    say(
        "no MigAutoscalingPolicy found: the built-in one governs every node labelled "
        "nvidia.com/mig.capable=true (--policy FILE tries another)"
    )
    return {BUILT_IN.name: BUILT_IN}
