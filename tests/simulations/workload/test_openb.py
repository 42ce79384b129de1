"""The openb trace: shares of GPUs become profiles of the GPU that the scenario has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from simulations.workload.job import Job
from simulations.workload.lines import LONGEST, Lenient
from simulations.workload.mistakes import InputError, Kind
from simulations.workload.openb import read_openb, shares
from solver import geometry
from solver.geometry import Geometry
from tests.simulations.workload.traces import refusal, skipped, trace

HEADER = (
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,"
    "creation_time,deletion_time,scheduled_time"
)


def _known(product: str) -> Geometry:
    found = geometry.by_product(product)
    assert found is not None
    return found


H100 = _known("NVIDIA-H100-80GB-HBM3")


def _read(path: Path, lenient: Lenient = None) -> Iterator[Job]:
    return read_openb(path, H100, lenient)


def _row(
    name: str = "p", gpus: object = 1, milli: object = 1000, times: tuple[object, object, object] = (5, 9, 6)
) -> str:
    created, deleted, scheduled = times
    return f"{name},2000,512,{gpus},{milli},,LS,Running,{created},{deleted},{scheduled}"


def _asked(tmp_path: Path, known: Geometry, gpus: int, milli: int) -> dict[str, int]:
    [job] = read_openb(trace(tmp_path, HEADER, _row(gpus=gpus, milli=milli)), known)
    return {name: amount for name, amount in job.requests.items() if name.startswith("nvidia.com/")}


@pytest.mark.parametrize(
    ("milli", "profile"),
    [(1, "1g.10gb"), (143, "1g.10gb"), (144, "2g.20gb"), (286, "2g.20gb"), (287, "3g.40gb"), (429, "3g.40gb"),
     (430, "4g.40gb"), (571, "4g.40gb"), (572, "7g.80gb"), (1000, "7g.80gb")],
)  # fmt: skip
def test_a_share_of_an_h100_becomes_the_smallest_profile_that_covers_it(
    tmp_path: Path, milli: int, profile: str
) -> None:
    """On a card of 80 GB the shares are cut where comparisons with this trace cut them."""
    assert _asked(tmp_path, H100, 1, milli) == {f"nvidia.com/mig-{profile}": 1}


@pytest.mark.parametrize("product", geometry.products())
def test_every_gpu_model_has_a_profile_for_every_share(product: str) -> None:
    """The trace can be replayed on whichever model a scenario's nodes have, each with its own profiles."""
    known = _known(product)
    found = shares(known)
    compute = {profile.name: profile.compute for profile in known.profiles}
    assert found[-1][0] == 1000
    assert [compute[name] for _, name in found] == sorted({profile.compute for profile in known.profiles})


def test_whole_gpus_become_so_many_largest_profiles(tmp_path: Path) -> None:
    """A pod of several GPUs asks for all of them on one node."""
    assert _asked(tmp_path, H100, 4, 1000) == {"nvidia.com/mig-7g.80gb": 4}
    assert _asked(tmp_path, _known("NVIDIA-A30"), 2, 1000) == {"nvidia.com/mig-4g.24gb": 2}


def test_a_pod_without_a_gpu_stays_one(tmp_path: Path) -> None:
    """Pods that only need cpu take it from those that share a node with them, as they did."""
    [job] = _read(trace(tmp_path, HEADER, _row(gpus=0, milli=0)))
    assert job.requests == {"cpu": 2000, "memory": 512 * 2**20}


def test_times_start_with_the_first_pod_and_run_from_scheduling_to_deletion(tmp_path: Path) -> None:
    """Waits of the recorded cluster are no part of what a pod runs; one that never ran has all its time."""
    rows = (_row("late", times=(30, 45, 40)), _row("never", times=(7, 9, "")), _row("on", times=(5, "", 6)))
    path = trace(tmp_path, HEADER, *rows)
    found = [(job.pod, job.arrival, job.duration) for job in _read(path)]
    assert found == [("openb/on", 0, None), ("openb/never", 2, 2), ("openb/late", 25, 5)]


@pytest.mark.parametrize(
    ("line", "said", "kind"),
    [
        ("p,1", "the line has 2 cells; it must have 11, as the first has", Kind.SYNTAX),
        ('"p,1', "is no CSV: unexpected end of data; it must be cells with commas between", Kind.SYNTAX),
        (_row(milli=0), 'gpu_milli: is "0"; it must be from 1 to 1000 where num_gpu is 1', Kind.VALUE),
        (_row(milli=1001), 'gpu_milli: is "1001"; it must be a whole number from 0 to 1000', Kind.VALUE),
        (_row(gpus=-1), 'num_gpu: is "-1"; it must be a whole number', Kind.VALUE),
        (_row(gpus="9" * 5000), "num_gpu: is", Kind.VALUE),
        (_row("P Q"), 'name: is "openb/P Q"; it must be namespace/name', Kind.VALUE),
        (_row(times=("", 1, 1)), 'creation_time: is ""; it must be a number of seconds', Kind.VALUE),
        (_row(times=("nan", 1, 1)), 'creation_time: is "nan"; it must be a number of seconds', Kind.VALUE),
        (_row(times=(5, 6, 4)), "scheduled_time: is before creation_time; nothing is scheduled", Kind.VALUE),
        (_row(times=(5, 6, 7)), "deletion_time: is before scheduled_time; nothing ends", Kind.VALUE),
        (_row(times=(5, 4, "")), "deletion_time: is before creation_time; nothing ends", Kind.VALUE),
        (_row("first"), "name: openb/first is the name of another pod; every pod of the list has", Kind.NAME),
    ],
)
def test_a_mistake_is_one_sentence_with_its_line(tmp_path: Path, line: str, said: str, kind: Kind) -> None:
    """A row that cannot be is told with its line, or skipped and counted."""
    path = trace(tmp_path, HEADER, _row("first"), line)
    assert refusal(_read, path).startswith(f"trace.jsonl:3: {said}")
    assert skipped(_read, path) == (["openb/first"], Counter({kind: 1}))


def test_a_list_without_a_header_is_refused_even_leniently(tmp_path: Path) -> None:
    """A file of another kind is not taken for a list of pods of which every line happens to be wrong."""
    path = trace(tmp_path, _row(), _row())
    assert refusal(_read, path).startswith(
        "trace.jsonl:1: name: is no column; the first line names the columns"
    )
    with pytest.raises(InputError, match=":1: name: is no column"):
        skipped(_read, path)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ('name,"cpu', "is no CSV: unexpected end of data"),
        (f"{HEADER},\xe9".encode("latin-1"), "byte 111 of the line is 0xe9, which is no UTF-8"),
        ("x" * (LONGEST + 1), "the line is too long"),
        ("name,cpu_milli", "memory_mib: is no column"),
    ],
)
def test_a_broken_header_is_refused_even_leniently(tmp_path: Path, header: str | bytes, said: str) -> None:
    """No other line is taken for the header in its place, and it is the header's line that is named."""
    path = trace(tmp_path, "", header, HEADER, _row())
    for lenient in (None, Counter[Kind]()):
        assert refusal(_read, path, lenient).startswith(f"trace.jsonl:2: {said}")


def test_a_header_without_pods_is_refused(tmp_path: Path) -> None:
    """A list of nobody is a mistake."""
    assert refusal(_read, trace(tmp_path, HEADER)) == "trace.jsonl: holds no job; a trace needs at least one"


_WORDS = st.sampled_from(
    [HEADER.encode() + b"\n", _row().encode() + b"\n", b'"', b",", b"\n", b"\xff", b"\x00", b"7"]
)


@given(st.binary(max_size=99) | st.lists(_WORDS, max_size=9).map(b"".join), st.booleans())
def test_no_bytes_end_in_anything_but_a_sentence(content: bytes, lenient: bool) -> None:
    """Whatever a file holds, reading it gives jobs or one sentence, never another exception."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pods.csv"
        path.write_bytes(content)
        said = refusal(_read, path, Counter() if lenient else None)
        event(f"refused {bool(said)}, lenient {lenient}")
        assert said.isprintable()
