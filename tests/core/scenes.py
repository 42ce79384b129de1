"""Named small clusters that several tests look at."""

from __future__ import annotations

from typing import Any

from autoslicer.core import configs
from autoslicer.core.plan import Plan
from autoslicer.core.planner import plan
from autoslicer.core.policy import BUILT_IN, Policy
from autoslicer.core.reasons import Reason
from autoslicer.core.snapshot import Snapshot, read
from tests.build import (
    H100,
    NOON,
    Builder,
    change,
    config_map,
    dump,
    mig_manager,
    mignode,
    node,
    pod,
    policy,
    resource_slice,
)

POLICIES = {BUILT_IN.name: BUILT_IN}


def snapshot(*objects: Builder) -> Snapshot:
    """The snapshot of these objects, all of which are well-formed."""
    found = read(dump(*objects))
    assert not found.skipped
    return found


def planned(*objects: Builder, policies: dict[str, Policy] | None = None, waiting: bool = False) -> Plan:
    """The plan for these objects at noon, under the policies among them or else the built-in one."""
    found = snapshot(*objects)
    return plan(found, policies or found.policies or POLICIES, NOON, waiting=waiting)


def refusals(made: Plan) -> dict[str, Reason]:
    """Why each refused node may not change."""
    return {verdict.name: verdict.reason for verdict in made.refusals}


def unserved(made: Plan) -> dict[str, Reason]:
    """Why each pod that is not served is not."""
    return {verdict.name: verdict.reason for verdict in made.unserved}


def served(made: Plan) -> dict[str, str]:
    """The node of each pod that is served."""
    return {s.pod: s.node for s in made.served}


def everything() -> dict[str, Any]:
    """A dump with every kind that is read, in every state that a plan looks at."""
    return dump(
        node("busy").gpus(2).config("all-7g.80gb"),
        node("changing").gpus(1).config("all-7g.80gb").taint("autoslicer.dev/reshaping", value="1"),
        node("foreign").gpus(1).config("all-7g.80gb"),
        node("idle").gpus(2, H100).config("all-7g.80gb").taint("team", value="a"),
        node("own").gpus(1).layout({"3g.40gb": 2}, name="autoslicer-0123456789ab"),
        node("seen").gpus(2).config("all-3g.40gb"),
        mignode("seen").gpu({"3g.40gb": 2}, pods={"3g.40gb": ["ns/b2"]}).gpu({"3g.40gb": 2}),
        resource_slice("foreign"),
        change("changing", [{"7g.80gb": 1}], [{"1g.10gb": 7}], phase="Labelled", serves=("ns/w0",)),
        policy(),
        config_map({**configs.DEFAULTS, "autoslicer-0123456789ab": configs.DEFAULTS["all-3g.40gb"]}),
        mig_manager("own"),
        pod("ns/b1").wants({"7g.80gb": 1}).on("busy"),
        pod("ns/b2").wants({"3g.40gb": 1}).on("seen"),
        pod("ns/w0").wants({"1g.10gb": 1}),
        pod("ns/w1").wants({"1g.10gb": 1}).priority(5).tolerates("team", "Equal", "a").selector({"a": "b"}),
        pod("ns/w2").wants({"3g.40gb": 1}).resources({"cpu": "500m", "memory": "1.5Gi"}),
        pod("ns/w3").wants({"1g.10gb": 2}).repels({"app": "x"}),
        pod("ns/w4")
        .wants({"1g.10gb": 1})
        .affinity({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["b"]}]}),
        pod("ns/w5").wants({"2g.20gb": 1}).tolerates("team"),
    )
