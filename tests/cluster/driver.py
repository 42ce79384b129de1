"""The fake NVML loaded into this process, as a driver to try: its calls by ctypes, one GPU."""

from __future__ import annotations

import ctypes
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from tests.cluster import tools
from tests.cluster.gpu_model import Model, described, memory_mib

SUCCESS, IN_USE, INSUFFICIENT_RESOURCES = 0, 19, 23
Handle = ctypes.c_void_p


class _Placement(ctypes.Structure):
    _fields_ = [("start", ctypes.c_uint), ("size", ctypes.c_uint)]


class _InstanceInfo(ctypes.Structure):
    _fields_ = [
        ("device", Handle),
        ("id", ctypes.c_uint),
        ("profile", ctypes.c_uint),
        ("placement", _Placement),
    ]


@dataclass(frozen=True)
class Made:
    """A GPU instance as NVML describes it; `handle` destroys it."""

    handle: int
    id: int
    profile: str
    start: int
    size: int


class Driver:
    """One GPU of a model with MIG on, in `directory`.

    The library keeps its state in static variables, so that every driver loads a copy of its own.
    """

    def __init__(self, directory: Path, model: Model) -> None:
        directory.mkdir(parents=True)
        pci, memory = model["pci_device_ids"][0], memory_mib(model)
        (directory / "model").write_text(described(model, 1, name="fake", pci=pci, memory=memory))
        copy = shutil.copy(tools.library(), directory)
        self._nvml = ctypes.CDLL(str(copy))
        self._ids = {p["name"]: self._profile_id(p, i) for i, p in enumerate(model["profiles"])}
        with mock.patch.dict(os.environ, FAKE_NVML_DIR=str(directory)):
            assert self._nvml.nvmlInit_v2() == SUCCESS
        self._gpu = Handle()
        assert self._nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(self._gpu)) == SUCCESS
        assert self._nvml.nvmlDeviceSetMigMode(self._gpu, 1, ctypes.byref(ctypes.c_int())) == SUCCESS

    def create(self, profile: str, start: int | None = None) -> int:
        """Create an instance at a start, or where the driver likes; the NVML return code."""
        made, number = Handle(), self._ids[profile]
        if start is None:
            code = self._nvml.nvmlDeviceCreateGpuInstance(self._gpu, number, ctypes.byref(made))
        else:
            place = ctypes.byref(_Placement(start, 0))
            code = self._nvml.nvmlDeviceCreateGpuInstanceWithPlacement(
                self._gpu, number, place, ctypes.byref(made)
            )
        return int(code)

    def destroy(self, instance: Made) -> int:
        """Destroy an instance; the NVML return code."""
        return int(self._nvml.nvmlGpuInstanceDestroy(Handle(instance.handle)))

    def clear(self) -> None:
        """Destroy every instance."""
        for instance in self.instances():
            assert self.destroy(instance) == SUCCESS

    def instances(self) -> list[Made]:
        """What exists, by start."""
        found = []
        for profile, number in self._ids.items():
            handles, count = (Handle * 8)(), ctypes.c_uint()
            self._nvml.nvmlDeviceGetGpuInstances(self._gpu, number, handles, ctypes.byref(count))
            for handle in handles[: count.value]:
                info = _InstanceInfo()
                assert self._nvml.nvmlGpuInstanceGetInfo(Handle(handle), ctypes.byref(info)) == SUCCESS
                found.append(Made(handle or 0, info.id, profile, info.placement.start, info.placement.size))
        return sorted(found, key=lambda instance: instance.start)

    @staticmethod
    def _profile_id(profile: Model, position: int) -> int:
        known = profile["gi_profile_id"]
        return 100 + position if known is None else int(known)
