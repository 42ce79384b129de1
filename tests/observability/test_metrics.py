"""What Prometheus sees: names, types and labels are an interface that dashboards and alerts rest on."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from autoslicer import __version__
from autoslicer.core.reasons import Reason
from autoslicer.observability.metrics import OTHER, PROFILES, UNFULFILLED_REASONS, Metrics, profile_label

EXPOSED = {
    "requests_fulfilled_total": ("counter", ("profile", "by")),
    "requests_unfulfilled": ("gauge", ("profile", "reason")),
    "request_wait_seconds": ("histogram", ("profile",)),
    "pending_pods": ("gauge", ("profile",)),
    "lacking_slices": ("gauge", ("profile",)),
    "slices": ("gauge", ("profile", "state")),
    "reshapes_total": ("counter", ("result",)),
    "reshape_duration_seconds": ("histogram", ("step",)),
    "node_unavailable_seconds_total": ("counter", ()),
    "nodes": ("gauge", ("state",)),
    "refusals_total": ("counter", ("reason",)),
    "plans_total": ("counter", ("status",)),
    "plan_gap_ratio": ("gauge", ()),
    "solve_seconds": ("histogram", ()),
    "cycle_duration_seconds": ("histogram", ("phase",)),
    "cache_synced": ("gauge", ()),
    "cache_age_seconds": ("gauge", ()),
    "relists_total": ("counter", ("kind", "cause")),
    "api_requests_total": ("counter", ("verb", "code")),
    "leader": ("gauge", ()),
    "build_info": ("gauge", ("version",)),
}
VALUES = {
    ("requests_fulfilled_total", "by"): {"free", "reshape"},
    ("slices", "state"): {"used", "free"},
    ("reshapes_total", "result"): {"Done", "Cancelled", "Quarantined", "RolledBack"},
    ("refusals_total", "reason"): {str(reason) for reason in Reason},
    ("requests_unfulfilled", "reason"): {str(reason) for reason in UNFULFILLED_REASONS},
    ("plans_total", "status"): {"Optimal", "Feasible", "Fallback"},
    ("nodes", "state"): {"governed", "reshaping", "refused", "quarantined", "drifted"},
    ("cycle_duration_seconds", "phase"): {"snapshot", "decide", "act"},
    ("relists_total", "cause"): {"start", "expired", "refused", "unreachable"},
}


def _families(metrics: Metrics) -> dict[str, tuple[str, list[tuple[str, dict[str, str], float]]]]:
    found = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        name = family.name + ("_total" if family.type == "counter" else "")
        samples = [(sample.name, dict(sample.labels), sample.value) for sample in family.samples]
        found[name.removeprefix("autoslicer_")] = (family.type, samples)
    return found


def test_names_types_and_labels_are_exactly_these() -> None:
    """Every metric has the name, the type and the labels that are documented, and there are no others."""
    families = _families(Metrics())
    shape = {
        name: (kind, frozenset(label for _, labels, _ in samples for label in labels) - {"le"})
        for name, (kind, samples) in families.items()
    }
    assert shape == {name: (kind, frozenset(labels)) for name, (kind, labels) in EXPOSED.items()}


def test_every_known_label_value_starts_at_zero() -> None:
    """A rate or an alert works from the first scrape on: no series comes to life with its first event."""
    families = _families(Metrics())
    for (name, label), values in VALUES.items():
        assert {labels[label] for _, labels, _ in families[name][1]} == values, (name, label)
    for name, (_, samples) in families.items():
        for series, labels, value in samples:
            assert value == (1 if name == "build_info" else 0), (series, labels)
    for name in ("pending_pods", "lacking_slices", "requests_fulfilled_total", "request_wait_seconds"):
        assert {labels["profile"] for _, labels, _ in families[name][1]} == {*PROFILES, OTHER}
    assert families["build_info"][1] == [("autoslicer_build_info", {"version": __version__}, 1.0)]


def test_two_instances_share_nothing() -> None:
    """Each instance has a registry of its own, so that a test or a second controller starts at zero."""
    one, other = Metrics(), Metrics()
    one.leader.set(1)
    assert _families(one)["leader"][1] == [("autoslicer_leader", {}, 1.0)]
    assert _families(other)["leader"][1] == [("autoslicer_leader", {}, 0.0)]


@pytest.mark.parametrize(
    ("asked", "label"),
    [("1g.10gb", "1g.10gb"), ("3g.40gb", "3g.40gb"), ("99g.zz", OTHER), ('1g"\n', OTHER), ("", OTHER)],
)
def test_pods_cannot_invent_label_values(asked: str, label: str) -> None:
    """Whatever a pod asks for, its label value is one of a closed set."""
    assert profile_label(asked) == label
