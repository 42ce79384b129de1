"""The SimulationResult: how each strategy did, as a stable, versioned document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from simulations.run import Outcome
from simulations.summary import DIGITS

API_VERSION, KIND = "autoslicer.dev/v1alpha1", "SimulationResult"
LIST = f"{KIND}List"


def document(digest: str, outcomes: Iterable[Outcome], mean_wait_bound: float | None) -> dict[str, Any]:
    """The document; keys in the order of the contract, no times of the real clock.

    Args:
        digest: of the scenario.
        outcomes: one a strategy.
        mean_wait_bound: seconds that the pods wait on average at least, whatever is done; None for unknown.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "scenario": {"digest": digest},
        "results": [_result(outcome, mean_wait_bound) for outcome in outcomes],
    }


def listed(
    items: Iterable[tuple[Mapping[str, Any], Mapping[str, Any], int]],
) -> dict[str, Any]:
    """Several of these documents as one.

    Args:
        items: each document with the fields that were swept for it, by path, and its seed.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": LIST,
        "items": [
            {**one, "scenario": {**one["scenario"], "set": dict(swept), "seed": seed}}
            for one, swept, seed in items
        ],
    }


def _result(outcome: Outcome, mean_wait_bound: float | None) -> dict[str, Any]:
    return {
        "strategy": outcome.strategy,
        "pods": outcome.pods,
        "completed": outcome.completed,
        "unserved": outcome.unserved,
        "waitSeconds": asdict(outcome.waits),
        "waitSecondsByProfile": {name: asdict(one) for name, one in outcome.waits_by_profile.items()},
        "makespanSeconds": outcome.makespan,
        "reshapes": outcome.reshapes,
        "gpusChanged": outcome.gpus_changed,
        "nodeUnavailableSeconds": outcome.node_unavailable,
        "evictions": outcome.evictions,
        "utilisation": outcome.utilisation,
        "bound": {"meanWaitSeconds": None if mean_wait_bound is None else round(mean_wait_bound, DIGITS)},
    }
