"""The binaries of the test cluster, built from Go modules and from one C file, kept outside the checkout.

`python -m tests.cluster.tools` builds what is missing. A group of tools is keyed by everything that decides
its content (go.mod, go.sum, flags, Go's version and platform), so that a second clone on the same machine
finds it ready.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster import toolchain
from tests.cluster.toolchain import ToolError, cache, locked, say

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = "v1.36.2"
GO_FLAGS = "-trimpath -mod=readonly -buildvcs=false"
FAKE_NVML = Path(__file__).with_name("fakenvml") / "fakenvml.c"
C_FLAGS = ("-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden")
DEBIAN = {
    "gcc": "gcc libc6-dev",
    "dbus-daemon": "dbus",
    "openssl": "openssl",
    "unshare": "util-linux",
    "setpriv": "util-linux",
}
"""programs that must be there, with the Debian packages that have them"""


def _kubernetes_flags() -> str:
    values = {
        "gitMajor": "1",
        "gitMinor": "36",
        "gitVersion": KUBERNETES,
        "gitTreeState": "clean",
        "gitCommit": "0" * 40,
        "buildDate": "2026-01-01T00:00:00Z",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(
        ["-s -w", *(f"-X {package}.{key}={value}" for package in packages for key, value in values.items())]
    )


@dataclass(frozen=True)
class Group:
    """Tools that share a go.mod, `tools/<name>/`.

    `packages` has the package and the linker flags by binary.
    """

    name: str
    cgo: bool
    packages: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def module(self) -> Path:
        """The directory with go.mod and go.sum."""
        return ROOT / "tools" / self.name


GROUPS = (
    Group(
        "nvidia",
        True,
        {
            name: (f"github.com/NVIDIA/mig-parted/cmd/{name}", "-s -w -extldflags=-Wl,-z,lazy")
            for name in ("nvidia-mig-manager", "nvidia-mig-parted")
        },
    ),
    Group(
        "k8s",
        False,
        {
            "etcd": ("go.etcd.io/etcd/server/v3", "-s -w"),
            **{
                name: (f"k8s.io/kubernetes/cmd/{name}", _kubernetes_flags())
                for name in ("kube-apiserver", "kube-scheduler", "kube-controller-manager", "kubectl")
            },
        },
    ),
)


def path(tool: str) -> Path:
    """The binary of that name.

    Raises:
        ToolError: it has not been built.
    """
    group = next(group for group in GROUPS if tool in group.packages)
    found = _directory(group, toolchain.go()) / "bin" / tool
    if not found.is_file():
        raise ToolError(f"{tool} is not built; build it with: python -m tests.cluster.tools")
    return found


def library() -> Path:
    """The fake `libnvidia-ml.so.1`.

    Raises:
        ToolError: it has not been built.
    """
    found = _library_directory() / "libnvidia-ml.so.1"
    if not found.is_file():
        raise ToolError("the fake NVML is not built; build it with: python -m tests.cluster.tools")
    return found


def build() -> None:
    """Build every group that is not there; with progress on stderr.

    Raises:
        ToolError: something that the build needs is missing, or it fails.
    """
    for program, package in DEBIAN.items():
        require(program, package)
    require_mount_namespaces()
    go = toolchain.go(install=True)
    _build_library()
    for group in GROUPS:
        _build(group, go)


def require(program: str, package: str) -> None:
    """Make sure that a program is on this machine.

    Raises:
        ToolError: it is not; the message names the Debian package.
    """
    if shutil.which(program) is None:
        raise ToolError(f"the test cluster needs {program}; install it with: apt-get install {package}")


def require_mount_namespaces() -> None:
    """Make sure that mig-parted can be given the /proc and /sys of a played node (see `parted.py`).

    Raises:
        ToolError: this user may not make a mount namespace.
    """
    flags = "-m" if os.getuid() == 0 else "-Urm"
    if subprocess.run(["unshare", flags, "true"], capture_output=True).returncode:
        raise ToolError(
            "the test cluster needs mount namespaces: run it as root with CAP_SYS_ADMIN, or as a user where "
            "unprivileged user namespaces are allowed"
        )


def _environment(group: Group) -> dict[str, str]:
    return {
        **os.environ,
        "GOTOOLCHAIN": "local",
        "GOFLAGS": GO_FLAGS,
        "GOWORK": "off",
        "CGO_ENABLED": "1" if group.cgo else "0",
    }


def _directory(group: Group, go: str) -> Path:
    content = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        content.update((group.module / name).read_bytes())
    content.update(
        repr((sorted(group.packages.items()), group.cgo, GO_FLAGS, toolchain.platform(go))).encode()
    )
    return cache() / f"{group.name}-{content.hexdigest()[:12]}"


def _build(group: Group, go: str) -> None:
    target = _directory(group, go)
    if target.is_dir():
        return
    with locked(target):
        if target.is_dir():
            return
        say(f"building {len(group.packages)} tools of group {group.name} into {target}")
        part = Path(f"{target}.part")
        shutil.rmtree(part, ignore_errors=True)
        (part / "bin").mkdir(parents=True)
        for count, (name, (package, flags)) in enumerate(group.packages.items(), 1):
            began = time.monotonic()
            say(f"  {count}/{len(group.packages)} {name} ...", end="")
            command = [go, "build", "-ldflags", flags, "-o", str(part / "bin" / name), package]
            done = subprocess.run(
                command, cwd=group.module, env=_environment(group), stderr=subprocess.PIPE, text=True
            )
            say(f" {time.monotonic() - began:.0f} s")
            if done.returncode:
                raise ToolError(f"{name} cannot be built: {done.stderr.strip()[-500:] or 'go build failed'}")
        part.rename(target)


def _library_directory() -> Path:
    content = hashlib.sha256(FAKE_NVML.read_bytes() + repr((C_FLAGS, os.uname().machine)).encode())
    return cache() / f"fakenvml-{content.hexdigest()[:12]}"


def _build_library() -> None:
    target = _library_directory()
    if target.is_dir():
        return
    with locked(target):
        if target.is_dir():
            return
        part = Path(f"{target}.part")
        part.mkdir(exist_ok=True)
        command = ["gcc", *C_FLAGS, "-o", f"{part}/libnvidia-ml.so.1", str(FAKE_NVML)]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            shutil.rmtree(part)
        if "No such file or directory" in done.stderr:
            raise ToolError("gcc finds no C library headers; install them with: apt-get install libc6-dev")
        if done.returncode:
            raise ToolError(f"the fake NVML cannot be built: {done.stderr.strip()}")
        part.rename(target)


if __name__ == "__main__":
    try:
        build()
    except ToolError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("\nstopped; what is built so far is kept by Go's own cache")
