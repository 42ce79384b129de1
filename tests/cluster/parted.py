"""The real nvidia-mig-parted on a played node's GPUs.

Facts: it wants NVML, one line `nvidia ` in /proc/modules and five files a GPU below /sys/bus/pci/devices.
Only it enters the mount namespace in which these are the node's; mig-manager and the tests stay outside.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.cluster import tools
from tests.cluster.gpus import Gpus


def parted(gpus: Gpus, script: Path) -> Path:
    """A command like mig-parted that runs the real one in a namespace with the node's /proc and /sys."""
    script.write_text(
        f"""#!/bin/bash
export NODE={gpus.directory} REAL={tools.path("nvidia-mig-parted")} LIBRARY={tools.library().parent}
exec unshare $([ "$(id -u)" = 0 ] && echo -m || echo -Urm) --propagation private bash -ec '
  mount --bind "$NODE/pci" /sys/bus/pci/devices
  modules=/proc/modules; [ -e $modules ] || modules=/proc
  mount --bind "$NODE$modules" $modules
  export LD_LIBRARY_PATH="$LIBRARY" FAKE_NVML_DIR="$NODE"; exec "$REAL" "$@"' sh "$@"
"""
    )
    script.chmod(0o755)
    return script


def run_parted(gpus: Gpus, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the real mig-parted on the node's GPUs."""
    script = parted(gpus, gpus.directory / "nvidia-mig-parted")
    return subprocess.run([script, *arguments], capture_output=True, text=True)
