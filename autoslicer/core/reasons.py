"""Every "why not", in one enum: events, conditions, metrics, the CLI and reports all use it."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a pod is not served, a node not changed or an action not taken.

    The order is the order of precedence: a node or pod to which several apply is reported with the first.
    Extend it, never rename.
    """

    # a pod that is no demand
    Gated = "Gated"
    Terminating = "Terminating"
    OptedOut = "OptedOut"
    NotTried = "NotTried"
    OtherScheduler = "OtherScheduler"
    Preempting = "Preempting"
    # a pod that is not served
    UnknownPredicate = "UnknownPredicate"
    NoFeasibleLayout = "NoFeasibleLayout"
    OutOfCapacity = "OutOfCapacity"
    InsufficientResources = "InsufficientResources"
    TaintNotTolerated = "TaintNotTolerated"
    NodeAffinityMismatch = "NodeAffinityMismatch"
    GangIncomplete = "GangIncomplete"
    PolicyForbids = "PolicyForbids"
    LayoutRefused = "LayoutRefused"
    BelowMinBenefit = "BelowMinBenefit"
    # a node that may not change
    NotGoverned = "NotGoverned"
    PolicyConflict = "PolicyConflict"
    ObjectiveConflict = "ObjectiveConflict"
    ForeignOwner = "ForeignOwner"
    NodeLeaving = "NodeLeaving"
    Cordoned = "Cordoned"
    NotReady = "NotReady"
    ChangeInProgress = "ChangeInProgress"
    Quarantined = "Quarantined"
    Cooldown = "Cooldown"
    ApplyPathMissing = "ApplyPathMissing"
    ApplyPathNotConfigured = "ApplyPathNotConfigured"
    ConfigMapIncomplete = "ConfigMapIncomplete"
    ApplyFailed = "ApplyFailed"
    StrategyNone = "StrategyNone"
    StrategySingle = "StrategySingle"
    SharedSlices = "SharedSlices"
    UnknownGeometry = "UnknownGeometry"
    LayoutUnknown = "LayoutUnknown"
    LayoutDrift = "LayoutDrift"
    ModeChangeForbidden = "ModeChangeForbidden"
    NodeBusy = "NodeBusy"
    GpuBusy = "GpuBusy"
    # an action that is not taken, or a change that did not end as planned
    BudgetExhausted = "BudgetExhausted"
    Suspended = "Suspended"
    Paused = "Paused"
    CircuitOpen = "CircuitOpen"
    CanaryPending = "CanaryPending"
    RateLimited = "RateLimited"
    Reversal = "Reversal"
    AwaitingApproval = "AwaitingApproval"
    Superseded = "Superseded"
    Expired = "Expired"
    ServedElsewhere = "ServedElsewhere"
    DeadlineExceeded = "DeadlineExceeded"
    ApplyStuck = "ApplyStuck"
    ConfigLag = "ConfigLag"
    StaleSuccess = "StaleSuccess"
    ClientsPaused = "ClientsPaused"
    PartialDestruction = "PartialDestruction"
    LayoutCleared = "LayoutCleared"
    PluginMissing = "PluginMissing"
    VerificationFailed = "VerificationFailed"
    PublishFailed = "PublishFailed"
    ConfigMapFull = "ConfigMapFull"
    DrainBlocked = "DrainBlocked"
    NodeGone = "NodeGone"
    Done = "Done"
