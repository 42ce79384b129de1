"""The first change of a kind of node goes alone."""

from __future__ import annotations

import pytest

from autoslicer.core.actions import CreateChange, DeleteChange
from autoslicer.core.clearing import KEPT_CHANGES
from autoslicer.core.nodes import kinds
from autoslicer.core.reasons import Reason
from tests.build import A100, H100, NOON, Builder, mig_manager, mignode, node, policy
from tests.core.pacing.test_gates import ended, gate, reason, wanted
from tests.core.scenes import snapshot
from tests.core.test_cycle import created, decided, machine, only, wants

KIND = f"{H100} 580.95.05 k8s-mig-manager:v0.13.1"
CAREFUL = policy().set("spec.disruption.canary", True)
DRIVER = {"nvidia.com/cuda.driver-version.full": "580.95.05"}


def of_kind(made: Builder, kind: str) -> Builder:
    return made.put("metadata.annotations", {"autoslicer.dev/kind": kind})


def kind_of(*objects: Builder) -> str:
    found = snapshot(*objects)
    return kinds.kind(found, found.nodes["a"])


def with_image(image: str) -> Builder:
    manager = mig_manager("a")
    [container] = manager.get("spec.containers")
    return manager.set("spec.containers", [{**container, "image": image}])


def test_a_kind_is_model_driver_and_mig_manager() -> None:
    """However the labels spell the model, and whatever registry the image came from."""
    made = node("a").gpus(1, H100).labels(DRIVER)
    manager = with_image("registry.example.com:5000/nvidia/k8s-mig-manager:v0.13.1")
    assert kind_of(made, manager) == KIND
    shared = made.labels({"nvidia.com/gpu.product": f"{H100}-MIG-1g.10gb-SHARED"})
    assert kind_of(shared, manager) == KIND
    assert kind_of(made, with_image("k8s-mig-manager:v0.13.2")) != KIND
    assert kind_of(made.gpus(1, A100), manager) != KIND


def test_the_driver_is_known_from_labels_or_the_agent() -> None:
    """GPU feature discovery's present labels, else its former ones, else the agent; else it is left out."""
    bare = node("a").gpus(1, H100)
    former = {"major": "580", "minor": "95", "rev": "05"}
    old = bare.labels({f"nvidia.com/cuda.driver.{part}": value for part, value in former.items()})
    found = {kind_of(bare.labels(DRIVER)), kind_of(old), kind_of(bare, mignode("a"))}
    assert found == {f"{H100} 580.95.05"}
    assert kind_of(bare) == H100


def test_names_from_the_cluster_are_made_harmless() -> None:
    """An image may be called anything."""
    assert kind_of(node("a").gpus(1, H100), with_image("x/y\n{z}" + "a" * 500)) == f"{H100} y__z_{'a' * 123}"


def test_of_one_kind_only_one_starts_until_one_is_done() -> None:
    """Then all may; and where the policy does not ask for it, all may at once."""
    asked = gate(CAREFUL)
    assert [reason(asked, name) for name in ("a", "b", "c")] == [None, *[Reason.CanaryPending] * 2]
    kind = kinds.kind(asked.snapshot, asked.snapshot.nodes["a"])
    proven = gate(CAREFUL, of_kind(ended("d", 1, "Done", NOON - 9), kind))
    assert [reason(proven, name) for name in ("a", "b", "c")] == [None] * 3
    other = gate(CAREFUL, of_kind(ended("d", 1, "Done", NOON - 9), f"{kind} other"))
    assert [reason(other, name) for name in ("a", "b")] == [None, Reason.CanaryPending]
    bold = gate(policy())
    assert [reason(bold, name) for name in ("a", "b")] == [None, None]


@pytest.mark.parametrize("phase", ["Quarantined", "RolledBack", "Cancelled"])
def test_a_change_that_was_not_done_proves_nothing(phase: str) -> None:
    """The next one goes alone as well."""
    kind = kinds.kind(gate().snapshot, gate().snapshot.nodes["a"])
    asked = gate(CAREFUL, of_kind(ended("d", 1, phase, NOON - 9), kind))
    assert [reason(asked, name) for name in ("a", "b")] == [None, Reason.CanaryPending]


def test_a_change_under_way_is_waited_for() -> None:
    """Whichever policy it is of; the one that waits is told which."""
    kind = kinds.kind(gate().snapshot, gate().snapshot.nodes["a"])
    running = of_kind(ended("d", 1, "Labelled", NOON - 9), kind).set("spec.policy", "other")
    held = gate(CAREFUL, running).pass_through(wanted())
    assert held is not None
    assert held.reason is Reason.CanaryPending
    assert held.message == f"d-1, the first change of its kind ({kind}), is not Done yet"


def test_kinds_do_not_wait_for_each_other() -> None:
    """Each has a canary of its own."""
    a30 = node("e").gpus(1, "NVIDIA-A30").config("all-7g.80gb")
    asked = gate(CAREFUL, a30, mig_manager("e"))
    assert [reason(asked, name) for name in ("a", "e", "c")] == [None, None, Reason.CanaryPending]


def test_a_cycle_creates_the_canary_alone() -> None:
    """And marks it with the kind that it proves once it is Done."""
    world = (*machine("a"), *machine("b"), *(wants(f"t/{n}", "3g.40gb") for n in range(4)))
    [made] = created(decided(*world, CAREFUL))
    assert made.kind == f"{H100}"
    proven = of_kind(ended("c", 1, "Done", NOON - 9), made.kind)
    assert len(created(decided(*world, CAREFUL, proven))) == 2


def test_the_proof_of_a_kind_is_never_forgotten() -> None:
    """The newest change that is Done stays however old, until a newer one of its kind is Done."""
    past = [ended("a", n, "Cancelled", NOON - 50 + n) for n in range(2, 3 + KEPT_CHANGES)]
    proof = of_kind(ended("a", 1, "Done", NOON - 100), "kind")
    forgotten = only(decided(*machine("a"), proof, *past), DeleteChange)
    assert forgotten == [DeleteChange("a-2", "change-a-2")]
    newer = of_kind(ended("b", 1, "Done", NOON - 90), "kind")
    assert DeleteChange("a-1", "change-a-1") in only(
        decided(*machine("a"), proof, *past, newer), DeleteChange
    )
    assert not only(decided(*machine("a"), proof, *past[1:]), DeleteChange)
    assert not only(decided(*machine("a"), proof), CreateChange)
