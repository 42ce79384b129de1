"""Every metric of autoslicer, in a registry of its own; labels have closed sets of values."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from autoslicer import __version__
from autoslicer.core.phases import FINAL, Phase
from autoslicer.core.reasons import Reason
from solver.geometry import models
from solver.solution import By, Status

PROFILES = tuple(sorted({profile.name for model in models() for profile in model.profiles}))
OTHER = "other"
"""the label value of a profile that no known GPU model has"""
SLICE_STATES = ("used", "free")
NODE_STATES = ("governed", "reshaping", "refused", "quarantined", "drifted")
PHASES = ("snapshot", "decide", "act")
KINDS = ("Node", "Pod", "MigReconfiguration", "MigNode", "ResourceSlice", "ConfigMap")
RELIST_CAUSES = ("start", "expired", "refused", "unreachable")
REQUESTS = {"get": "200", "watch": "200", "create": "201", "update": "200", "patch": "200", "delete": "200"}
"""every verb, with the code of its success"""
UNFULFILLED_REASONS = (
    Reason.UnknownPredicate,
    Reason.NoFeasibleLayout,
    Reason.OutOfCapacity,
    Reason.InsufficientResources,
    Reason.TaintNotTolerated,
    Reason.NodeAffinityMismatch,
    Reason.PolicyForbids,
    Reason.LayoutRefused,
    Reason.BelowMinBenefit,
    Reason.NotGoverned,
    Reason.Cooldown,
    Reason.ApplyPathMissing,
    Reason.ApplyPathNotConfigured,
    Reason.ConfigMapIncomplete,
    Reason.BudgetExhausted,
    Reason.Suspended,
    Reason.Paused,
    Reason.CircuitOpen,
    Reason.CanaryPending,
    Reason.RateLimited,
    Reason.Reversal,
    Reason.AwaitingApproval,
    Reason.DrainBlocked,
)
"""why a plan leaves a pod unserved, or why the change that would serve it does not start"""
STEPS = tuple(phase for phase in Phase if phase not in (Phase.WAITING, Phase.ROLLING_BACK, Phase.ROLLED_BACK))
_WAITS = (1, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400)
_SHORT = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The metrics as attributes, named as exposed but for the prefix."""

    def __init__(self) -> None:
        # the library would add a series with its time of birth to each counter and histogram
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.profiles = (*PROFILES, OTHER)
        self.requests_fulfilled = self._counter(
            "requests_fulfilled", "Pods that got their slices.", "profile", "by"
        )
        self.requests_unfulfilled = self._gauge(
            "requests_unfulfilled", "Pods that no plan serves now.", "profile", "reason"
        )
        self.request_wait_seconds = self._histogram(
            "request_wait_seconds", "From a pod's creation to its binding.", _WAITS, "profile"
        )
        self.pending_pods = self._gauge("pending_pods", "Pods that wait for slices.", "profile")
        self.lacking_slices = self._gauge(
            "lacking_slices", "Slices that pods wait for and no free slice serves.", "profile"
        )
        self.slices = self._gauge("slices", "Slices that nodes advertise.", "profile", "state")
        self.reshapes = self._counter("reshapes", "Changes that ended, by their last phase.", "result")
        self.reshape_duration_seconds = self._histogram(
            "reshape_duration_seconds", "From the phase before to this one.", _WAITS, "step"
        )
        self.node_unavailable_seconds = self._counter(
            "node_unavailable_seconds",
            "Seconds from the taint to the proof that slices are back, over all nodes.",
        )
        self.nodes = self._gauge(
            "nodes", "Governed nodes, those in a change, those that may not change.", "state"
        )
        self.refusals = self._counter("refusals", "Nodes refused by a cycle.", "reason")
        self.plans = self._counter("plans", "Plans made.", "status")
        self.plan_gap_ratio = self._gauge("plan_gap_ratio", "Gap of the last plan to its bound.")
        self.solve_seconds = self._histogram("solve_seconds", "Time of planning.", _SHORT)
        self.cycle_duration_seconds = self._histogram(
            "cycle_duration_seconds", "Time of a cycle's phases.", _SHORT, "phase"
        )
        self.cache_synced = self._gauge("cache_synced", "1 once everything was listed.")
        self.cache_age_seconds = self._gauge(
            "cache_age_seconds", "Seconds since the API server was last heard of."
        )
        self.relists = self._counter("relists", "Lists of a whole resource.", "kind", "cause")
        self.api_requests = self._counter("api_requests", "Requests to the API server.", "verb", "code")
        self.leader = self._gauge("leader", "1 while this process leads.")
        self.build_info = self._gauge("build_info", "Always 1.", "version")
        self._start()

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)

    def _start(self) -> None:
        """Bring every known combination of label values to life at 0."""
        self.build_info.labels(__version__).set(1)
        for profile in self.profiles:
            self.request_wait_seconds.labels(profile)
            self.pending_pods.labels(profile)
            self.lacking_slices.labels(profile)
            for by in By:
                self.requests_fulfilled.labels(profile, by)
            for reason in UNFULFILLED_REASONS:
                self.requests_unfulfilled.labels(profile, reason)
            for state in SLICE_STATES:
                self.slices.labels(profile, state)
        for result in FINAL:
            self.reshapes.labels(result)
        for step in STEPS:
            self.reshape_duration_seconds.labels(step)
        for state in NODE_STATES:
            self.nodes.labels(state)
        for reason in Reason:
            self.refusals.labels(reason)
        for status in Status:
            self.plans.labels(status)
        for phase in PHASES:
            self.cycle_duration_seconds.labels(phase)
        for kind in KINDS:
            for cause in RELIST_CAUSES:
                self.relists.labels(kind, cause)
        for verb, code in REQUESTS.items():
            self.api_requests.labels(verb, code)
            self.api_requests.labels(verb, "error")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"autoslicer_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"autoslicer_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"autoslicer_{name}", text, labels, buckets=buckets, registry=self.registry)


def profile_label(profile: str) -> str:
    """A profile as a label value: one of a closed set, whatever pods ask for."""
    return profile if profile in PROFILES else OTHER
