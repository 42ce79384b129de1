"""Geometry of every model against an enumeration of its own, and against the published figures."""

import doctest
import itertools
import random
from collections import Counter

import pytest

from solver import geometry, profile_name
from solver.geometry import Geometry, by_pci, by_product, from_nvml, models
from solver.profile_name import parse, profile_of_resource, resource_name
from tests.solver import brute

GEOMETRIES = {geometry.model: geometry for geometry in models()}
SEVEN = sorted(model for model, geometry in GEOMETRIES.items() if geometry.compute_slices == 7)
EVERY_MODEL = pytest.mark.parametrize("model", sorted(GEOMETRIES))


def plain(model):
    """The profiles without attributes, and without the 1g profile of double memory."""
    names = {row["name"] for row in brute.models()[model]["profiles"] if "+" not in row["name"]}
    double = {row["name"] for row in brute.models()[model]["profiles"] if row["nvml_profile_enum"] == 9}
    return frozenset(name for name in names - double if not name.endswith("-me"))


def no_attributes(model):
    return frozenset(name for name in GEOMETRIES[model].names if "+" not in name and not name.endswith("-me"))


def everything(model):
    return GEOMETRIES[model].names


# maximal placement sets, distinct multisets of these, multisets that no larger one contains, all multisets
PUBLISHED = [
    *((model, plain, (19, 14, 12, 38)) for model in SEVEN),
    *((model, no_attributes, (78, 38, 28, 78)) for model in SEVEN),
    *((model, everything, (239, 64, 44, 128)) for model in SEVEN),
    ("A30-24GB", plain, (5, 4, 4, 10)),
    ("A30-24GB", everything, (17, 8, 8, 20)),
    ("RTX-PRO-6000-Blackwell-96GB", plain, (5, 4, 4, 10)),
    ("RTX-PRO-6000-Blackwell-96GB", everything, (302, 64, 64, 115)),
    ("RTX-PRO-5000-Blackwell-48GB", plain, (2, 2, 2, 4)),
    ("RTX-PRO-5000-Blackwell-48GB", everything, (19, 12, 12, 18)),
    ("RTX-PRO-4500-Blackwell-32GB", plain, (2, 2, 2, 4)),
    ("RTX-PRO-4500-Blackwell-32GB", everything, (13, 9, 9, 14)),
]


@pytest.mark.parametrize(("model", "profiles", "published"), PUBLISHED)
def test_the_published_counts_come_out(model, profiles, published):
    """Each family has as many layouts as the published enumeration of its placements found."""
    allowed, geometry = profiles(model), GEOMETRIES[model]
    sets = {frozenset(s) for s in brute.placement_sets(model) if all(name in allowed for name, _ in s)}
    maximal = [s for s in sets if not any(s < larger for larger in sets if len(larger) == len(s) + 1)]
    distinct = {tuple(sorted(Counter(name for name, _ in s).items())) for s in maximal}
    legal = [m for m in geometry.multisets() if all(name in allowed for name, _ in m)]
    assert (len(maximal), len(distinct), len(geometry.maximal_multisets(allowed)), len(legal)) == published


def test_every_model_of_the_table_is_there():
    """The table holds 20 models with 141 profiles, each under its own name."""
    assert len(GEOMETRIES) == 20
    assert sum(len(geometry.profiles) for geometry in models()) == 141


@EVERY_MODEL
def test_legal_is_what_placements_realise(model):
    """A multiset is legal exactly where trying every placement within the limits finds room for it."""
    geometry = GEOMETRIES[model]
    listed = {tuple(sorted(Counter(names).items())) for names in brute.multisets(model)}
    assert geometry.multisets() == listed
    for layout in listed:
        for name in geometry.names:
            more = Counter(dict(layout)) + Counter([name])
            assert geometry.legal(more) == (tuple(sorted(more.items())) in listed)


@EVERY_MODEL
def test_a_witness_is_a_legal_placement(model):
    """The placements given for a legal multiset are that multiset, start where they may and never overlap."""
    geometry = GEOMETRIES[model]
    for layout in geometry.multisets():
        placed = geometry.placements(layout)
        assert tuple(sorted(Counter(name for name, _ in placed).items())) == layout
        units = []
        for name, start in placed:
            profile = geometry.profile(name)
            assert start in profile.starts
            units += range(start, start + profile.size)
        assert len(set(units)) == len(units)
        assert max(units, default=0) < geometry.memory_slices


@EVERY_MODEL
def test_a_multiset_that_is_not_legal_has_no_witness(model):
    """One instance more than the largest count of any profile has no placement."""
    geometry = GEOMETRIES[model]
    for profile in geometry.profiles:
        assert geometry.placements({profile.name: profile.max_count}) is not None
        assert geometry.placements({profile.name: profile.max_count + 1}) is None


@EVERY_MODEL
def test_maximal_multisets_take_nothing_more(model):
    """Within any choice of profiles a maximal multiset has no room left, and every legal one lies in one."""
    geometry, rng = GEOMETRIES[model], random.Random(model)
    for size in range(1, len(geometry.names) + 1):
        allowed = frozenset(rng.sample(sorted(geometry.names), size))
        maximal = geometry.maximal_multisets(allowed)
        for layout, name in itertools.product(maximal, allowed):
            assert not geometry.legal(Counter(dict(layout)) + Counter([name]))
        for layout in geometry.multisets():
            if all(name in allowed for name, _ in layout):
                assert any(Counter(dict(layout)) <= Counter(dict(largest)) for largest in maximal)


@EVERY_MODEL
def test_what_nvml_reports_gives_the_same_layouts(model):
    """A geometry read from NVML, which knows no engine totals, allows exactly what the table allows."""
    geometry = GEOMETRIES[model]
    reported = [
        {"name": p.name, "id": p.gi_id, "size": p.size, "starts": list(p.starts), "maxCount": p.max_count}
        for p in geometry.profiles
    ]
    read = from_nvml("node", reversed(reported))
    assert read.multisets() == geometry.multisets()
    assert (read.compute_slices, read.memory_slices) == (geometry.compute_slices, geometry.memory_slices)


def test_what_nvml_reports_may_differ_from_the_table():
    """A GPU that the table does not know is described by its own report alone."""
    half = from_nvml(
        "RTX PRO 5000, R580",
        [
            {"name": "1g.12gb", "id": 14, "size": 1, "starts": [0, 1, 2, 3], "maxCount": 4},
            {"name": "4g.48gb", "id": 0, "size": 4, "starts": [0], "maxCount": 1},
        ],
    )
    assert half.maximal_multisets() == ((("1g.12gb", 4),), (("4g.48gb", 1),))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "GPU x reports no MIG profile"),
        ([{"name": "big", "size": 1, "starts": [0], "maxCount": 1}], "'big' is not a MIG profile"),
        (
            [{"name": "1g.5gb", "size": 1, "starts": [], "maxCount": 1}],
            "profile 1g.5gb of GPU x has no legal",
        ),
        (
            [{"name": "1g.5gb", "size": 0, "starts": [0], "maxCount": 1}],
            "profile 1g.5gb of GPU x has no legal",
        ),
        (
            [{"name": "1g.5gb", "size": 1, "starts": [0], "maxCount": 0}],
            "profile 1g.5gb of GPU x has no legal",
        ),
        ([{"name": "1g.5gb", "size": 1, "starts": [0], "maxCount": 1}] * 2, "reports a MIG profile twice"),
    ],
)
def test_a_report_that_cannot_be_is_refused(rows, message):
    """A report from which no layout could be made is refused with a sentence that names the GPU."""
    with pytest.raises(ValueError, match=message):
        from_nvml("x", rows)


def test_a_product_label_finds_its_model():
    """Every product label and PCI id of the table finds its model, with the suffixes that GFD adds."""
    for record in brute.models().values():
        for label, suffix in itertools.product(
            record["product_labels"], ("", "-SHARED", "-MIG-1g.10gb", "-MIG-INVALID", "-MIG-1g.10gb-SHARED")
        ):
            assert by_product(label + suffix).model == record["model"]
        for device in record["pci_device_ids"]:
            assert by_pci(device).model == by_pci(device.lower()).model == record["model"]


@pytest.mark.parametrize(
    "label",
    ["", "NVIDIA-L4", "NVIDIA-H100-80GB", "nvidia-a30", "NVIDIA-A30-24GB", "-SHARED", "Tesla-T4-SHARED"],
)
def test_an_unknown_product_is_never_guessed(label):
    """A label that the table does not have, however similar, has no geometry."""
    assert by_product(label) is None
    assert by_pci(label) is None


@pytest.mark.parametrize(
    ("label", "seen", "name"),
    [
        ("NVIDIA-GB200", set(), "1g.23gb"),
        ("NVIDIA-GB200", {"7g.186gb"}, "1g.23gb+me"),
        ("NVIDIA-GB200", {"7g.189gb"}, "1g.24gb+me"),
        ("NVIDIA-GB200", {"1g.24gb", "2g.47gb"}, "4g.95gb"),
        ("NVIDIA-GB300", {"1g.34gb"}, "1g.34gb+me"),
        ("NVIDIA-A100-SXM4-80GB", {"7g.79gb"}, "3g.40gb"),
    ],
)
def test_the_naming_is_the_one_the_node_uses(label, seen, name):
    """Where drivers name the same profiles differently, the geometry has the node's own names."""
    geometry = by_product(label, frozenset(seen))
    assert name in geometry.names
    assert seen <= geometry.names
    assert len(geometry.multisets()) == 128


@pytest.mark.parametrize("seen", [{"1g.24gb", "7g.186gb"}, {"1g.10gb"}])
def test_a_naming_that_fits_no_driver_is_refused(seen):
    """A node that advertises profiles of no known naming of its model has no geometry."""
    assert by_product("NVIDIA-GB200", frozenset(seen)) is None
    assert by_pci("0x294110DE", frozenset(seen)) is None


def test_geometries_are_equal_by_value():
    """The same report gives an equal geometry with an equal hash; another name or place gives another."""
    rows = [{"name": "1g.6gb", "size": 1, "starts": [0, 1], "maxCount": 2}]
    first, again = from_nvml("x", rows), from_nvml("x", [dict(rows[0])])
    assert first == again
    assert hash(first) == hash(again)
    assert first != from_nvml("x", [{**rows[0], "starts": [0]}])
    assert first.renamed({"1g.6gb": "1g.5gb"}).names == {"1g.5gb"}
    assert isinstance(first, Geometry)


def test_resources_are_spelled_as_the_device_plugin_does():
    """Each profile's resource is the table's, and leads back to the profile."""
    for record in brute.models().values():
        for row in record["profiles"]:
            assert resource_name(row["name"]) == row["k8s_resource"]
            assert profile_of_resource(row["k8s_resource"]) == row["name"]
            assert str(parse(row["name"])) == row["name"]


@pytest.mark.parametrize(
    "resource",
    [
        "nvidia.com/gpu",
        "nvidia.com/mig-",
        "nvidia.com/mig-1g",
        "nvidia.com/mig-1g.10gb+me",
        "amd.com/mig-1g.10gb",
    ],
)
def test_other_resources_are_no_profile(resource):
    """A resource that the device plugin never makes for a MIG profile stands for none."""
    assert profile_of_resource(resource) is None


@pytest.mark.parametrize(
    "name", ["", "1g", "0g.5gb", "1g.0gb", "1c.2g.10gb", "1g.10gb+xx", "1g.10gb.me", "1g.10GB"]
)
def test_what_is_no_profile_is_said_so(name):
    """A string that is no profile name is refused with one that would be right."""
    with pytest.raises(ValueError, match=r"is not a MIG profile; it should read like 1g\.10gb"):
        parse(name)


@pytest.mark.parametrize("module", [geometry, profile_name])
def test_the_examples_in_the_docstrings_hold(module):
    """Every example in a docstring gives what it says, and there is at least one."""
    results = doctest.testmod(module)
    assert results.failed == 0
    assert results.attempted > 0
