"""The native trace format: what is written is read again, and every mistake is one sentence."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from simulations.workload.job import Job
from simulations.workload.lines import LONGEST
from simulations.workload.mistakes import InputError, Kind
from simulations.workload.native import FIELDS, read_native, write_native
from tests.simulations.workload.traces import GOOD, JOB, refusal, skipped, trace


@given(st.lists(JOB, min_size=1, max_size=6, unique_by=lambda job: job.pod))
def test_what_is_written_is_read_again(jobs: list[Job]) -> None:
    """A recorded or generated trace replays as exactly the jobs that it was made of."""
    jobs.sort(key=lambda job: job.arrival)
    file = io.StringIO()
    write_native(jobs, file)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trace.jsonl"
        path.write_text(file.getvalue(), encoding="utf-8")
        assert list(read_native(path)) == jobs


def test_quantities_are_read_as_kubernetes_reads_them(tmp_path: Path) -> None:
    """A trace asks for cpu and memory in the words of a pod's manifest."""
    asked = '{"cpu": "1500m", "memory": "16Gi", "nvidia.com/mig-1g.10gb.me": "2", "ephemeral-storage": 0}'
    line = f'{{"pod": "team/one", "arrival": 0, "duration": null, "requests": {asked}, "group": null}}'
    requests = {"cpu": 1500, "memory": 16 * 2**30, "nvidia.com/mig-1g.10gb.me": 2}
    assert list(read_native(trace(tmp_path, line))) == [Job("team/one", 0, None, requests)]


def _with(**fields: object) -> str:
    return json.dumps(json.loads(GOOD) | fields)


def _asking(**requests: object) -> str:
    return _with(requests={name.replace("__", "/"): value for name, value in requests.items()})


@pytest.mark.parametrize(
    ("line", "said", "kind"),
    [
        (
            "{",
            "the line is no JSON: Expecting property name enclosed in double quotes at column 2;",
            Kind.SYNTAX,
        ),
        ("[1]", "the line is a list; it must be one JSON object", Kind.SYNTAX),
        ("[" * 100_000, "the line is nested too deeply; it must be one JSON object", Kind.SYNTAX),
        ('{"arrival": NaN}', "NaN is no number of JSON; write a finite number", Kind.SYNTAX),
        ('{"arrival": -Infinity}', "-Infinity is no number of JSON; write a finite number", Kind.SYNTAX),
        (f'{{"arrival": {"9" * 5000}}}', "the line holds a number of thousands of digits;", Kind.SYNTAX),
        ('{"pod": "a/b", "pod": "a/c"}', "pod: is there twice; name each field once", Kind.SYNTAX),
        (_with(arival=1), "arival: is no field; did you mean arrival?", Kind.UNKNOWN),
        (_with(x=1), f"x: is no field; the fields are {', '.join(FIELDS)}", Kind.UNKNOWN),
        ("{}", "pod: is missing; it must be namespace/name of a pod", Kind.MISSING),
        (_with(pod="one"), 'pod: is "one"; it must be namespace/name of a pod, in lower case', Kind.VALUE),
        (_with(pod="team/one\n"), 'pod: is "team/one\\n"; it must be namespace/name', Kind.VALUE),
        (_with(pod="\ud800\x1b[2J/a"), "pod: is", Kind.VALUE),
        (_with(pod="t" * 64 + "/one"), "it must be namespace/name of a pod, in lower case", Kind.VALUE),
        (_with(pod=7), "pod: is 7; it must be namespace/name", Kind.VALUE),
        (
            _with(arrival=-1),
            "arrival: is -1; it must be a number of seconds from 0 to 3153600000",
            Kind.VALUE,
        ),
        (_with(arrival=True), "arrival: is true; it must be a number of seconds", Kind.VALUE),
        (_with(arrival="1"), 'arrival: is "1"; it must be a number of seconds', Kind.VALUE),
        (_with(arrival=None), "arrival: is null; it must be a number of seconds", Kind.VALUE),
        (GOOD.replace("1,", "1e999,", 1), "arrival: is a number out of range; it must be", Kind.VALUE),
        (
            _with(arrival=10**400),
            "arrival: is a number out of range; it must be a number of seconds",
            Kind.VALUE,
        ),
        (_with(duration=-0.5), "duration: is -0.5; it must be a number of seconds", Kind.VALUE),
        (_with(duration=[]), "duration: is a list; it must be a number of seconds", Kind.VALUE),
        (_with(priority=1.5), "priority: is 1.5; it must be a whole number of 32 bits", Kind.VALUE),
        (_with(priority=2**31), "priority: is 2147483648; it must be a whole number", Kind.VALUE),
        (_with(priority=True), "priority: is true; it must be a whole number", Kind.VALUE),
        (_with(group="g"), "group: gangs are not simulated; it must be null or absent", Kind.GANG),
        (
            _with(requests=[]),
            "requests: is a list; it must be a mapping from resources to quantities",
            Kind.VALUE,
        ),
        (_asking(cpu="two"), "requests.cpu: 'two' is not a quantity; it should read like 2,", Kind.VALUE),
        (_asking(cpu=True), "requests.cpu: is true; it must be a quantity, such as 2,", Kind.VALUE),
        (_asking(memory="-1Gi"), "requests.memory: '-1Gi' is negative; ask for 0 or more", Kind.VALUE),
        (
            _asking(gpu=1),
            "requests.gpu: is no resource; a resource is cpu, memory, ephemeral-storage",
            Kind.VALUE,
        ),
        (_asking(nvidia__gpu=0.5), "requests.nvidia/gpu: is 0.5; it must be a whole number", Kind.VALUE),
        (_asking(nvidia__gpu="1E"), "it must be a whole number of at most 1000000", Kind.VALUE),
        (
            _with(requests={"nvidia.com/mig-1g.11gb": 1}),
            "requests.nvidia.com/mig-1g.11gb: no GPU has this profile; it should read like nvidia.com/",
            Kind.PROFILE,
        ),
        (
            _with(requests={"nvidia.com/mig-7": 1}),
            "no GPU has this profile; it should read like",
            Kind.PROFILE,
        ),
        (b"\xff\xfe{\x00", "byte 1 of the line is 0xff, which is no UTF-8; a trace is UTF-8 text", Kind.TEXT),
        (" " * (LONGEST + 1) + "{}", "the line is too long; a job needs no more than 1048576", Kind.LENGTH),
        (
            _with(arrival=0.5),
            "arrival: 0.5 s is before 1.0 s, when the job above arrives; sort the lines",
            Kind.ORDER,
        ),
    ],
)
def test_a_mistake_is_one_sentence_with_its_line(
    tmp_path: Path, line: str | bytes, said: str, kind: Kind
) -> None:
    """Whoever wrote a trace reads where it is wrong and what would be right, or has it counted."""
    last = GOOD.replace("one", "two")
    path = trace(tmp_path, GOOD, "", line, last)
    found = refusal(read_native, path)
    assert found.startswith("trace.jsonl:3: ")
    assert said in found
    assert found.isprintable()
    assert skipped(read_native, path) == (["team/one", "team/two"], Counter({kind: 1}))


def test_a_far_line_is_named_by_its_number(tmp_path: Path) -> None:
    """The number of a broken line is the one that an editor shows, however long the trace is."""
    path = trace(tmp_path, *[GOOD] * 7300, "{broken", GOOD)
    assert refusal(read_native, path).startswith("trace.jsonl:7301: ")


@pytest.mark.parametrize("content", [b"", b"\n\n  \n", b"\xef\xbb\xbf"])
def test_a_trace_without_jobs_is_refused(tmp_path: Path, content: bytes) -> None:
    """An empty file is a mistake and no quiet day."""
    path = tmp_path / "trace.jsonl"
    path.write_bytes(content)
    assert refusal(read_native, path) == "trace.jsonl: holds no job; a trace needs at least one"


def test_a_trace_of_nothing_but_mistakes_is_refused(tmp_path: Path) -> None:
    """Leniency does not turn a file of another kind into a simulation of nothing."""
    with pytest.raises(InputError, match="holds no job"):
        skipped(read_native, trace(tmp_path, "{", "{"))


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    """A wrong path says so, and shows no traceback."""
    assert refusal(read_native, tmp_path / "none") == "none: cannot be read: No such file or directory"
    assert refusal(read_native, tmp_path).endswith(": cannot be read: Is a directory")
    assert "cannot be read: embedded null" in refusal(read_native, tmp_path / "a\0b")


def test_byte_order_mark_and_carriage_returns_do_not_matter(tmp_path: Path) -> None:
    """A trace that was edited on Windows reads like any other."""
    path = trace(tmp_path, b"\xef\xbb\xbf" + GOOD.encode() + b"\r", b"\r", GOOD.encode() + b"\r")
    assert [job.pod for job in read_native(path)] == ["team/one", "team/one"]


_WORDS = st.sampled_from(
    [b"{", b"}", b"[", b'"pod"', b":", b",", b'"a/b"', b"1", b"-1", b"1e999", b"NaN", b"\n", b"\r\n", b"\xff",
     b"\xef\xbb\xbf", GOOD.encode(), GOOD.encode() + b"\n", b'"requests"', b"null", b"true", b"\x00"],
)  # fmt: skip


@given(st.binary(max_size=200) | st.lists(_WORDS, max_size=12).map(b"".join), st.booleans())
def test_no_bytes_end_in_anything_but_a_sentence(content: bytes, lenient: bool) -> None:
    """Whatever a file holds, reading it gives jobs or one sentence, never another exception."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trace.jsonl"
        path.write_bytes(content)
        said = refusal(read_native, path, Counter() if lenient else None)
        event(f"refused {bool(said)}, lenient {lenient}")
        assert said.isprintable()


def _peak(read: Callable[[], object]) -> int:
    """The most bytes that were held at once while `read` ran."""
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_reading_holds_no_more_than_a_line(tmp_path: Path) -> None:
    """A trace of a million pods needs no more memory than one of a hundred, unless one keeps its jobs."""
    path = trace(tmp_path, *(_with(pod=f"team/pod-{number}", arrival=number) for number in range(20_000)))
    next(read_native(path))
    assert _peak(lambda: sum(1 for _ in read_native(path))) < 1 << 18
    assert _peak(lambda: list(read_native(path))) > 1 << 22
