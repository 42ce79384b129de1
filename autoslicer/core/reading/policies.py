"""MigAutoscalingPolicies, as the core reads them: defaults are filled in as the API server would."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from autoslicer.core import budgets, schedules
from autoslicer.core.budgets import Budget
from autoslicer.core.causes import Cause
from autoslicer.core.fields import Fields, root
from autoslicer.core.policy import Idle, Objective, Policy, Reserve
from autoslicer.core.reading.changes import conditions, recovery
from autoslicer.core.reading.selectors import label_selector
from solver.problem import Counts, counts

_BUDGET = re.compile(r"\d{1,9}|\d{1,2}%|100%", re.ASCII)
MOST_HEADROOM = 1000
"""slices of one profile; the schema allows no more either"""
Choice = TypeVar("Choice", bound=StrEnum)
Read = TypeVar("Read")
_DEFAULT = Policy(name="", uid="", generation=0, selector=())


def policy(obj: object) -> Policy:
    """The Policy that a MigAutoscalingPolicy describes.

    Raises:
        ValueError: a field has a type or value that the schema does not allow, or nodeSelector asks for
        nothing.
    """
    top = root(obj, "MigAutoscalingPolicy")
    metadata, spec = top.fields("metadata"), top.fields("spec")
    layouts, trigger, disruption = spec.fields("layouts"), spec.fields("trigger"), spec.fields("disruption")
    config_map = layouts.fields("configMap")
    selector = label_selector(spec.fields("nodeSelector"))
    if not selector:
        raise ValueError(
            f"{top.what}: spec.nodeSelector must ask for something, or it would govern every node"
        )
    if layouts.text("source", "Generated") != "Generated":
        raise ValueError(f"{top.what}: {layouts.at('source')} must be Generated")
    return Policy(
        name=metadata.required("name"),
        uid=metadata.text("uid"),
        generation=metadata.count("generation"),
        selector=selector,
        mode=_choice(spec, "mode", _DEFAULT.mode),
        suspend=spec.flag("suspend"),
        config_map=(
            config_map.text("namespace", _DEFAULT.config_map[0]),
            config_map.text("name", _DEFAULT.config_map[1]),
        ),
        allowed_profiles=frozenset(layouts.texts("allowedProfiles")),
        denied_profiles=frozenset(layouts.texts("deniedProfiles")),
        allow_mode_change=layouts.flag("allowModeChange"),
        pending_seconds=trigger.duration("pendingSeconds", _DEFAULT.pending_seconds),
        batch_idle_seconds=trigger.duration("batchIdleSeconds", _DEFAULT.batch_idle_seconds),
        batch_max_seconds=trigger.duration("batchMaxSeconds", _DEFAULT.batch_max_seconds),
        objective=_objective(spec.fields("objective")),
        canary=disruption.flag("canary", _DEFAULT.canary),
        budgets=_budgets(disruption),
        cooldown_seconds=disruption.duration("cooldownSeconds", _DEFAULT.cooldown_seconds),
        eviction=_choice(disruption, "eviction", _DEFAULT.eviction),
        drain_timeout_seconds=disruption.duration("drainTimeoutSeconds", _DEFAULT.drain_timeout_seconds),
        reserve=_reserve(disruption.fields("reserve")),
        min_benefit=max(1, disruption.count("minBenefit", _DEFAULT.min_benefit)),
        recovery=recovery(spec.fields("recovery")),
        repair_drift=spec.fields("recovery").flag("repairDrift", _DEFAULT.repair_drift),
        headroom=_headroom(spec),
        idle=_idle(spec.fields("idle")),
        nominate=spec.fields("scheduling").flag("nominate", _DEFAULT.nominate),
        conditions=conditions(top.fields("status")),
    )


def _objective(objective: Fields) -> Objective:
    default = _DEFAULT.objective
    return Objective(
        _choice(objective, "weight", default.weight),
        objective.duration("starvationSeconds", default.starvation_seconds),
    )


def _idle(idle: Fields) -> Idle:
    after, config = idle.duration("afterSeconds", 0), idle.text("config")
    if after and not config:
        raise ValueError(f"{idle.what}: {idle.at('config')} must name a config where afterSeconds is not 0")
    return Idle(after, config)


def _reserve(reserve: Fields) -> Reserve:
    usual = _DEFAULT.reserve
    return Reserve(
        reserve.duration("afterSeconds", usual.after_seconds),
        reserve.duration("timeoutSeconds", usual.timeout_seconds),
        max(1, reserve.count("nodes", usual.nodes)),
    )


def _headroom(spec: Fields) -> Counts:
    found: dict[str, int] = {}
    for entry in spec.each("headroom"):
        profile = entry.required("profile")
        if profile in found:
            raise ValueError(f"{spec.what}: {spec.at('headroom')} names {profile[:32]!r} twice")
        found[profile] = min(entry.count("free"), MOST_HEADROOM)
    return counts(found)


def _choice(fields: Fields, key: str, default: Choice) -> Choice:
    """The member of the default's enum that the field names."""
    allowed, found = type(default), fields.text(key, default)
    if found not in list(allowed):
        raise ValueError(
            f"{fields.what}: {fields.at(key)} must be {' or '.join(allowed)}, not {found[:32]!r}"
        )
    return allowed(found)


def _budgets(disruption: Fields) -> tuple[Budget, ...]:
    if not disruption.has("budgets"):
        return _DEFAULT.budgets
    return tuple(_budget(budget) for budget in disruption.each("budgets"))


def _budget(budget: Fields) -> Budget:
    nodes = budget.required("nodes")
    if not _BUDGET.fullmatch(nodes):
        raise ValueError(
            f'{budget.what}: {budget.at("nodes")} must read like "3" or "10%", not {nodes[:32]!r}'
        )
    schedule, duration = budget.text("schedule"), budget.text("duration")
    if bool(schedule) != bool(duration):
        here = budget.at("schedule")
        raise ValueError(f"{budget.what}: {here} and duration must be given together, or neither of them")
    return Budget(
        nodes,
        _accepted(budget, "schedule", schedules.checked) if schedule else "",
        _accepted(budget, "duration", budgets.duration) if duration else 0.0,
        frozenset(_cause(budget, word) for word in budget.texts("reasons")),
    )


def _accepted(fields: Fields, key: str, read: Callable[[str], Read]) -> Read:
    """What `read` makes of the field's text."""
    try:
        return read(fields.text(key))
    except ValueError as error:
        raise ValueError(f"{fields.what}: {fields.at(key)}: {error}") from None


def _cause(budget: Fields, word: str) -> Cause:
    if word not in list(Cause):
        known = ", ".join(Cause)
        raise ValueError(f"{budget.what}: {budget.at('reasons')} must be of {known}, not {word[:32]!r}")
    return Cause(word)
