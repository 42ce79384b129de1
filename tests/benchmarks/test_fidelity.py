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
    """With hints pods are bound to their own nodes beside older rivals; without hints others are.

    On a machine that is busy otherwise the scheduler may try one of them in the moment without its hint.
    """
    hinted = fidelity.play(prepared, 0, 4, seed=1, hints=True, longest_run=3.0, rivals_per_node=1)
    print(hinted)
    assert hinted.promised == 4
    assert hinted.right >= 3
    assert hinted.rivals <= 1
    assert hinted.closest > 1.5
    plain = fidelity.play(prepared, 1, 4, seed=1, hints=False, longest_run=3.0)
    print(plain)
    assert plain.right < hinted.right
