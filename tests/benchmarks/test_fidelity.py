"""A short run of the fidelity benchmark: promised pods get their slices, and without hints they do not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks import fidelity
from tests.cluster.fixture import Cluster
from tests.e2e.controller import install


@pytest.fixture
def prepared(cluster: Cluster) -> Iterator[Cluster]:
    install(cluster)
    controller = fidelity.prepare(cluster)
    yield cluster
    controller.kill()


def test_promised_pods_are_bound_where_they_were_promised(prepared: Cluster) -> None:
    """With hints every pod is bound to its own node beside older rivals; without hints others are."""
    hinted = fidelity.play(prepared, 0, 4, seed=1, hints=True, longest_run=3.0)
    print(hinted)
    assert (hinted.promised, hinted.right, hinted.rivals) == (4, 4, 0)
    assert hinted.closest > 1.5
    plain = fidelity.play(prepared, 1, 4, seed=1, hints=False, longest_run=3.0)
    print(plain)
    assert plain.right < plain.promised
