"""What GPUs can hold together, against trying everything."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from autoslicer.core.planning import capacity
from solver.geometry import Geometry, by_product
from solver.problem import Counts, Gpu, Node, counts
from tests.build import A30, H100


def model(product: str) -> Geometry:
    """The geometry of a product that is known."""
    found = by_product(product)
    assert found is not None
    return found


A30S = model(A30)
LAYOUTS = sorted(A30S.multisets())
needs = st.dictionaries(st.sampled_from(["1g.6gb", "2g.12gb", "4g.24gb"]), st.integers(1, 9)).map(counts)


def within(need: Counts, layouts: tuple[Counts, ...], base: Counts = ()) -> bool:
    """The layouts and the base together have all that is needed."""
    return all(
        sum(dict(layout).get(profile, 0) for layout in (*layouts, base)) >= count for profile, count in need
    )


@given(st.integers(1, 3), needs)
def test_what_gpus_cut_anew_can_hold(gpus: int, need: Counts) -> None:
    """Exactly what some choice of legal layouts holds."""
    tried = any(within(need, choice) for choice in itertools.product(LAYOUTS, repeat=gpus))
    assert capacity.possible((A30S,) * gpus, need) == tried


@given(
    st.lists(st.tuples(st.sampled_from(LAYOUTS), st.booleans()), min_size=1, max_size=3),
    st.none() | st.sets(st.sampled_from(["1g.6gb", "2g.12gb", "4g.24gb"])).map(frozenset),
    needs,
)
def test_what_a_node_can_come_to_offer(
    held: list[tuple[Counts, bool]], allowed: frozenset[str] | None, need: Counts
) -> None:
    """GPUs that may change keep their layout or get one of allowed profiles; the others keep theirs."""
    gpus = tuple(Gpu(index, A30S, layout, changeable) for index, (layout, changeable) in enumerate(held))
    total: dict[str, int] = {}
    for layout, _ in held:
        for profile, count in layout:
            total[profile] = total.get(profile, 0) + count
    node = Node("a", gpus, counts(total), (), profiles=allowed)
    options = [
        [layout, *(new for new in LAYOUTS if allowed is None or {p for p, _ in new} <= allowed)]
        if changeable
        else [layout]
        for layout, changeable in held
    ]
    assert capacity.reachable(node, need) == any(
        within(need, choice) for choice in itertools.product(*options)
    )


def test_the_most_of_one_profile() -> None:
    """Summed over the GPUs; nothing of a profile that they do not have."""
    assert capacity.most((model(H100), model(H100)), "1g.10gb") == 14
    assert capacity.most((model(H100),), "7g.80gb") == 1
    assert capacity.most((model(H100),), "1g.5gb") == 0
