"""The custom resources and the core, which reads them without these models, mean the same."""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import Any

from hypothesis import assume, given, settings

from autoslicer import core
from autoslicer.api.reconfiguration import ReconfigurationStatus
from autoslicer.api.validation import validate_policy
from autoslicer.core import reading
from autoslicer.core.causes import Cause
from autoslicer.core.recovery import Recovery
from tests.api.objects import NODE, RECONFIGURATION
from tests.api.strategies import policies
from tests.api.test_validation import MINIMAL, problems


def test_the_core_fills_in_the_same_defaults() -> None:
    """The core reads a minimal policy as it reads the same one with the API's defaults written out."""
    spec = validate_policy(MINIMAL).spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert reading.policy(MINIMAL) == reading.policy({**MINIMAL, "spec": spec})


@settings(max_examples=300, deadline=None, derandomize=True)
@given(whole=policies())
def test_the_core_reads_every_policy_that_is_accepted(whole: dict[str, Any]) -> None:
    """What the schema allows, the core can read."""
    assume(not problems(whole))
    assert reading.policy(whole).name == "full"


def test_the_core_reads_what_a_change_says() -> None:
    """Every field of a MigReconfiguration that the core acts by arrives there."""
    row = reading.change(RECONFIGURATION)
    assert (row.node, row.policy, row.source, row.target) == (
        "gpu-07",
        "default",
        "all-balanced",
        "autoslicer-6b1f0c2a",
    )
    assert [(gpu.index, gpu.changed) for gpu in row.gpus] == [(0, True), (1, False)]
    assert (row.serves, row.recovery) == (("team-a/infer-3", "team-a/infer-4"), Recovery(60, 3, 90, True))
    assert row.cause is Cause.DEMAND
    headroom = {**RECONFIGURATION["spec"], "cause": "Headroom", "serves": []}
    assert reading.change({**RECONFIGURATION, "spec": headroom}).cause is Cause.HEADROOM
    assert (row.status.phase, row.status.attempt, len(row.status.steps)) == ("Applied", 1, 1)


def conditions_told() -> set[str]:
    """The type of every condition that the core gives to a change, by the constants of its modules."""
    paths = (info.name for info in pkgutil.walk_packages(core.__path__, f"{core.__name__}."))
    modules = [importlib.import_module(path) for path in paths]
    telling = [module for module in modules if hasattr(module, "with_condition")]
    return {
        value
        for module in telling
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str) and re.fullmatch("[A-Z][A-Za-z]+", value)
    }


def test_a_change_may_have_every_condition_at_once() -> None:
    """Else the API server would refuse its status from then on, and the change could never end."""
    kinds = conditions_told()
    assert {"Succeeded", "RunStarted", "Quarantined"} <= kinds
    about = {"status": "True", "reason": "Said", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    status = ReconfigurationStatus.model_validate(
        {"conditions": [{"type": k, **about} for k in sorted(kinds)]}
    )
    assert len(status.conditions or ()) == len(kinds)


def test_the_core_reads_what_an_agent_saw() -> None:
    """Every field of a MigNode that tells who uses which instance arrives in the core."""
    row = reading.mig_node(NODE)
    [gpu] = row.gpus
    [instance] = gpu.instances
    assert (row.driver, gpu.product, gpu.pci) == ("580.95.05", "NVIDIA-H100-80GB-HBM3", "0x233010DE")
    assert (instance.profile, instance.start, instance.pods) == (
        "3g.40gb",
        0,
        ("team-a/train-0", "team-a/train-1"),
    )
