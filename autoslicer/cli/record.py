"""`autoslicer record`: a live cluster's pods as a trace for `simulate`, with the dump to begin with."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoslicer.cli.failures import BadInputError, CommandError
from autoslicer.cli.live import ContextOption, KubeconfigOption, Session, session
from autoslicer.cli.output import say
from autoslicer.cli.snapshot import KINDS, collect
from autoslicer.cli.wording import number

if TYPE_CHECKING:
    from autoslicer.cluster.client import Client
    from simulations.recording import Recording

_TIME = re.compile(r"([1-9][0-9]{0,6})([smhd])", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def record(
    trace: Annotated[Path, typer.Option("--output", help="The trace to write, as JSON lines.")],
    snapshot: Annotated[Path, typer.Option("--snapshot", help="Where the dump to begin with goes.")],
    lasting: Annotated[
        str, typer.Option("--for", help="How long, such as 90s, 30m, 24h or 7d; else until Ctrl-C.")
    ] = "",
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
) -> None:
    """Follow a cluster and write its pods as a trace, beside a dump of how it was at the start.

    Nothing is written to the cluster. Of a pod the trace has its name, times, requests and priority, no more.
    """
    from autoslicer.core.snapshot import read
    from autoslicer.observability.logs import configure
    from simulations.recording import Recording
    from simulations.workload.native import line

    seconds = _seconds(lasting)
    spool = _spool(trace, snapshot)
    configure("text")
    with ExitStack() as undo:
        # made at once, so that no cluster is asked where they cannot be, and nobody else makes them meanwhile
        for file in (spool, snapshot):
            _create(file)
            undo.callback(file.unlink, missing_ok=True)
        with session(kubeconfig, context) as cluster:
            start = _now()
            document = collect(cluster, KINDS)
            with _writing(snapshot):
                snapshot.write_text(json.dumps(document), encoding="utf-8")
            recording = Recording(start, lambda job: _keep(f"{line(job)}\n", spool))
            recording.begin(read(document).pods.values())
            say(f"recording to {spool} until Ctrl-C" + (f", for {lasting} at most" if lasting else ""))
            undo.pop_all()
            _follow(cluster, recording, seconds)
            for job in recording.alive():
                _keep(f"{line(job)}\n", spool)
    count = _sorted(spool, trace)
    _tell(recording, count, trace)


def _seconds(text: str) -> float | None:
    if not text:
        return None
    found = _TIME.fullmatch(text)
    if found is None:
        raise BadInputError(f"--for: {text!r} is no length of time; it should read like 90s, 30m, 24h or 7d")
    return float(found[1]) * _UNITS[found[2]]


def _now() -> float:
    import time

    return time.time()


def _spool(trace: Path, snapshot: Path) -> Path:
    """Where the lines go meanwhile; neither it nor one of the others is there, and all are different files.

    Raises:
        BadInputError: this is not so.
    """
    for option, file, like in (("--output", trace, "trace.jsonl"), ("--snapshot", snapshot, "dump.json")):
        if file.name in ("", ".."):
            raise BadInputError(f"{option}: '{file}' is no file's name; it should read like {like}")
    spool = trace.with_name(f"{trace.name}.spool")
    for file, use in ((trace, "is the trace's too"), (spool, "is where the trace's lines go meanwhile")):
        if os.path.realpath(file) == os.path.realpath(snapshot):
            raise BadInputError(f"--snapshot: {snapshot} {use}; name another file")
    for file in (trace, snapshot, spool):
        if os.path.lexists(file):
            raise BadInputError(f"{file} exists; move it away, or name another file")
    return spool


def _create(file: Path) -> None:
    try:
        file.open("x").close()
    except OSError as error:
        raise BadInputError(f"{file} cannot be written: {error.strerror}") from None


@contextmanager
def _writing(file: Path, besides: str = "") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}{besides}") from None


def _keep(line: str, spool: Path) -> None:
    with (
        _writing(spool, "; what was recorded until then is there"),
        spool.open("a", encoding="utf-8") as file,
    ):
        file.write(line)


def _follow(cluster: Session, recording: Recording, seconds: float | None) -> None:
    """Listen until a signal asks for the end."""
    import asyncio
    import signal

    from simulations.recording import follow

    async def listening(client: Client) -> None:
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(sign, over.set)
        try:
            await follow(client, recording, _now, over, seconds)
        finally:
            for sign in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(sign)

    cluster.run(listening)


def _sorted(spool: Path, trace: Path) -> int:
    """Write the lines of the spool by arrival, and remove it."""
    found = spool.read_text(encoding="utf-8").splitlines(keepends=True)
    found.sort(key=lambda text: float(json.loads(text)["arrival"]))
    with _writing(trace, f"; what was recorded is in {spool}"), trace.open("x", encoding="utf-8") as file:
        file.writelines(found)
    os.remove(spool)
    return len(found)


def _tell(recording: Recording, count: int, trace: Path) -> None:
    say(f"wrote {number(count, 'pod')} to {trace}")
    if recording.unserved:
        say(f"left out {number(recording.unserved, 'pod')} that went before they ran: nobody knows how long")
    if recording.cancelled:
        say(f"gave {number(recording.cancelled, 'pod')} of the dump that went before they ran the duration 0")
    for resource, times in sorted(recording.left_out.items()):
        say(f"left out {resource} of {number(times, 'pod')}: a trace has no such resource")
