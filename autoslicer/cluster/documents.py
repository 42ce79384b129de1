"""Rows as the documents that the API server stores; `core.reading` reads them back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autoslicer.core import names
from autoslicer.core.actions import PolicyStatus
from autoslicer.core.recovery import Recovery
from autoslicer.core.rows import ChangeStatus, Condition, GpuTarget, ReconfigurationRow
from autoslicer.core.times import rfc3339

Document = dict[str, Any]


def change(row: ReconfigurationRow, owner: str) -> Document:
    """A new MigReconfiguration, owned by its node (`owner` is the node's uid)."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": "MigReconfiguration",
        "metadata": {
            "name": row.name,
            "labels": {names.POLICY_LABEL: row.policy},
            "annotations": {
                names.KIND: row.kind,
                **({names.APPROVED_BY: row.approved_by} if row.approved_by else {}),
            },
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": row.node, "uid": owner}],
        },
        "spec": {
            "node": {"name": row.node, "uid": row.node_uid},
            "policy": row.policy,
            "planDigest": row.plan_digest,
            "from": row.source,
            "to": row.target,
            "gpus": [_gpu(gpu) for gpu in row.gpus],
            "serves": list(row.serves),
            "evicts": list(row.evicts),
            "reserve": row.reserve,
            "recovery": _recovery(row.recovery),
            "approved": row.approved,
            "cause": row.cause,
        },
    }


def change_status(status: ChangeStatus) -> Document:
    """The whole status of a MigReconfiguration; what is not set is null, so that a patch removes it."""
    return {
        "phase": status.phase or None,
        "startedAt": _time(status.started),
        "deadline": _time(status.deadline),
        "attempt": status.attempt,
        "steps": [
            {"phase": step.phase, "at": rfc3339(step.at), "message": step.message} for step in status.steps
        ],
        "conditions": conditions(status.conditions),
        "quarantinedUntil": _time(status.quarantined_until),
    }


def policy_status(action: PolicyStatus, now: float) -> Document:
    """The status of a MigAutoscalingPolicy."""
    return {
        "observedGeneration": action.generation,
        "conditions": conditions(action.conditions),
        "nodes": {
            "governed": action.governed,
            "reshaping": action.reshaping,
            "quarantined": action.quarantined,
            "drifted": action.drifted,
        },
        "pods": {"pending": action.pending, "lacking": action.lacking, "servable": action.servable},
        "lastPlan": {
            "digest": action.plan_digest,
            "time": rfc3339(now),
            "status": action.plan_status,
            "gap": action.plan_gap,
        },
    }


def same_policy_status(present: Document, wanted: Document) -> bool:
    """Nothing but times, and the digest that changes with every object, differs."""
    return _timeless(present) == _timeless(wanted)


def conditions(found: Iterable[Condition]) -> list[Document]:
    """Conditions in the shape of KEP-1623."""
    return [
        {
            "type": condition.type,
            "status": condition.status,
            "reason": condition.reason,
            "message": condition.message,
            "lastTransitionTime": rfc3339(condition.since),
            **({"observedGeneration": condition.generation} if condition.generation else {}),
        }
        for condition in found
    ]


def _recovery(recovery: Recovery) -> Document:
    return {
        "pendingDeadlineSeconds": int(recovery.pending_deadline),
        "maxAttempts": recovery.max_attempts,
        "quarantineSeconds": int(recovery.quarantine),
        "deleteOperatorPods": recovery.delete_operator_pods,
    }


def _gpu(gpu: GpuTarget) -> Document:
    return {
        "index": gpu.index,
        "from": None if gpu.before is None else dict(gpu.before),
        "to": None if gpu.after is None else dict(gpu.after),
        "changed": gpu.changed,
    }


def _time(at: float | None) -> str | None:
    return None if at is None else rfc3339(at)


def _timeless(status: Document) -> Document:
    plan = {
        key: value for key, value in (status.get("lastPlan") or {}).items() if key not in ("time", "digest")
    }
    found = [
        {key: value for key, value in condition.items() if key != "lastTransitionTime"}
        for condition in status.get("conditions") or []
    ]
    return {**status, "lastPlan": plan, "conditions": found}
