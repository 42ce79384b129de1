"""The fake NVML's driver lets exist exactly what the solver's geometry calls legal, on every model."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, permutations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from solver.geometry import Geometry
from solver.geometry import models as geometries
from tests.cluster.driver import INSUFFICIENT_RESOURCES, SUCCESS, Driver, Made
from tests.cluster.gpu_model import models

GEOMETRY = {geometry.model: geometry for geometry in geometries()}
EXAMPLES = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)


@pytest.fixture(params=models(), ids=lambda model: model["model"])
def gpu(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Driver, Geometry]:
    """A GPU of each model with the solver's geometry of it."""
    return Driver(tmp_path / "gpu", request.param), GEOMETRY[request.param["model"]]


def test_every_model_is_tried() -> None:
    """No model that the solver knows is left out."""
    assert sorted(model["model"] for model in models()) == sorted(GEOMETRY)
    assert len(GEOMETRY) == 20


def test_largest_counts(gpu: tuple[Driver, Geometry]) -> None:
    """Of one profile alone, as many instances fit as the solver allows."""
    driver, geometry = gpu
    for profile in geometry.profiles:
        while driver.create(profile.name) == SUCCESS:
            pass
        count = len(driver.instances())
        assert geometry.legal({profile.name: count}), profile.name
        assert not geometry.legal({profile.name: count + 1}), profile.name
        driver.clear()


@EXAMPLES
@given(data=st.data())
def test_what_may_exist(gpu: tuple[Driver, Geometry], data: st.DataObject) -> None:
    """Whatever was created and destroyed before, the driver takes an instance if and only if it is legal."""
    driver, geometry = gpu
    driver.clear()
    names = sorted(geometry.names)
    ids = set[int]()
    for _ in range(data.draw(st.integers(1, 14), "steps")):
        have = driver.instances()
        if have and data.draw(st.integers(0, 3), "destroy?") == 0:
            assert driver.destroy(data.draw(st.sampled_from(have), "victim")) == SUCCESS
            continue
        name = data.draw(st.sampled_from(names), "profile")
        start = data.draw(st.none() | st.integers(0, geometry.memory_slices), "start")
        expected = _allowed(geometry, have, name)
        fits = bool(expected) if start is None else start in expected
        assert driver.create(name, start) == (SUCCESS if fits else INSUFFICIENT_RESOURCES)
        now = driver.instances()
        assert len(now) == len(have) + fits
        assert all(a.start + a.size <= b.start for a, b in pairwise(now))
        assert geometry.legal(Counter(instance.profile for instance in now))
        new = {instance.id for instance in now} - {instance.id for instance in have}
        assert not new & ids
        ids |= new


def test_every_legal_layout_can_be_made(gpu: tuple[Driver, Geometry]) -> None:
    """For each multiset that the solver calls legal there is an order in which the driver places it all."""
    driver, geometry = gpu
    unreachable = [
        wanted
        for wanted in geometry.multisets()
        if not _in_some_order(driver, [name for name, count in wanted for _ in range(count)], geometry)
    ]
    assert not unreachable


def _allowed(geometry: Geometry, have: list[Made], name: str) -> set[int]:
    """The starts at which an instance may be created beside those that exist."""
    profile = geometry.profile(name)
    assert profile is not None
    if not geometry.legal(Counter(instance.profile for instance in have) + Counter([name])):
        return set()
    return {
        start
        for start in profile.starts
        if all(start + profile.size <= other.start or other.start + other.size <= start for other in have)
    }


def _in_some_order(driver: Driver, names: list[str], geometry: Geometry) -> bool:
    """As mig-parted does it: largest first, then every other order."""
    sizes = {profile.name: (-profile.size, -profile.compute, profile.name) for profile in geometry.profiles}
    for order in permutations(sorted(names, key=lambda name: sizes[name])):
        driver.clear()
        if all(driver.create(name) == SUCCESS for name in order):
            return True
    return False
