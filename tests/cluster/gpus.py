"""The GPUs of one played node: a directory that the fake NVML, mig-parted and the tests share."""

from __future__ import annotations

import ctypes
import fcntl
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from solver.geometry import by_product
from tests.cluster.gpu_model import described, memory_mib, model_of

_GPUS, _INSTANCES, _COMPUTES = 16, 8, 8


class _Compute(ctypes.Structure):
    _fields_ = [("used", ctypes.c_uint), ("kind", ctypes.c_uint)]


class _Instance(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_uint) for name in ("used", "id", "profile", "start", "busy")),
        ("compute", _Compute * _COMPUTES),
    ]


class _Gpu(ctypes.Structure):
    _fields_ = [
        ("mig", ctypes.c_uint),
        ("created", ctypes.c_uint),
        ("instance", _Instance * _INSTANCES),
    ]


class _State(ctypes.Structure):
    _fields_ = [("ready", ctypes.c_uint), ("gpu", _Gpu * _GPUS)]


@dataclass(frozen=True)
class Instance:
    """A GPU instance that exists now."""

    gpu: int
    id: int
    profile: str
    start: int
    size: int
    busy: bool

    @property
    def uuid(self) -> str:
        """The UUID of its MIG device."""
        return f"MIG-0fa4e000-{self.gpu:04x}-4000-8000-{self.id:012x}"


@dataclass(frozen=True)
class LogLine:
    """One line of the fake NVML's log: an instance was created or destroyed."""

    at: float
    what: str
    gpu: int
    id: int
    profile: str
    start: int
    busy: bool


class Gpus:
    """All GPUs of one node, below `directory`."""

    def __init__(self, directory: Path, product: str, count: int, *, memory: int | None = None) -> None:
        self.directory, self.product, self.count = directory, product, count
        self.model = model_of(product)
        self.pci = self.model["pci_device_ids"][self.model["product_labels"].index(product)]
        self.memory_mib = memory or memory_mib(self.model)
        directory.mkdir(parents=True)
        self.limit({})
        self._write_system()
        (directory / "log").touch()
        with (directory / "state").open("ab") as state:
            state.truncate(ctypes.sizeof(_State))

    def limit(self, most: Mapping[str, int]) -> None:
        """Let the driver make at most so many instances of these profiles; of others what the model has."""
        profiles = [
            {**row, "max_count": most.get(row["name"], row["max_count"])} for row in self.model["profiles"]
        ]
        # a label's spaces became dashes; the name's only use is to be shown
        name = self.product.replace("-", " ")
        model = {**self.model, "profiles": profiles}
        text = described(model, self.count, name=name, pci=self.pci, memory=self.memory_mib)
        (self.directory / "model").write_text(text)

    def instances(self) -> list[Instance]:
        """What exists now, by GPU and start."""
        state, profiles = self._read(), self.model["profiles"]
        found = [
            Instance(g, i.id, profiles[i.profile]["name"], i.start, profiles[i.profile]["size"], bool(i.busy))
            for g in range(self.count)
            for i in state.gpu[g].instance
            if i.used
        ]
        return sorted(found, key=lambda instance: (instance.gpu, instance.start))

    def mig_enabled(self) -> list[bool]:
        """MIG mode by GPU."""
        state = self._read()
        return [bool(state.gpu[g].mig) for g in range(self.count)]

    def layout(self) -> list[dict[str, int] | None]:
        """The multiset of profiles by GPU; None where MIG is off."""
        found: list[dict[str, int] | None] = []
        for g, enabled in enumerate(self.mig_enabled()):
            counts = Counter(i.profile for i in self.instances() if i.gpu == g)
            found.append(dict(sorted(counts.items())) if enabled else None)
        return found

    def cut(self, *layouts: dict[str, int] | None) -> None:
        """Give every GPU a layout at once, as if a config had been applied before the test began; not logged.

        Raises:
            ValueError: a layout has no legal placement.
        """
        geometry = by_product(self.product)
        assert geometry is not None
        names = [profile["name"] for profile in self.model["profiles"]]
        with self._locked() as state:
            for gpu, layout in zip(state.gpu, layouts, strict=False):
                gpu.mig = layout is not None
                places = geometry.placements(layout or {})
                if places is None:
                    raise ValueError(f"{layout} cannot be placed on {self.product}")
                for slot in range(_INSTANCES):
                    gpu.instance[slot] = _Instance()
                for slot, (profile, start) in enumerate(places):
                    gpu.created += 1
                    row = gpu.instance[slot]
                    row.used, row.id, row.profile, row.start = 1, gpu.created, names.index(profile), start
                    row.compute[0].used = 1
                    row.compute[0].kind = (1, 2, 3, 4, 7).index(
                        self.model["profiles"][row.profile]["compute_slices"]
                    )

    def empty(self, gpu: int) -> None:
        """Take every instance of a GPU away at once, as another hand might; not logged."""
        with self._locked() as state:
            for slot in range(_INSTANCES):
                state.gpu[gpu].instance[slot] = _Instance()

    def set_busy(self, gpu: int, busy: bool, instance: int | None = None) -> None:
        """Mark one instance (by id), or all of a GPU, as held by an open process or not."""
        with self._locked() as state:
            for row in state.gpu[gpu].instance:
                if row.used and instance in (None, row.id):
                    row.busy = busy

    def log(self) -> list[LogLine]:
        """Every instance created or destroyed, in order."""
        lines = []
        for line in (self.directory / "log").read_text().splitlines():
            at, what, *pairs = line.split()
            values = dict(pair.split("=") for pair in pairs)
            lines.append(
                LogLine(
                    float(at),
                    what,
                    int(values["gpu"]),
                    int(values["id"]),
                    values["profile"],
                    int(values["start"]),
                    values["busy"] == "1",
                )
            )
        return lines

    def _read(self) -> _State:
        with (self.directory / "state").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            return _State.from_buffer_copy(file.read())

    def _locked(self) -> _Locked:
        return _Locked(self.directory / "state")

    def _write_system(self) -> None:
        """What mig-parted reads of /proc and /sys."""
        proc = self.directory / "proc"
        proc.mkdir(exist_ok=True)
        (proc / "modules").write_text("nvidia 1 0 - Live 0x0\n")
        for gpu in range(self.count):
            device = self.directory / "pci" / f"0000:{gpu + 1:02x}:00.0"
            device.mkdir(parents=True, exist_ok=True)
            files = {
                "vendor": "0x10de",
                "class": "0x030200",
                "device": f"0x{self.pci[2:6].lower()}",
                "numa_node": "0",
            }
            for name, value in files.items():
                (device / name).write_text(f"{value}\n")
            (device / "resource").write_text("0x0 0x0 0x0\n" * 13)


class _Locked:
    """The state under its lock; what is changed in it is written back."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _State:
        self._file = self._path.open("r+b")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._state = _State.from_buffer_copy(self._file.read())
        self._state.ready = 1
        return self._state

    def __exit__(self, *_: object) -> None:
        self._file.seek(0)
        self._file.write(bytes(self._state))
        self._file.close()
