"""What is written is what the custom resources allow, and reads back as what was meant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from autoslicer.api.policy import MigAutoscalingPolicy
from autoslicer.api.reconfiguration import MigReconfiguration
from autoslicer.cluster import documents
from autoslicer.core import reading
from autoslicer.core.actions import PolicyStatus
from autoslicer.core.phases import Phase
from autoslicer.core.plain_text import plain
from autoslicer.core.reasons import Reason
from autoslicer.core.recovery import Recovery
from autoslicer.core.rows import ChangeStatus, Condition, GpuTarget, ReconfigurationRow, Step
from solver.geometry import models
from solver.problem import counts
from tests.api.objects import POLICY
from tests.build import NOON

PROFILES = sorted({profile.name for model in models() for profile in model.profiles})
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40).map(plain)
"""what steers a terminal is read as something harmless"""
TIMES = st.integers(0, 4_000_000_000_000_000).map(lambda microseconds: microseconds / 1_000_000)
LAYOUTS = st.none() | st.dictionaries(st.sampled_from(PROFILES), st.integers(1, 7), max_size=4).map(
    lambda found: counts(found.items())
)
PODS = st.lists(
    st.sampled_from([f"{space}/{name}" for space in ("a", "team-b") for name in ("x", "y-0", "z.1")]),
    unique=True,
    max_size=4,
).map(tuple)


@st.composite
def _gpus(draw: st.DrawFn) -> tuple[GpuTarget, ...]:
    found = draw(st.lists(st.tuples(LAYOUTS, LAYOUTS, st.booleans()), min_size=1, max_size=4))
    return tuple(
        GpuTarget(index, before, after, changed or before != after)
        for index, (before, after, changed) in enumerate(found)
    )


CONDITIONS = st.lists(
    st.builds(
        Condition,
        type=st.sampled_from(["Succeeded", "RunStarted", "Ready"]),
        status=st.sampled_from(["True", "False", "Unknown"]),
        reason=st.sampled_from(list(Reason)).map(str),
        message=TEXTS,
        since=TIMES,
        generation=st.integers(0, 9),
    ),
    max_size=3,
    unique_by=lambda condition: condition.type,
).map(tuple)
STATUSES = st.builds(
    ChangeStatus,
    phase=st.sampled_from(["", *map(str, Phase)]),
    started=st.none() | TIMES,
    deadline=st.none() | TIMES,
    attempt=st.integers(1, 3),
    steps=st.lists(
        st.builds(Step, phase=st.sampled_from(list(Phase)).map(str), at=TIMES, message=TEXTS), max_size=4
    ).map(tuple),
    conditions=CONDITIONS,
    quarantined_until=st.none() | TIMES,
)
CHANGES = st.builds(
    ReconfigurationRow,
    name=st.integers(1, 99).map(lambda number: f"gpu-07-{number}"),
    uid=st.just(""),
    resource_version=st.just(""),
    created=st.just(0.0),
    node=st.just("gpu-07"),
    node_uid=st.uuids().map(str),
    policy=st.sampled_from(["default", "team.a"]),
    plan_digest=st.just("sha256:" + "0" * 64),
    source=st.sampled_from(["all-disabled", "all-7g.80gb"]),
    target=st.sampled_from(["autoslicer-0123456789ab", "autoslicer-ffffffffffff"]),
    gpus=_gpus(),
    serves=PODS,
    evicts=st.just(()),
    recovery=st.builds(
        Recovery,
        pending_deadline=st.integers(1, 86400).map(float),
        max_attempts=st.integers(1, 5),
        quarantine=st.integers(0, 86400).map(float),
        delete_operator_pods=st.booleans(),
    ),
    approved=st.booleans(),
    status=STATUSES,
)


def _without_nulls(document: dict[str, Any]) -> dict[str, Any]:
    """A merge patch removes what is null."""
    return {key: value for key, value in document.items() if value is not None}


@given(CHANGES)
def test_a_change_reads_back_as_it_was_meant(row: ReconfigurationRow) -> None:
    """The document of any change is one that the schema allows, and the core reads the same row from it."""
    status = _without_nulls(documents.change_status(row.status))
    document = {**documents.change(row, row.node_uid), "status": status}
    MigReconfiguration.model_validate(document)
    assert reading.change(document) == row


@given(CONDITIONS, st.integers(0, 99), st.integers(0, 99), st.floats(0, 1), TIMES)
def test_a_policy_status_is_one_that_the_schema_allows(
    conditions: tuple[Condition, ...], some: int, other_count: int, gap: float, now: float
) -> None:
    """Whatever a cycle concludes of a policy can be written."""
    digest = "sha256:" + "0" * 64
    action = PolicyStatus(
        "full",
        3,
        conditions,
        *(some, other_count, some, other_count, some, other_count, some),
        digest,
        "Optimal",
        gap,
    )
    status = documents.policy_status(action, now)
    MigAutoscalingPolicy.model_validate({**POLICY, "status": status})
    assert documents.same_policy_status(status, documents.policy_status(action, now + 60))
    other = replace(action, pending=action.pending + 1)
    assert not documents.same_policy_status(status, documents.policy_status(other, now))


def test_nothing_is_new_in_a_later_time() -> None:
    """A status is not written again for a transition time or a digest; for a message it is."""
    found = Condition("Ready", "True", "Ready", "1 nodes are governed", NOON, 3)
    action = PolicyStatus("full", 3, (found,), 1, 0, 0, 0, 0, 0, 0, "sha256:" + "0" * 64, "Optimal", 0.0)
    present = documents.policy_status(action, NOON)
    same = replace(action, conditions=(replace(found, since=NOON + 9),), plan_digest="sha256:" + "1" * 64)
    assert documents.same_policy_status(present, documents.policy_status(same, NOON + 9))
    new = replace(action, conditions=(replace(found, message="2 nodes are governed"),))
    assert not documents.same_policy_status(present, documents.policy_status(new, NOON))
    assert not documents.same_policy_status({}, present)
