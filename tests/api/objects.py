"""One object of every kind that fills in every field."""

from __future__ import annotations

from typing import Any

from autoslicer.api.values import YEAR_SECONDS

DIGEST = "sha256:" + "0123456789abcdef" * 4
TIME = "2026-11-20T12:00:00Z"
CONDITION = {
    "type": "Ready",
    "status": "True",
    "observedGeneration": 3,
    "lastTransitionTime": TIME,
    "reason": "InForce",
    "message": "12 nodes are governed.",
}

POLICY: dict[str, Any] = {
    "apiVersion": "autoslicer.dev/v1alpha1",
    "kind": "MigAutoscalingPolicy",
    "metadata": {"name": "full"},
    "spec": {
        "nodeSelector": {
            "matchLabels": {"nvidia.com/mig.capable": "true"},
            "matchExpressions": [{"key": "pool", "operator": "In", "values": ["a", "b"]}],
        },
        "mode": "Auto",
        "suspend": True,
        "layouts": {
            "source": "Generated",
            "configMap": {"namespace": "gpus", "name": "layouts.v1"},
            "allowedProfiles": ["1g.10gb", "3g.40gb"],
            "deniedProfiles": ["1g.10gb+me", "1g.24gb-me"],
            "allowModeChange": True,
        },
        "trigger": {"pendingSeconds": 0, "batchIdleSeconds": 0, "batchMaxSeconds": YEAR_SECONDS},
        "objective": {"weight": "Slices", "starvationSeconds": 0},
        "disruption": {
            "budgets": [
                {"nodes": "0", "schedule": "0 8 * * mon-fri", "duration": "10h", "reasons": ["Demand"]},
                {"nodes": "3"},
            ],
            "canary": False,
            "eviction": "WhenServed",
            "drainTimeoutSeconds": 60,
            "cooldownSeconds": 0,
            "reserve": {"afterSeconds": 3600, "timeoutSeconds": 900, "nodes": 2},
            "minBenefit": 2,
        },
        "headroom": [{"profile": "1g.10gb", "free": 4}, {"profile": "3g.40gb", "free": 1}],
        "idle": {"afterSeconds": 3600, "config": "all-7g.80gb"},
        "recovery": {
            "pendingDeadlineSeconds": 60,
            "maxAttempts": 3,
            "quarantineSeconds": 90,
            "repairDrift": False,
            "deleteOperatorPods": True,
        },
        "scheduling": {"nominate": False},
    },
    "status": {
        "observedGeneration": 3,
        "conditions": [CONDITION],
        "nodes": {"governed": 12, "reshaping": 1, "quarantined": 2, "drifted": 3},
        "pods": {"pending": 9, "lacking": 5, "servable": 4},
        "lastPlan": {"digest": DIGEST, "time": TIME, "status": "Optimal", "gap": 0.0},
    },
}

RECONFIGURATION: dict[str, Any] = {
    "apiVersion": "autoslicer.dev/v1alpha1",
    "kind": "MigReconfiguration",
    "metadata": {"name": "gpu-07-12"},
    "spec": {
        "node": {"name": "gpu-07", "uid": "0e8e0f3c-7f0e-4f43-9f0c-1b1b1b1b1b1b"},
        "policy": "default",
        "planDigest": DIGEST,
        "cause": "Demand",
        "from": "all-balanced",
        "to": "autoslicer-6b1f0c2a",
        "gpus": [
            {"index": 0, "from": {"7g.80gb": 1}, "to": {"1g.10gb": 7}, "changed": True},
            {"index": 1, "from": {"3g.40gb": 1}, "to": {"3g.40gb": 1}, "changed": False},
        ],
        "serves": ["team-a/infer-3", "team-a/infer-4"],
        "evicts": ["team-b/train-9", "team-b/train-10"],
        "reserve": True,
        "recovery": {
            "pendingDeadlineSeconds": 60,
            "maxAttempts": 3,
            "quarantineSeconds": 90,
            "deleteOperatorPods": True,
        },
        "approved": False,
    },
    "status": {
        "phase": "Applied",
        "startedAt": TIME,
        "deadline": TIME,
        "attempt": 1,
        "steps": [{"phase": "Tainted", "at": TIME, "message": "gpu-07 takes no new pods."}],
        "conditions": [{**CONDITION, "type": "Succeeded"}],
        "quarantinedUntil": TIME,
    },
}

NODE: dict[str, Any] = {
    "apiVersion": "autoslicer.dev/v1alpha1",
    "kind": "MigNode",
    "metadata": {"name": "gpu-07"},
    "status": {
        "observedAt": TIME,
        "driverVersion": "580.95.05",
        "gpus": [
            {
                "index": 0,
                "uuid": "GPU-5c8e0f3c-7f0e-4f43-9f0c-1b1b1b1b1b1b",
                "product": "NVIDIA-H100-80GB-HBM3",
                "pciDeviceId": "0x233010DE",
                "migMode": {"current": "Enabled", "pending": "Enabled"},
                "profiles": [{"name": "1g.10gb", "id": 19, "size": 1, "starts": [0, 1, 2], "maxCount": 7}],
                "instances": [
                    {
                        "profile": "3g.40gb",
                        "start": 0,
                        "size": 4,
                        "uuid": "MIG-9d140f3c-7f0e-4f43-9f0c-1b1b1b1b1b1b",
                        "pods": ["team-a/train-0", "team-a/train-1"],
                        "processes": 1,
                    }
                ],
            }
        ],
    },
}

FULL = {example["kind"]: example for example in (POLICY, RECONFIGURATION, NODE)}
