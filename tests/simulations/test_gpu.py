"""The virtual GPU: what is created and destroyed beside instances in use."""

from __future__ import annotations

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from simulations.gpu import Gpu, NvmlError
from solver.geometry import by_product

H100 = by_product("NVIDIA-H100-80GB-HBM3")
PROFILES = ("1g.10gb", "1g.10gb+me", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb")


def _gpu():
    gpu = Gpu("node-a", 0, H100)
    gpu.set_mode(enabled=True)
    return gpu


@given(st.lists(st.tuples(st.sampled_from(PROFILES), st.integers(0, 7), st.booleans()), max_size=20))
def test_whatever_is_created_and_destroyed_the_gpu_stays_legal(steps):
    """Instances never overlap, a used one is never destroyed, and `room` tells what can be created."""
    gpu = _gpu()
    for profile, place, used in steps:
        if place in gpu.room(profile):
            gpu.create(profile, place, "team/pod" if used else "")
            event("created")
        elif gpu.instances and place < len(gpu.instances):
            before = list(gpu.instances)
            instance = before[place]
            if instance.holder:
                with pytest.raises(NvmlError, match="in use by team/pod"):
                    gpu.destroy(instance)
                assert gpu.instances == before
            else:
                gpu.destroy(instance)
                event("destroyed")
        else:
            with pytest.raises(NvmlError, match=r"no place for"):
                gpu.create(profile, place)
        units = [unit for i in gpu.instances for unit in range(i.start, i.end)]
        assert len(units) == len(set(units))
        assert max(units, default=0) < H100.memory_slices
        assert H100.legal(gpu.layout)


def test_nothing_is_created_while_mig_mode_is_off():
    """A GPU without MIG mode has no room, and says so."""
    gpu = Gpu("node-a", 0, H100)
    assert gpu.room("1g.10gb") == []
    with pytest.raises(NvmlError, match=r"no place for 1g\.10gb at 0"):
        gpu.create("1g.10gb", 0)
    gpu.set_mode(enabled=True)
    assert gpu.room("1g.10gb") == [0, 1, 2, 3, 4, 5, 6]


def test_an_instance_is_destroyed_once():
    """A second time it is gone, and that is an error."""
    gpu = _gpu()
    instance = gpu.create("7g.80gb", 0)
    gpu.destroy(instance)
    with pytest.raises(NvmlError, match="has no MIG-node-a-0-0"):
        gpu.destroy(instance)
