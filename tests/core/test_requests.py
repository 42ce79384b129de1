"""Effective requests, against examples worked out by hand from the scheduler's formula."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoslicer.core import reading
from tests.build import Builder, pod


def container(cpu: int, **extra: Any) -> dict[str, Any]:
    """A container that asks for so many cpus."""
    return {"name": f"c{cpu}", "resources": {"requests": {"cpu": str(cpu)}}, **extra}


def cpus(made: Builder) -> int:
    """The effective request in whole cpus."""
    return reading.pod(made.raw).requests.get("cpu", 0) // 1000


SIDECAR = {"restartPolicy": "Always"}


@pytest.mark.parametrize(
    ("containers", "init", "expected"),
    [
        ([1, 2], [], 3),
        ([1, 2], [(5, {})], 5),  # the init container alone needs most
        ([1, 2], [(2, {})], 3),
        ([1], [(2, SIDECAR)], 3),  # a sidecar runs on beside the containers
        ([1], [(2, SIDECAR), (4, {})], 6),  # and beside the init containers after it
        ([1], [(4, {}), (2, SIDECAR)], 4),  # but not beside those before it
        ([1], [(1, SIDECAR), (3, SIDECAR), (2, {})], 6),
    ],
)
def test_containers(containers: list[int], init: list[tuple[int, dict[str, str]]], expected: int) -> None:
    """Containers add up; init containers count where they need more; sidecars stay."""
    made = pod("ns/x").set("spec.containers", [container(cpu) for cpu in containers])
    made = made.set("spec.initContainers", [container(cpu, **extra) for cpu, extra in init])
    assert cpus(made) == expected


def test_limits_stand_in_for_requests() -> None:
    """A limit without a request is the request, as the API server has it; else the request counts."""
    made = pod("ns/x").resources({"nvidia.com/mig-1g.10gb": "2", "cpu": "4"})
    assert reading.pod(made.raw).requests == {"cpu": 4000, "nvidia.com/mig-1g.10gb": 2, "pods": 1}
    both = made.set(
        "spec.containers", [{"name": "c", "resources": {"limits": {"cpu": "4"}, "requests": {"cpu": "1"}}}]
    )
    assert cpus(both) == 1


def test_overhead_and_pod_level_requests() -> None:
    """Requests of the pod replace the sum, for cpu, memory and huge pages alone; overhead is added."""
    made = pod("ns/x").set("spec.containers", [container(1), container(2)]).set("spec.overhead", {"cpu": "1"})
    assert cpus(made) == 4
    assert cpus(made.set("spec.resources", {"requests": {"cpu": "8"}})) == 9
    assert cpus(made.set("spec.resources", {"limits": {"cpu": "8"}})) == 4
    slices = made.set("spec.resources", {"requests": {"nvidia.com/mig-1g.10gb": "1"}})
    assert "nvidia.com/mig-1g.10gb" not in reading.pod(slices.raw).requests


def test_a_resize_under_way_counts_with_the_larger_size() -> None:
    """While a container shrinks in place it holds what it was given before."""
    made = pod("ns/x").set("spec.containers", [container(1)]).on("a")
    shrinking = made.set("status.containerStatuses", [{"name": "c1", "allocatedResources": {"cpu": "3"}}])
    assert (cpus(made), cpus(shrinking)) == (1, 3)


@given(
    st.lists(st.integers(1, 8), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(1, 8), st.booleans()), max_size=4),
)
def test_the_formula_is_the_peak_over_time(containers: list[int], init: list[tuple[int, bool]]) -> None:
    """The request is the most that runs at one time: each init step beside earlier sidecars, then all."""
    made = pod("ns/x").set("spec.containers", [container(cpu) for cpu in containers])
    steps = [container(cpu, **(SIDECAR if sidecar else {})) for cpu, sidecar in init]
    peak, sidecars = 0, 0
    for cpu, sidecar in init:
        peak = max(peak, sidecars + cpu)
        sidecars += cpu if sidecar else 0
    assert cpus(made.set("spec.initContainers", steps)) == max(peak, sidecars + sum(containers))
