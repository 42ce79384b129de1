"""mig-parted's file format, the operator's defaults and the generated names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoslicer.core import configs
from autoslicer.core.rows import ConfigEntry, GpuTarget
from solver import geometry
from tests.build import A100, H100, PCI

SEVEN = (("1g.10gb", 7),)
HALVES = (("3g.40gb", 2),)


def file(entry: str) -> str:
    """A mig-parted file with one config of one entry."""
    return f"version: v1\nmig-configs:\n  one:\n  - {entry}\n"


def test_a_file_as_nvidia_documents_it() -> None:
    """Names map to their entries; devices, filters, modes and counts mean what mig-parted takes them for."""
    text = """
version: v1
mig-configs:
  all-disabled:
    - devices: all
      mig-enabled: false
  custom:
    - devices: [0, 1]
      device-filter: "0x233010DE"
      mig-enabled: true
      mig-devices: {"1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1}
    - devices: [2]
      device-filter: ["0x233010DE", "0x20B010DE"]
      mig-enabled: true
      mig-devices: {}
"""
    assert configs.parse(text) == {
        "all-disabled": (ConfigEntry(None, (), False, ()),),
        "custom": (
            ConfigEntry((0, 1), ("0x233010DE",), True, (("1g.10gb", 2), ("2g.20gb", 1), ("3g.40gb", 1))),
            ConfigEntry((2,), ("0x233010DE", "0x20B010DE"), True, ()),
        ),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be an object"),
        ("a: [", "not YAML"),
        ("[" * 5000, "not YAML"),
        ("version: v1", "mig-configs must hold"),
        ("version: v2\nmig-configs: {a: [{devices: all, mig-enabled: false}]}", "version must be v1"),
        ("mig-configs: {a: [{devices: all, mig-enabled: false}]}", "version is missing"),
        ("version: v1\nmig-configs: {a: []}", "at least one entry"),
        (
            "version: v1\nother: 1\nmig-configs: {a: [{devices: all, mig-enabled: false}]}",
            "unexpected field 'other'",
        ),
        (file("{devices: all, mig-enabled: false, extra: 1}"), "unexpected field 'extra'"),
        (file("{devices: 0, mig-enabled: false}"), "devices must be"),
        (file("{devices: [-1], mig-enabled: false}"), "negative"),
        (file("{devices: all}"), "mig-enabled is missing"),
        (file("{devices: all, mig-enabled: true}"), "mig-devices is missing"),
        (file("{devices: all, mig-enabled: false, mig-devices: {1g.10gb: 7}}"), "must be absent"),
        (file("{devices: all, mig-enabled: true, mig-devices: {1g.10gb: 0}}"), "at least one instance"),
        (file("{devices: all, mig-enabled: true, mig-devices: {huge: 1}}"), "no MIG profile"),
        (file("{devices: all, mig-enabled: true, mig-devices: {1g.10gb: -1}}"), "must not be negative"),
    ],
)
def test_what_mig_parted_refuses(text: str, said: str) -> None:
    """A file that mig-parted would refuse is refused in a sentence that says what is wrong."""
    with pytest.raises(ValueError, match=said):
        configs.parse(text)


def test_the_defaults_are_the_operators() -> None:
    """All 81 names are there, and what they say is legal on the GPUs that they are for."""
    assert len(configs.DEFAULTS) == 81
    resolved = configs.resolve(configs.DEFAULTS["all-balanced"], (PCI[H100], PCI[A100]))
    assert resolved == {
        0: (("1g.10gb", 2), ("2g.20gb", 1), ("3g.40gb", 1)),
        1: (("1g.5gb", 2), ("2g.10gb", 1), ("3g.20gb", 1)),
    }
    for index, model in enumerate((H100, A100)):
        found = geometry.by_product(model)
        assert found is not None
        assert found.legal(resolved[index] or ())
    assert configs.resolve(configs.DEFAULTS["all-disabled"], (PCI[H100],)) == {0: None}


def test_later_entries_win_and_some_gpus_may_be_left_out() -> None:
    """The last entry that selects a GPU counts; one that no entry selects is not in the answer."""
    entries = (ConfigEntry((0, 1), (), True, SEVEN), ConfigEntry((1,), (), True, HALVES))
    assert configs.resolve(entries, (PCI[H100],) * 3) == {0: SEVEN, 1: HALVES}


def test_a_filter_beyond_pci_ids_is_not_guessed() -> None:
    """A filter on subsystem ids cannot be resolved; one on PCI ids matches in any case of letters."""
    with pytest.raises(ValueError, match="more than a PCI device id"):
        configs.resolve((ConfigEntry(None, ("0x233010DE:0x16C110DE",), True, SEVEN),), (PCI[H100],))
    assert configs.resolve((ConfigEntry(None, ("0x233010de",), True, SEVEN),), (PCI[H100],)) == {0: SEVEN}


def test_names_are_of_the_content_alone() -> None:
    """Equal layouts have one name, whatever they were before; other layouts and variants have others."""
    first = configs.entries_of([GpuTarget(0, HALVES, SEVEN, True), GpuTarget(1, HALVES, HALVES, False)])
    again = configs.entries_of([GpuTarget(1, None, HALVES, True), GpuTarget(0, SEVEN, SEVEN, False)])
    swapped = configs.entries_of([GpuTarget(0, HALVES, HALVES, False), GpuTarget(1, HALVES, SEVEN, True)])
    name = configs.config_name(first)
    assert name == configs.config_name(again)
    assert (
        len(
            {name, configs.config_name(swapped), configs.config_name(first, 1), configs.config_name(first, 2)}
        )
        == 4
    )
    assert len(name) == len("autoslicer-") + 12


def test_every_gpu_is_listed() -> None:
    """A config speaks of each GPU, equal ones together, MIG off as such."""
    gpus = [
        GpuTarget(0, SEVEN, SEVEN, False),
        GpuTarget(1, None, None, False),
        GpuTarget(2, HALVES, SEVEN, True),
    ]
    assert [configs.written(entry) for entry in configs.entries_of(gpus)] == [
        {"devices": [0, 2], "mig-enabled": True, "mig-devices": {"1g.10gb": 7}},
        {"devices": [1], "mig-enabled": False},
    ]


names = st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True)
layouts = st.dictionaries(
    st.sampled_from(["1g.10gb", "1g.10gb+me", "1g.24gb-me", "3g.40gb"]), st.integers(1, 7)
)
entries = st.builds(
    lambda devices, pcis, layout: ConfigEntry(
        devices, pcis, layout is not None, tuple(sorted((layout or {}).items()))
    ),
    st.none() | st.lists(st.integers(0, 15), unique=True).map(tuple),
    st.lists(st.sampled_from(sorted(PCI.values())), unique=True).map(tuple),
    st.none() | layouts,
)


@given(st.dictionaries(names, st.lists(entries, min_size=1, max_size=3).map(tuple), min_size=1, max_size=4))
def test_what_is_rendered_is_read_back(held: dict[str, tuple[ConfigEntry, ...]]) -> None:
    """The text of any configs parses to the same configs."""
    assert configs.parse(configs.render(held)) == held
