"""mig-parted's own word on the files that we write: it takes every one, and reads in it what we read."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoslicer.cluster.config_file import CONFIG_KEY, PublishError, file_with
from autoslicer.core import configs
from autoslicer.core.configs import config_name, entries_of
from autoslicer.core.rows import ConfigEntry, GpuTarget
from solver.geometry import models
from solver.problem import Counts, counts
from tests.cluster import tools

FEW = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def accepts(text: str, config: str) -> str:
    """Empty where the real mig-parted finds nothing wrong with the file and the config, else what it says."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "config.yaml"
        file.write_text(text)
        command = [tools.path("nvidia-mig-parted"), "assert", "--valid-config", "-f", file, "-c", config]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr


@st.composite
def layouts(draw: st.DrawFn) -> Counts | None:
    """What some model of GPU may be told to hold; None for MIG off."""
    model = draw(st.sampled_from(models()))
    named = [profile.name for profile in model.profiles]
    held = draw(st.dictionaries(st.sampled_from(named), st.integers(1, 7), max_size=4))
    return draw(st.sampled_from([counts(held), counts(held), counts(held), None]))


changes = st.lists(layouts(), min_size=1, max_size=8).map(
    lambda drawn: entries_of(GpuTarget(index, None, layout, True) for index, layout in enumerate(drawn))
)
names = st.one_of(
    st.sampled_from(
        ["on", "1", "null", "~", "a: b", "- a", "#x", "&x", "*x", "!x", "'", '"', "{", "a\nb: c"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=20),
)


def map_of(held: dict[str, tuple[ConfigEntry, ...]], text: str = "") -> dict[str, object]:
    """A ConfigMap with these configs, or this text."""
    data = {CONFIG_KEY: text or configs.render(held)}
    return {"metadata": {"namespace": "gpu-operator", "name": "ours"}, "data": data}


@FEW
@given(changes, st.dictionaries(names, changes, min_size=1, max_size=2))
def test_mig_parted_takes_what_is_written(
    wanted: tuple[ConfigEntry, ...], present: dict[str, tuple[ConfigEntry, ...]]
) -> None:
    """Whatever is added to whatever is there, mig-parted takes the file, and no other config has changed."""
    name = config_name(wanted)
    text = file_with(map_of(present), {name: wanted})
    assert text is not None
    assert accepts(text, name) == ""
    assert configs.parse(text) == {**present, name: wanted}
    for kept in present:
        if not kept.startswith("-") and kept.strip():
            assert accepts(text, kept) == "", kept
    raw = yaml.safe_load(text)["mig-configs"]
    assert raw.keys() == {*present, name}


@pytest.mark.parametrize(
    "spelt", ["1g.10gb: 1\n      evil", "1g.10gb\x1b[31m", "$(reboot)", "", "1g.10gb ", "x" * 99]
)
def test_a_profile_that_is_none_is_never_written(spelt: str) -> None:
    """What mig-parted would not take, or would take for something else, is refused before it is written."""
    wanted = (ConfigEntry((0,), (), True, ((spelt, 1),)),)
    with pytest.raises(PublishError, match="not a file that mig-parted accepts"):
        file_with(
            map_of({"all-disabled": configs.DEFAULTS["all-disabled"]}), {"autoslicer-000000000000": wanted}
        )
    assert accepts(configs.render({"a": wanted}), "a") != ""


@pytest.mark.parametrize("text", ["on: x", "1: x", "~: x", "true: x"])
def test_names_that_yaml_takes_for_something_else(text: str) -> None:
    """A file in which a name is no string is left alone: what it means is for mig-parted to say."""
    entry = "[{devices: all, mig-enabled: false}]"
    file = f"version: v1\nmig-configs: {{{text.replace('x', entry)}}}\n"
    with pytest.raises(PublishError):
        file_with(map_of({}, file), {"autoslicer-000000000000": (ConfigEntry((0,), (), False, ()),)})
