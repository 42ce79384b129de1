"""Where HAMi and the DRA driver put instances: as their sources and own tests say."""

from __future__ import annotations

import time
from collections import Counter
from copy import deepcopy
from itertools import product

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from simulations.gpu import Gpu
from simulations.strategies.per_pod.rules import Dra, Hami, Seat
from solver.geometry import by_product

H100 = by_product("NVIDIA-H100-80GB-HBM3")
PROFILES = ("1g.10gb", "2g.20gb", "3g.40gb", "7g.80gb")


def _gpus(number):
    made = [Gpu("node-a", index, H100) for index in range(number)]
    for gpu in made:
        gpu.set_mode(enabled=True)
    return made


def _placed(rule, gpus, *profiles):
    """Place one pod after the other; (GPU, start) of each, None for one that does not fit."""
    found = []
    for profile in profiles:
        seats = rule.seats(gpus, {profile: 1})
        for seat in seats or ():
            gpus[seat.gpu].create(seat.profile, seat.start, "team/pod")
        found.append((seats[0].gpu, seats[0].start) if seats else None)
    return found


def test_hami_packs_one_gpu_as_its_own_test_says():
    """Three slices go to the upper half, two to the bottom, single ones down from the highest free unit."""
    assert _placed(Hami(), _gpus(1), "3g.40gb", "2g.20gb", "1g.10gb", "1g.10gb") == [
        (0, 4), (0, 0), (0, 3), (0, 2),
    ]  # fmt: skip


def test_hami_goes_to_the_emptiest_gpu_and_the_last_of_equal_ones():
    """On a node HAMi spreads, so that small pods take the room of large ones on every GPU."""
    gpus = _gpus(3)
    assert _placed(Hami(), gpus, *["1g.10gb"] * 4) == [(2, 6), (1, 6), (0, 6), (2, 5)]
    assert Hami().seats(gpus, {"7g.80gb": 1}) is None


def test_hami_takes_the_fullest_node():
    """Between nodes HAMi packs, whatever CPU and memory is left."""
    empty, used = _gpus(2), _gpus(2)
    used[0].create("1g.10gb", 0, "team/pod")
    assert Hami().worth(used, free=0.0) > Hami().worth(empty, free=1.0)


def test_dra_takes_the_first_device_that_fits():
    """GPU after GPU, and from the bottom of each: the order in which the driver publishes its devices."""
    assert _placed(Dra(), _gpus(2), "1g.10gb", "2g.20gb", "3g.40gb", "3g.40gb", "1g.10gb", "7g.80gb") == [
        (0, 0), (0, 2), (0, 4), (1, 0), (0, 1), None,
    ]  # fmt: skip


def test_dra_takes_the_node_with_the_most_cpu_and_memory_free():
    """The scheduler knows nothing of how full the GPUs are."""
    used = _gpus(1)
    used[0].create("1g.10gb", 0, "team/pod")
    assert Dra().worth(used, free=0.6) > Dra().worth(_gpus(1), free=0.5)


def test_the_slices_of_a_pod_may_lie_on_several_gpus_of_a_node():
    """What one GPU cannot hold alone two can, and where all are full nothing is given in part."""
    wanted = {"3g.40gb": 3}
    assert Dra().seats(_gpus(2), wanted) == tuple(
        Seat(g, "3g.40gb", at) for g, at in ((0, 0), (0, 4), (1, 0))
    )
    assert Hami().seats(_gpus(2), wanted) == tuple(
        Seat(g, "3g.40gb", at) for g, at in ((1, 4), (0, 4), (1, 0))
    )
    assert Dra().seats(_gpus(1), wanted) is Hami().seats(_gpus(1), wanted) is None


@pytest.mark.parametrize("rule", [Hami(), Dra()], ids=lambda rule: rule.name)
def test_looking_changes_nothing(rule):
    """A node that was only looked at is as it was."""
    gpus = _gpus(2)
    gpus[0].create("2g.20gb", 0, "team/pod")
    before = [list(gpu.instances) for gpu in gpus]
    assert rule.seats(gpus, {"1g.10gb": 3, "3g.40gb": 1}) is not None
    assert rule.seats(gpus, {"7g.80gb": 2}) is None
    assert [gpu.instances for gpu in gpus] == before


@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from(PROFILES), st.integers(0, 6)), max_size=8),
    st.lists(st.sampled_from(PROFILES), min_size=1, max_size=3),
)
@settings(max_examples=150, deadline=None)
def test_dra_places_a_pod_if_and_only_if_there_is_a_way(held, wanted):
    """No pod that could have its slices waits under DRA; under HAMi, none with a single slice does."""
    gpus = _gpus(2)
    for index, profile, start in held:
        if start in gpus[index].room(profile):
            gpus[index].create(profile, start, "team/pod")
    slices = {profile: wanted.count(profile) for profile in sorted(set(wanted))}
    possible = _possible(gpus, wanted)
    event(f"{'possible' if possible else 'impossible'} with {len(wanted)} slices")
    for rule in (Dra(), Hami()):
        seats = rule.seats(gpus, slices)
        if isinstance(rule, Dra) or len(wanted) == 1:
            assert (seats is not None) == possible
        if seats is not None:
            assert sorted(seat.profile for seat in seats) == sorted(wanted)
            for seat in seats:
                gpus[seat.gpu].create(seat.profile, seat.start)
            for gpu in gpus:
                for instance in [i for i in gpu.instances if not i.holder]:
                    gpu.destroy(instance)


def _possible(gpus, wanted):
    """Every choice of GPUs and starts, tried one by one."""
    places = [(index, start) for index in range(len(gpus)) for start in range(8)]
    for chosen in product(places, repeat=len(wanted)):
        made = []
        for (index, start), profile in zip(chosen, wanted, strict=True):
            if start in gpus[index].room(profile):
                made.append((gpus[index], gpus[index].create(profile, start)))
        for gpu, instance in made:
            gpu.destroy(instance)
        if len(made) == len(wanted):
            return True
    return False


@pytest.mark.parametrize(
    ("number", "wanted", "fits"),
    [(2, {"1g.10gb": 14}, True), (2, {"1g.10gb": 15}, False), (8, {"1g.10gb": 57}, False),
     (8, {"2g.20gb": 24}, True), (8, {"2g.20gb": 25}, False),
     (8, {"3g.40gb": 8, "2g.20gb": 16}, True), (8, {"3g.40gb": 8, "2g.20gb": 16, "1g.10gb": 1}, False),
     (8, {"1g.20gb": 17, "1g.10gb": 30}, True), (8, {"1g.20gb": 17, "1g.10gb": 31}, False)],
)  # fmt: skip
def test_dra_is_quick_with_many_slices(number, wanted, fits):
    """A pod that asks for one slice too many holds the simulation up no longer than one that fits."""
    began = time.process_time()
    seats = Dra().seats(_gpus(number), wanted)
    assert time.process_time() - began < 5
    assert Counter(seat.profile for seat in seats or ()) == (wanted if fits else {})


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from((*PROFILES, "1g.20gb")), st.integers(0, 6)), max_size=6
    ),
    st.lists(st.sampled_from((*PROFILES, "1g.20gb", "4g.40gb")), min_size=1, max_size=5),
    st.sets(st.sampled_from(sorted(H100.multisets())), max_size=3),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_dra_takes_the_places_that_trying_one_after_the_other_comes_to(held, wanted, refused, off):
    """The allocator tries every choice of devices in order; the quick way ends with the same ones."""
    gpus = [Gpu("node-a", index, H100.refusing(frozenset(refused)), []) for index in range(2)]
    for index, profile, start in held:
        if start in gpus[index].room(profile):
            gpus[index].create(profile, start, "team/pod")
    if off and not gpus[0].instances:
        gpus[0].instances = None
    slices = {profile: wanted.count(profile) for profile in sorted(set(wanted))}
    expected = next(_tried_in_order(deepcopy(gpus), sorted(wanted, reverse=True)), None)
    event(f"{'possible' if expected else 'impossible'} with {len(wanted)} slices")
    assert Dra().seats(gpus, slices) == expected


def _tried_in_order(gpus, profiles):
    """Every choice of devices for the profiles, in the order in which the allocator tries them."""
    if not profiles:
        yield ()
        return
    for position, gpu in enumerate(gpus):
        for start in gpu.room(profiles[0]):
            made = gpu.create(profiles[0], start)
            for rest in _tried_in_order(gpus, profiles[1:]):
                yield (Seat(position, profiles[0], start), *rest)
            gpu.destroy(made)
