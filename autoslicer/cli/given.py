"""The cluster that a command is asked about: a dump or a live one, with its policies and the time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from autoslicer.cli import documents
from autoslicer.cli.failures import BadInputError
from autoslicer.cli.live import session
from autoslicer.cli.output import say
from autoslicer.cli.policies import from_file
from autoslicer.cli.snapshot import KINDS, collect
from autoslicer.cli.wording import number

if TYPE_CHECKING:
    from autoslicer.core.policy import Policy
    from autoslicer.core.snapshot import Snapshot

SKIPPED_SHOWN = 5
FilenameOption = Annotated[
    str,
    typer.Option(
        "-f", "--filename", help="A List, as `kubectl get nodes,pods -A -o json` prints it; - is stdin."
    ),
]
PolicyOption = Annotated[
    str, typer.Option(help="A file with MigAutoscalingPolicies that stand in for those of the cluster.")
]
NowOption = Annotated[
    str, typer.Option(help="The time to plan for (RFC 3339); by default the newest in the snapshot.")
]


def given(
    filename: str, policy: str, now: str, kubeconfig: str, context: str
) -> tuple[Snapshot, Mapping[str, Policy], float]:
    """The snapshot, the policies that govern it, and the time (seconds since the epoch).

    What was left out of it, and where the built-in policy stands in, is said on stderr.

    Args:
        filename: of a dump; empty for the live cluster.
        policy: a file with policies; empty for those of the snapshot.
        now: the time; empty for the newest in the snapshot.
        kubeconfig: for the live cluster.
        context: the kubeconfig's.
    """
    at = _time(now)
    stand_in = from_file(policy) if policy else None
    snapshot = documents.read_snapshot(filename) if filename else _collected(kubeconfig, context)
    _tell(snapshot)
    policies = stand_in if stand_in is not None else _policies(snapshot)
    return snapshot, policies, snapshot.newest if at is None else at


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
