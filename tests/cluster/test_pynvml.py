"""nvidia-ml-py, NVIDIA's own Python binding, reads a played node as it reads a real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import tools
from tests.cluster.gpu_model import model_of
from tests.cluster.gpus import Gpus

READ = """
import ctypes, json, pynvml as n

def layout(gpu):
    found = []
    for index in range(n.nvmlDeviceGetMaxMigDeviceCount(gpu)):
        try:
            device = n.nvmlDeviceGetMigDeviceHandleByIndex(gpu, index)
        except n.NVMLError_NotFound:
            break
        assert n.nvmlDeviceIsMigDeviceHandle(device)
        parent = n.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(device)
        uuid, number = n.nvmlDeviceGetUUID(device), n.nvmlDeviceGetGpuInstanceId(device)
        info = n.nvmlGpuInstanceGetInfo(n.nvmlDeviceGetGpuInstanceById(gpu, number))
        assert n.nvmlDeviceGetUUID(n.nvmlDeviceGetHandleByUUID(uuid)) == uuid
        found.append({
            "uuid": uuid, "id": number, "name": n.nvmlDeviceGetName(device),
            "parent": n.nvmlDeviceGetUUID(parent), "compute": n.nvmlDeviceGetComputeInstanceId(device),
            "start": info.placement.start, "size": info.placement.size,
        })
    return found

def profiles(gpu):
    found = []
    for number in range(n.NVML_GPU_INSTANCE_PROFILE_COUNT):
        try:
            info = n.nvmlDeviceGetGpuInstanceProfileInfo(gpu, number)
        except n.NVMLError_NotSupported:
            continue
        count = ctypes.c_uint()
        n.nvmlDeviceGetGpuInstancePossiblePlacements(gpu, info.id, None, ctypes.byref(count))
        places = (n.c_nvmlGpuInstancePlacement_t * count.value)()
        n.nvmlDeviceGetGpuInstancePossiblePlacements(gpu, info.id, places, ctypes.byref(count))
        found.append({
            "number": number, "id": info.id, "name": info.name, "slices": info.sliceCount,
            "max": info.instanceCount, "mib": info.memorySizeMB,
            "places": [[place.start, place.size] for place in places],
            "left": n.nvmlDeviceGetGpuInstanceRemainingCapacity(gpu, info.id),
        })
    return found

n.nvmlInit()
gpus = []
for index in range(n.nvmlDeviceGetCount()):
    gpu = n.nvmlDeviceGetHandleByIndex(index)
    pci = n.nvmlDeviceGetPciInfo(gpu)
    gpus.append({
        "name": n.nvmlDeviceGetName(gpu), "uuid": n.nvmlDeviceGetUUID(gpu),
        "mode": n.nvmlDeviceGetMigMode(gpu), "bus": pci.busId, "pci": pci.pciDeviceId,
        "mib": n.nvmlDeviceGetMemoryInfo(gpu).total >> 20,
        "instances": layout(gpu), "profiles": profiles(gpu),
    })
print(json.dumps({"driver": n.nvmlSystemGetDriverVersion(), "gpus": gpus}))
"""


def read(gpus: Gpus) -> dict[str, Any]:
    """What a process sees that asks nvidia-ml-py on that node."""
    node = {"LD_LIBRARY_PATH": str(tools.library().parent), "FAKE_NVML_DIR": str(gpus.directory)}
    done = subprocess.run(
        [sys.executable, "-c", READ], env={**os.environ, **node}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("product", ["NVIDIA-H100-80GB-HBM3", "NVIDIA-A30"])
def test_instances(tmp_path: Path, product: str) -> None:
    """MIG mode, instances, places and UUIDs are those that the tests see."""
    gpus = Gpus(tmp_path / "gpus", product, 3)
    small, half = (gpus.model["profiles"][i]["name"] for i in (0, 3))
    gpus.cut({small: 2, half: 1}, {}, None)
    found = read(gpus)["gpus"]
    assert [gpu["mode"] for gpu in found] == [[1, 1], [1, 1], [0, 0]]
    assert [gpu["bus"] for gpu in found] == [f"00000000:0{n}:00.0" for n in (1, 2, 3)]
    assert len({gpu["uuid"] for gpu in found}) == 3
    for index, gpu in enumerate(found):
        assert gpu["name"] == product.replace("-", " ")
        assert f"0x{gpu['pci']:08X}" == gpus.pci.upper().replace("X", "x")
        assert gpu["mib"] == gpus.memory_mib
        expected = [
            {
                "uuid": made.uuid,
                "id": made.id,
                "name": f"{gpu['name']} MIG {made.profile}",
                "parent": gpu["uuid"],
                "compute": 0,
                "start": made.start,
                "size": made.size,
            }
            for made in gpus.instances()
            if made.gpu == index
        ]
        assert sorted(gpu["instances"], key=lambda made: made["start"]) == expected


@pytest.mark.parametrize(
    "product", ["NVIDIA-H100-80GB-HBM3", "NVIDIA-A30", "NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition"]
)
def test_profiles(tmp_path: Path, product: str) -> None:
    """Every profile is reported with its places, and with what is left of it on an empty GPU."""
    gpus = Gpus(tmp_path / "gpus", product, 1)
    gpus.cut({})
    found = {profile["name"]: profile for profile in read(gpus)["gpus"][0]["profiles"]}
    expected = {f"MIG {profile['name']}": profile for profile in model_of(product)["profiles"]}
    assert found.keys() == expected.keys()
    for name, profile in expected.items():
        reported = found[name]
        assert (reported["number"], reported["slices"]) == (
            profile["nvml_profile_enum"],
            profile["compute_slices"],
        )
        assert reported["places"] == [[start, profile["size"]] for start in profile["placements"]]
        assert reported["left"] == reported["max"] == profile["max_count"]
