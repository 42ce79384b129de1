"""MigReconfigurations, as the core reads them."""

from __future__ import annotations

from autoslicer.core import names
from autoslicer.core.causes import Cause
from autoslicer.core.fields import Fields, root
from autoslicer.core.phases import Phase
from autoslicer.core.recovery import MOST_ATTEMPTS, Recovery
from autoslicer.core.rows import ChangeStatus, Condition, GpuTarget, ReconfigurationRow, Step
from solver.problem import Counts, counts

_LONGEST_NAME = 128


def change(obj: object) -> ReconfigurationRow:
    """The row of a MigReconfiguration.

    Raises:
        ValueError: a field has a type or value that the schema does not allow.
    """
    top = root(obj, "MigReconfiguration")
    metadata, spec = top.fields("metadata"), top.fields("spec")
    node, annotations = spec.fields("node"), metadata.pairs("annotations")
    return ReconfigurationRow(
        name=metadata.required("name"),
        uid=metadata.text("uid"),
        resource_version=metadata.text("resourceVersion"),
        created=metadata.time("creationTimestamp") or 0.0,
        node=node.required("name"),
        node_uid=node.text("uid"),
        policy=spec.required("policy"),
        plan_digest=spec.text("planDigest"),
        source=spec.text("from"),
        target=spec.required("to"),
        gpus=tuple(
            GpuTarget(gpu.count("index"), _layout(gpu, "from"), _layout(gpu, "to"), gpu.flag("changed"))
            for gpu in spec.each("gpus")
        ),
        serves=spec.texts("serves"),
        evicts=spec.texts("evicts"),
        reserve=spec.flag("reserve"),
        recovery=recovery(spec.fields("recovery")),
        approved=spec.flag("approved"),
        kind=annotations.get(names.KIND, ""),
        approved_by=annotations.get(names.APPROVED_BY, "")[:_LONGEST_NAME],
        status=_status(top.fields("status")),
        cause=_cause(spec),
    )


def recovery(fields: Fields) -> Recovery:
    """What a policy, or a change that was planned under it, says of recovery; missing fields are as usual.

    Raises:
        ValueError: a field has a type or value that the schema does not allow.
    """
    usual = Recovery()
    return Recovery(
        pending_deadline=fields.duration("pendingDeadlineSeconds", usual.pending_deadline),
        max_attempts=_attempts(fields, "maxAttempts", usual.max_attempts),
        quarantine=fields.duration("quarantineSeconds", usual.quarantine),
        delete_operator_pods=fields.flag("deleteOperatorPods"),
    )


def conditions(status: Fields) -> tuple[Condition, ...]:
    """The conditions of a status, in their order.

    Raises:
        ValueError: one of them is malformed.
    """
    return tuple(
        Condition(
            type=condition.required("type"),
            status=condition.required("status"),
            reason=condition.text("reason"),
            message=condition.text("message"),
            since=condition.time("lastTransitionTime") or 0.0,
            generation=condition.count("observedGeneration"),
        )
        for condition in status.each("conditions")
    )


def _cause(spec: Fields) -> Cause:
    cause = spec.text("cause", Cause.DEMAND)
    if cause not in list(Cause):
        raise ValueError(f"{spec.what}: {spec.at('cause')} {cause[:32]!r} is no cause of a change")
    return Cause(cause)


def _attempts(fields: Fields, key: str, default: int) -> int:
    return min(max(1, fields.count(key, default)), MOST_ATTEMPTS)


def _layout(gpu: Fields, key: str) -> Counts | None:
    if not gpu.has(key):
        return None
    layout = gpu.fields(key)
    return counts((profile, layout.count(profile)) for profile in layout.names())


def _status(status: Fields) -> ChangeStatus:
    phase = status.text("phase")
    if phase and phase not in list(Phase):
        raise ValueError(f"{status.what}: {status.at('phase')} {phase[:32]!r} is no phase of a change")
    return ChangeStatus(
        phase=phase,
        started=status.time("startedAt"),
        deadline=status.time("deadline"),
        attempt=_attempts(status, "attempt", 1),
        steps=tuple(
            Step(step.required("phase"), step.time("at") or 0.0, step.text("message"))
            for step in status.each("steps")
        ),
        conditions=conditions(status),
        quarantined_until=status.time("quarantinedUntil"),
    )
