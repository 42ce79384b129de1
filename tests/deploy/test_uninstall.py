"""The commands of docs/uninstall.md, typed as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from autoslicer.core import names
from tests.cluster import tools
from tests.cluster.fixture import Cluster

PAGE = Path(__file__).parents[2] / "docs" / "uninstall.md"
DOWN, DISRUPT = names.DO_NOT_DISRUPT
OURS = {"key": names.TAINT, "value": "3", "effect": "NoSchedule"}
FOREIGN = {"key": "team", "value": "a", "effect": "NoSchedule"}


def _typed(cluster: Cluster) -> subprocess.CompletedProcess[str]:
    [block] = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    where = f"{tools.path('kubectl').parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": where, "KUBECONFIG": str(cluster.kubeconfig)}
    return subprocess.run(["sh", "-ec", block], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("mine", "kept"),
    [
        ({}, {}),
        ({DOWN: "true", DISRUPT: "true", names.MARKS: f"{DOWN},{DISRUPT}"}, {}),
        ({DOWN: "true", DISRUPT: "true", names.MARKS: DOWN}, {DISRUPT: "true"}),
        ({DISRUPT: "true"}, {DISRUPT: "true"}),
    ],
    ids=["no marks", "both ours", "one of another", "none of ours"],
)
def test_nothing_of_ours_stays_on_a_node(
    cluster: Cluster, mine: dict[str, str], kept: dict[str, str]
) -> None:
    """A change that was cut off leaves a taint, marks and notes; they go, and everything of others stays."""
    for name in ("gpu-a", "gpu-b"):
        cluster.plain_node(name)
    before = cluster.node("gpu-a")
    ignored = {names.IGNORE: "true", "x": "y"}
    notes = {names.APPLIED_CONFIG: "autoslicer-0", names.IDLE_SINCE: "x", names.DRIFT: "x"}
    metadata = {"annotations": {**ignored, **notes, **mine}}
    cluster.api.patch("/api/v1/nodes/gpu-a", {"metadata": metadata, "spec": {"taints": [FOREIGN, OURS]}})
    done = _typed(cluster)
    assert done.returncode == 0, done.stderr
    after = cluster.node("gpu-a")
    assert after["spec"]["taints"] == [FOREIGN]
    found = {
        key: value
        for key, value in after["metadata"]["annotations"].items()
        if "kubernetes.io/ttl" not in key
    }
    assert found == {**ignored, **kept}
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
