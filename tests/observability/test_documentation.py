"""docs/metrics.md against the metrics."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from autoslicer.controller.loop import STALE_SECONDS
from autoslicer.observability.metrics import Metrics

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_every_metric_is_documented() -> None:
    """The table has a row for each metric, with its type and labels in order, and no other row."""
    page = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([\w, ]*?) ?\| .+ \|$", page, flags=re.MULTILINE)
    documented = [(name, kind, labels.strip()) for name, kind, labels in rows]
    metrics = [found for found in vars(Metrics()).values() if isinstance(found, MetricWrapperBase)]
    assert documented == [
        (
            found._name.removeprefix("autoslicer_") + ("_total" if found._type == "counter" else ""),
            found._type,
            ", ".join(found._labelnames),
        )
        for found in metrics
    ]
    assert f"past {STALE_SECONDS:g} nothing is decided" in page
