"""The real mig-parted cuts the played GPUs as it cuts real ones."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from solver.geometry import by_product
from tests.cluster.gpu_model import models
from tests.cluster.gpus import Gpus
from tests.cluster.parted import run_parted

H100 = "NVIDIA-H100-80GB-HBM3"
Layouts = list[dict[str, int] | None]
MakeGpus = Callable[..., Gpus]

VERIFIED: Layouts = [
    {"1g.10gb": 7},
    {"1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1},
    {"3g.40gb": 1, "4g.40gb": 1},
    {"1g.20gb": 4},
    {"1g.10gb": 6, "1g.10gb+me": 1},
    None,
    {},
    {"7g.80gb": 1},
]
FAMILIES: dict[str, Layouts] = {
    "NVIDIA-A30": [
        {"1g.6gb": 2, "2g.12gb": 1},
        {"1g.6gb": 3, "1g.6gb+me": 1},
        {"2g.12gb": 1, "2g.12gb+me": 1},
    ],
    "NVIDIA-A100-SXM4-40GB": [{"1g.5gb": 2, "2g.10gb": 1, "3g.20gb": 1}, {"1g.5gb": 6, "1g.5gb+me": 1}],
    "NVIDIA-H200": [{"1g.18gb": 6, "1g.18gb+me": 1}, {"1g.35gb": 2, "3g.71gb": 1}, {"7g.141gb": 1}],
    "NVIDIA-B200": [{"1g.23gb": 1, "2g.45gb": 1, "4g.90gb": 1}, {"1g.23gb": 6, "1g.23gb+me": 1}],
    "NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition": [
        {"1g.24gb": 1, "1g.24gb+me": 1, "2g.48gb": 1},
        {"1g.24gb-me": 2, "2g.48gb+me.all": 1},
        {"2g.48gb+gfx": 2},
    ],
}


@pytest.fixture
def gpus(tmp_path: Path) -> MakeGpus:
    """Makes the GPUs of one node."""
    return lambda product, count, **more: Gpus(tmp_path / "gpus", product, count, **more)


def config(layouts: Mapping[int, dict[str, int] | None]) -> str:
    """A mig-parted file with one config, `wanted`."""
    entries = [
        {"devices": [gpu], "mig-enabled": layout is not None, "mig-devices": layout or {}}
        for gpu, layout in layouts.items()
    ]
    return yaml.safe_dump({"version": "v1", "mig-configs": {"wanted": entries}})


def parted(gpus: Gpus, verb: str, layouts: Layouts | Mapping[int, Any]) -> subprocess.CompletedProcess[str]:
    """Run `apply` or `assert` for layouts by GPU."""
    wanted = dict(enumerate(layouts)) if isinstance(layouts, list) else layouts
    file = gpus.directory / "config.yaml"
    file.write_text(config(wanted))
    return run_parted(gpus, verb, "-f", str(file), "-c", "wanted")


def exported(gpus: Gpus) -> Layouts:
    """What mig-parted reads back, by GPU, under the names that it computes."""
    done = run_parted(gpus, "export", "-o", "json")
    assert done.returncode == 0, done.stderr
    found: dict[int, dict[str, int] | None] = {}
    for entry in json.loads(done.stdout)["mig-configs"]["current"]:
        devices = range(gpus.count) if entry["devices"] == "all" else entry["devices"]
        layout = entry["mig-devices"] if entry["mig-enabled"] else None
        found |= dict.fromkeys(devices, layout)
    return [found[gpu] for gpu in range(gpus.count)]


def ids(gpus: Gpus, gpu: int) -> list[int]:
    """The ids of a GPU's instances, by start."""
    return [instance.id for instance in gpus.instances() if instance.gpu == gpu]


@pytest.mark.parametrize(("product", "layouts"), [(H100, VERIFIED), *FAMILIES.items()], ids=[H100, *FAMILIES])
def test_apply_assert_export(gpus: MakeGpus, product: str, layouts: Layouts) -> None:
    """What is applied is there: by NVML, by mig-parted's own assertion, and by its export's names."""
    node = gpus(product, len(layouts))
    assert parted(node, "assert", layouts).returncode != 0
    done = parted(node, "apply", layouts)
    assert done.returncode == 0, done.stderr
    assert node.layout() == layouts
    assert parted(node, "assert", layouts).returncode == 0
    assert exported(node) == layouts


@pytest.mark.parametrize(
    "product", [model["product_labels"][0] for model in models() if model["product_labels"]]
)
def test_computed_names(gpus: MakeGpus, product: str) -> None:
    """From the memory sizes, mig-parted computes exactly the names by which the solver knows the profiles."""
    geometry = by_product(product)
    assert geometry is not None
    layouts: Layouts = [{name: 1} for name in sorted(geometry.names)]
    node = gpus(product, len(layouts))
    node.cut(*layouts)
    assert exported(node) == layouts


@pytest.mark.parametrize(
    ("product", "gib", "seen"),
    [("NVIDIA-GB200", 189, "1g.24gb"), ("NVIDIA-A100-SXM4-80GB", 79, "7g.79gb")],
)
def test_names_of_another_driver(gpus: MakeGpus, product: str, gib: int, seen: str) -> None:
    """Where a driver reports another memory, all names that mig-parted computes are the solver's variant."""
    canonical, variant = by_product(product), by_product(product, frozenset({seen}))
    assert canonical is not None
    assert variant is not None
    names = sorted(canonical.names)
    node = gpus(product, len(names), memory=gib * 1024)
    node.cut(*({name: 1} for name in names))
    assert {name for layout in exported(node) for name in layout or {}} == variant.names


def test_in_use(gpus: MakeGpus) -> None:
    """Instances in use are not destroyed: apply fails and the GPU keeps them."""
    node = gpus(H100, 1)
    node.cut({"3g.40gb": 2})
    node.set_busy(0, True)
    before = node.instances()
    assert parted(node, "apply", [{"7g.80gb": 1}]).returncode != 0
    assert node.instances() == before
    assert node.log() == []
    node.set_busy(0, False)
    assert parted(node, "apply", [{"7g.80gb": 1}]).returncode == 0
    assert node.layout() == [{"7g.80gb": 1}]


def test_partial_destruction(gpus: MakeGpus) -> None:
    """With the fourth of seven in use, the three before it are gone, and apply fails."""
    node = gpus(H100, 1)
    node.cut({"1g.10gb": 7})
    made = [line.id for line in node.instances()]
    node.set_busy(0, True, instance=sorted(made)[3])
    assert parted(node, "apply", [{"7g.80gb": 1}]).returncode != 0
    assert sorted(ids(node, 0)) == sorted(made)[3:]
    assert [(line.what, line.id) for line in node.log()] == [
        ("destroy", number) for number in sorted(made)[:3]
    ]


def test_infeasible(gpus: MakeGpus) -> None:
    """A layout that does not fit empties its GPU; the GPUs before it are new, those after it untouched."""
    node = gpus(H100, 3)
    node.cut({"7g.80gb": 1}, {"7g.80gb": 1}, {"7g.80gb": 1})
    last = ids(node, 2)
    done = parted(node, "apply", [{"3g.40gb": 2}, {"3g.40gb": 1, "4g.40gb": 2}, {"3g.40gb": 2}])
    assert done.returncode != 0
    assert node.layout() == [{"3g.40gb": 2}, {}, {"7g.80gb": 1}]
    assert ids(node, 2) == last


def test_unknown_profile(gpus: MakeGpus) -> None:
    """A well-formed name that no profile has wipes the GPU and succeeds."""
    node = gpus(H100, 1)
    node.cut({"7g.80gb": 1})
    assert parted(node, "apply", [{"1g.99gb": 1}]).returncode == 0
    assert node.layout() == [{}]


def test_unchanged_gpu(gpus: MakeGpus) -> None:
    """A GPU whose layout stays is not touched, busy or not, while another changes."""
    node = gpus(H100, 2)
    node.cut({"1g.10gb": 7}, {"7g.80gb": 1})
    node.set_busy(0, True)
    before = ids(node, 0)
    assert parted(node, "apply", [{"1g.10gb": 7}, {"3g.40gb": 2}]).returncode == 0
    assert node.layout() == [{"1g.10gb": 7}, {"3g.40gb": 2}]
    assert ids(node, 0) == before
    assert {line.gpu for line in node.log()} == {1}


def test_mig_mode(gpus: MakeGpus) -> None:
    """A change of MIG mode fails while any GPU is busy; else it wipes the others too and cuts them anew."""
    node = gpus(H100, 2)
    node.cut({"1g.10gb": 7}, None)
    node.set_busy(0, True)
    before = ids(node, 0)
    assert parted(node, "apply", [{"1g.10gb": 7}, {"7g.80gb": 1}]).returncode != 0
    assert (node.layout(), ids(node, 0)) == ([{"1g.10gb": 7}, None], before)
    node.set_busy(0, False)
    assert parted(node, "apply", [{"1g.10gb": 7}, {"7g.80gb": 1}]).returncode == 0
    assert node.layout() == [{"1g.10gb": 7}, {"7g.80gb": 1}]
    assert not set(before) & set(ids(node, 0))
    assert parted(node, "apply", [None, None]).returncode == 0
    assert node.mig_enabled() == [False, False]


def test_log(gpus: MakeGpus) -> None:
    """The log tells every creation and destruction in order, and no id is ever used twice."""
    node = gpus(H100, 1)
    for layout in ({"1g.10gb": 7}, {"3g.40gb": 2}, {"1g.10gb": 7}, {"7g.80gb": 1}):
        assert parted(node, "apply", [layout]).returncode == 0
    lines = node.log()
    assert [line.at for line in lines] == sorted(line.at for line in lines)
    created = [line.id for line in lines if line.what == "create"]
    destroyed = [line.id for line in lines if line.what == "destroy"]
    assert created == list(range(1, 18))
    assert sorted({*created} - {*destroyed}) == ids(node, 0)
    assert len(destroyed) == len({*destroyed}) == 16


def test_unlisted_gpus(gpus: MakeGpus) -> None:
    """GPUs that a config does not list keep what they have, and the config never counts as applied."""
    node = gpus(H100, 2)
    node.cut({"7g.80gb": 1}, {"7g.80gb": 1})
    before = ids(node, 1)
    assert parted(node, "apply", {0: {"3g.40gb": 2}}).returncode == 0
    assert (node.layout(), ids(node, 1)) == ([{"3g.40gb": 2}, {"7g.80gb": 1}], before)
    assert parted(node, "assert", {0: {"3g.40gb": 2}}).returncode != 0
