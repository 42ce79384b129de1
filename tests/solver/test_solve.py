"""What the solver promises about every answer: legality, needed changes, fallback, determinism."""

import gc
import random
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import solver
from solver.check import check
from solver.check_levels import values as levels_of
from solver.draft import of_solution
from solver.geometry import by_product
from solver.instance import aggregate, split
from solver.merit import merit
from solver.problem import Gpu, Headroom, Node, Pod, Problem, Rank, Tenant, counts
from solver.solution import By, Change, Eviction, Level, Reserve, Status
from solver.solve import fallback, solve
from tests.solver.racks import rack
from tests.solver.tiny import cluster, problem

H100 = by_product("NVIDIA-H100-80GB-HBM3")
A30 = by_product("NVIDIA-A30")
CLUSTERS = st.randoms(use_true_random=False).map(cluster)
QUIET = hypothesis_settings(max_examples=60, deadline=None, derandomize=True)


def gpus(geometry, *layouts):
    return tuple(
        Gpu(i, geometry, None if layout is None else counts(layout), changeable=True)
        for i, layout in enumerate(layouts)
    )


def node(name, gpus_, free=None, cpu=100, **fields):
    present = {} if free is None else dict(free)
    for gpu in gpus_ if free is None else ():
        for profile, count in gpu.layout or ():
            present[profile] = present.get(profile, 0) + count
    return Node(name, gpus_, counts(present), (("cpu", cpu),), **fields)


def pods(prefix, number, slices, nodes, priority=0, cpu=1):
    return [
        Pod(f"team/{prefix}-{i}", priority, counts(slices), (("cpu", cpu),), frozenset(nodes), i)
        for i in range(number)
    ]


def ask(nodes, *groups):
    every = sorted((pod for group in groups for pod in group), key=lambda pod: pod.name)
    return Problem(tuple(sorted(nodes, key=lambda n: n.name)), tuple(every))


def values(solution):
    return [level.value for level in solution.levels]


@pytest.fixture
def without_model(monkeypatch):
    """The solver where the exact model cannot be imported."""
    monkeypatch.delattr(solver, "model", raising=False)
    monkeypatch.setitem(sys.modules, "solver.model", None)


def test_the_story_of_the_demo():
    """Ten small and two large pods on two nodes of two whole H100 change three GPUs on two nodes, no more."""
    two = {"node-a", "node-b"}
    nodes = [node(name, gpus(H100, {"7g.80gb": 1}, {"7g.80gb": 1})) for name in two]
    asked = ask(nodes, pods("infer", 10, {"1g.10gb": 1}, two), pods("train", 2, {"3g.40gb": 1}, two))
    solution = solve(asked)
    assert check(asked, solution) == []
    assert solution.status is Status.OPTIMAL
    assert values(solution)[:4] == [12, 0, 2, 3]


@QUIET
@given(CLUSTERS)
def test_a_search_goes_on_from_a_known_plan(drawn):
    """No answer is worse than the solution it starts from, though nothing else could be searched."""
    asked = problem(*drawn)
    calm = replace(asked, tenants=(), headroom=(), nodes=tuple(_without_tenants(n) for n in asked.nodes))
    known, simple = solve(calm), fallback(calm)
    for start in (known, simple):
        again = solve(calm, start=start)
        assert check(calm, again) == []
        assert score(again) == score(known) >= score(start)
    parts = split(aggregate(calm))
    merits = [merit(part, of_solution(part, known)) for part in parts]
    assert [sum(m.served[r] for m in merits) for r in range(len(calm.ranks))] == values(known)[:-4]
    assert [sum(m.nodes for m in merits), sum(m.gpus for m in merits)] == values(known)[-3:-1]


def score(solution):
    """Greater is better, level by level."""
    costs = {"evictions", "nodesChanged", "gpusChanged"}
    return [-level.value if level.name in costs else level.value for level in solution.levels]


def _without_tenants(node):
    return replace(node, gpus=tuple(replace(gpu, tenants=frozenset(), idle=()) for gpu in node.gpus))


def test_a_rack_is_solved_to_the_proven_optimum():
    """Ten nodes of eight GPUs and two hundred pods are solved to the proven optimum by default."""
    asked = rack(random.Random(1), nodes=10, waiting=200)
    solution = solve(asked)
    assert check(asked, solution) == []
    assert solution.status is Status.OPTIMAL
    assert values(solution)[2] > 0


def test_a_search_cut_short_on_a_larger_cluster_is_legal():
    """Forty nodes and eight hundred pods with next to no effort give a legal plan, all but proven."""
    asked = rack(random.Random(2), nodes=40, waiting=800)
    solution = solve(asked, effort=0.01)
    assert check(asked, solution) == []
    assert solution.status is Status.FEASIBLE
    assert solution.levels[0].value == solution.levels[0].bound


@QUIET
@given(CLUSTERS)
def test_every_solution_is_legal(drawn):
    """Whatever the cluster, the solution passes the independent check."""
    asked = problem(*drawn)
    assert check(asked, solve(asked)) == []


@QUIET
@given(CLUSTERS)
def test_every_greedy_solution_is_legal(drawn):
    """Whatever the cluster, the greedy plan that stands in for the model passes the independent check."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(solver, "model", raising=False)
        patch.setitem(sys.modules, "solver.model", None)
        asked = problem(*drawn)
        assert check(asked, solve(asked)) == []


@pytest.mark.usefixtures("without_model")
def test_the_greedy_plan_is_the_fallback():
    """Where the model fails the greedy plan is the answer, says so, and claims no proof it does not have."""
    asked = ask([node("n", gpus(A30, {"4g.24gb": 1}))], pods("p", 5, {"1g.6gb": 1}, {"n"}))
    solution = solve(asked)
    assert check(asked, solution) == []
    assert solution.status is Status.FALLBACK
    assert solution.levels == (
        Level("servedWeight", Rank(0), 4, 4),
        Level("evictions", None, 0, 0),
        Level("nodesChanged", None, 1, None),
        Level("gpusChanged", None, 1, None),
        Level("spare", None, 0, None),
    )


@pytest.mark.parametrize(
    ("free", "loaded"),
    [({"1g.10gb": 2}, False), ({"1g.10gb": 1, "7g.80gb": 1}, True)],
)
def test_ortools_is_imported_only_for_a_search(free, loaded):
    """What free slices serve entirely is answered without loading ortools; what needs a search loads it."""
    script = f"""
import sys
from solver.draft import of_solution
from solver.geometry import by_product
from solver.instance import aggregate, split
from solver.merit import merit
from solver.problem import Gpu, Node, Pod, Problem
from solver.solve import fallback, solve
gpu = Gpu(0, by_product("NVIDIA-H100-80GB-HBM3"), (("7g.80gb", 1),), True)
free = {free!r}
node = Node("n", (gpu,) if "7g.80gb" in free else (), tuple(free.items()), ())
pods = tuple(Pod(f"team/p{{i}}", 0, (("1g.10gb", 1),), (), frozenset(["n"])) for i in range(2))
solution = solve(Problem((node,), pods))
assert len(solution.served) == 2
print("ortools" in sys.modules)
"""
    assert _run(script) == str(loaded)


def test_nothing_to_do_is_proven_at_once():
    """Without pods, or without a node that could ever serve one, the empty plan is the proven optimum."""
    nodes = [node("n", gpus(A30, {"4g.24gb": 1}))]
    for groups in ([], [pods("p", 1, {"7g.80gb": 1}, {"n"})], [pods("q", 1, {"1g.6gb": 1}, {"elsewhere"})]):
        asked = ask(nodes, *groups)
        solution = solve(asked)
        assert check(asked, solution) == []
        assert (solution.served, solution.changes, solution.status) == ((), (), Status.OPTIMAL)


def test_free_slices_come_before_any_change():
    """Pods that free slices serve change nothing; the same pods without these slices change one GPU."""
    waiting = pods("p", 2, {"1g.10gb": 1}, {"n", "m"})
    whole = node("n", gpus(H100, {"7g.80gb": 1}))
    solution = solve(ask([whole, node("m", (), {"1g.10gb": 2})], waiting))
    assert (solution.changes, {row.by for row in solution.served}) == ((), {By.FREE})
    solution = solve(ask([whole, node("m", (), {"1g.10gb": 1})], waiting))
    assert [(change.node, change.gpu) for change in solution.changes] == [("n", 0)]
    assert [(row.node, row.by) for row in solution.served] == [("m", By.FREE), ("n", By.RESHAPE)]


def test_higher_priority_comes_strictly_first():
    """One pod of higher priority is served before any number of lower ones that it excludes."""
    nodes = [node("n", gpus(A30, {}))]
    low = pods("low", 4, {"1g.6gb": 1}, {"n"})
    solution = solve(ask(nodes, low, pods("high", 1, {"4g.24gb": 1}, {"n"}, priority=1)))
    assert [row.pod for row in solution.served] == ["team/high-0"]
    solution = solve(ask(nodes, low, pods("high", 1, {"4g.24gb": 1}, {"n"})))
    assert [row.pod for row in solution.served] == ["team/low-0", "team/low-1", "team/low-2", "team/low-3"]


def test_the_elder_of_equal_pods_is_served():
    """Of equal pods those with the lowest order are served, and of these those that come first by name."""
    nodes = [node("n", gpus(A30, {"4g.24gb": 1}), cpu=2)]
    names = [("a", 2), ("b", 1), ("c", 0), ("d", 1)]
    waiting = [
        Pod(f"team/{name}", 0, (("1g.6gb", 1),), (("cpu", 1),), frozenset({"n"}), order)
        for name, order in names
    ]
    solution = solve(ask(nodes, waiting))
    assert [row.pod for row in solution.served] == ["team/b", "team/c"]


def test_the_leftovers_are_as_large_as_they_can_be():
    """Of the layouts that serve a small pod the one with the largest squared leftovers is taken."""
    waiting = pods("p", 1, {"1g.10gb": 1}, {"n"})
    # With 1g + 2g + 3g + 1g (or 1g.20gb for 2g) 1 + 4 + 16 stay free; with 4g + 3 x 1g only 16 + 2 would.
    solution = solve(ask([node("n", gpus(H100, {"7g.80gb": 1}))], waiting))
    assert values(solution)[-1] == 1 + 4 + 16
    few = frozenset({"1g.10gb", "2g.20gb", "7g.80gb"})
    solution = solve(ask([node("n", gpus(H100, {"7g.80gb": 1}), profiles=few)], waiting))
    assert solution.changes == (Change("n", 0, (("1g.10gb", 1), ("2g.20gb", 3))),)
    assert values(solution)[-1] == 3 * 4


@pytest.mark.parametrize(("benefit", "served"), [(2, 2), (3, 0)])
def test_a_reshape_that_serves_too_few_is_no_reshape(benefit, served):
    """Two pods change a node that asks for two, and wait where it asks for three."""
    nodes = [node("n", gpus(A30, {"4g.24gb": 1}), min_benefit=benefit)]
    solution = solve(ask(nodes, pods("p", 2, {"1g.6gb": 1}, {"n"})))
    assert len(solution.served) == served


def test_pods_on_free_slices_are_no_benefit():
    """A pod that a free slice of the node serves does not help a reshape to its minimum."""
    both = gpus(A30, {"1g.6gb": 4}, {"4g.24gb": 1})
    small, large = pods("small", 1, {"1g.6gb": 1}, {"n"}), pods("large", 1, {"2g.12gb": 1}, {"n"})
    shared = frozenset({"1g.6gb", "4g.24gb", "2g.12gb"})
    once = solve(ask([node("n", both, profiles=shared, min_benefit=1)], small, large))
    assert {row.pod: row.by for row in once.served} == {"team/large-0": By.RESHAPE, "team/small-0": By.FREE}
    twice = ask([node("n", both, profiles=shared, min_benefit=3)], small, large)
    assert [(row.pod, row.by) for row in solve(twice).served] == [("team/small-0", By.FREE)]


@pytest.mark.parametrize(("allowed", "served"), [(True, 4), (False, 0)])
def test_the_mig_mode_is_switched_only_where_allowed(allowed, served):
    """A GPU whose MIG mode is off serves pods where the node may switch it on, and none where it may not."""
    nodes = [node("n", gpus(A30, None), mode_change=allowed)]
    solution = solve(ask(nodes, pods("p", 4, {"1g.6gb": 1}, {"n"})))
    assert len(solution.served) == served


def test_headroom_comes_after_every_pod():
    """It is cut where nobody needs the slices, kept where slices are free, and given up for a pod."""
    wanted = Headroom("1g.10gb", 3, frozenset({"n"}))
    idle = node("n", gpus(H100, {"7g.80gb": 1}))
    asked = Problem((idle,), (), (wanted,))
    cut = solve(asked)
    assert check(asked, cut) == []
    assert cut.headroom == (Reserve(0, "n", By.RESHAPE, 3),)
    assert [(level.name, level.value) for level in cut.levels[:3]] == [
        ("headroom", 3),
        ("evictions", 0),
        ("nodesChanged", 1),
    ]
    has = Problem((node("n", gpus(H100, {"1g.10gb": 7})),), (), (wanted,))
    assert (solve(has).headroom, solve(has).changes) == ((Reserve(0, "n", By.FREE, 3),), ())
    full = Problem((idle,), tuple(pods("large", 1, {"7g.80gb": 1}, {"n"})), (wanted,))
    assert (solve(full).headroom, len(solve(full).served)) == ((), 1)
    assert solve(Problem((idle,), ())).changes == ()


def test_headroom_counts_for_min_benefit():
    """A change that serves it alone, or it beside a pod, is made from as many slices on."""
    idle = node("n", gpus(H100, {"7g.80gb": 1}), min_benefit=3)
    two, three = (Headroom("1g.10gb", count, frozenset({"n"})) for count in (2, 3))
    one = tuple(pods("small", 1, {"1g.10gb": 1}, {"n"}))
    assert solve(Problem((idle,), (), (two,))).changes == ()
    for asked in (Problem((idle,), (), (three,)), Problem((idle,), one, (two,))):
        solution = solve(asked)
        assert check(asked, solution) == []
        assert len(solution.changes) == 1
        assert len(solution.served) == len(asked.pods)


def hosting(priority, nodes=("n", "other")):
    """A node whose only GPU a tenant uses, another node with a slice for it, and a pod that needs the GPU."""
    used = Gpu(0, H100, (("3g.40gb", 2),), False, frozenset({"runs/t"}), (("3g.40gb", 1),))
    tenant = Tenant("runs/t", priority, (("3g.40gb", 1),), (("cpu", 2),), frozenset(nodes))
    free = Node("other", (), (("3g.40gb", 1),), (("cpu", 2),))
    (large,) = pods("large", 1, {"7g.80gb": 1}, {"n"})
    return Problem((node("n", (used,), {"3g.40gb": 1}), free), (large,), (), (tenant,))


def test_a_tenant_goes_for_a_pod_of_higher_priority():
    """Its replacement is served by the same plan; for an equal, or with no place to go, it stays."""
    asked = hosting(-1)
    solution = solve(asked)
    assert check(asked, solution) == []
    assert solution.status is Status.OPTIMAL
    assert solution.evictions == (Eviction("runs/t", "n", "other", By.FREE),)
    assert values(solution)[:4] == [1, 1, 1, 1]
    for staying in (hosting(0), hosting(-1, nodes=()), hosting(-1, nodes=("n",))):
        stays = solve(staying)
        assert (stays.served, stays.evictions, stays.changes) == ((), (), ())
        assert check(staying, stays) == []


def test_nobody_is_evicted_without_need():
    """Where an idle GPU serves the pod as well, it changes, though that is another node more."""
    asked = hosting(-1)
    idle = node("spare", gpus(H100, {"3g.40gb": 2}))
    here = replace(asked.pods[0], nodes=frozenset({"n", "spare"}))
    solution = solve(replace(asked, nodes=(*asked.nodes, idle), pods=(here,)))
    assert [change.node for change in solution.changes] == ["spare"]
    assert solution.evictions == ()


def test_every_first_part_of_a_plan_is_safe():
    """Carried out node by node, those that evict last: nothing in use goes and nobody is promised too much.

    Of a plan that evicts, a change may be there for a replacement alone, which is not needed before.
    """
    order, need = ["is served before its equal"], ["though its layout", "though free slices that stay"]
    evicting = hosts = 0
    for number in range(400):
        asked = problem(*cluster(random.Random(number)))
        if number > 100 and not asked.tenants:
            continue
        whole = solve(asked)
        last = {row.node for row in whole.evictions}
        nodes = sorted({row.node for row in whole.changes}, key=lambda name: (name in last, name))
        for count in range(len(nodes)):
            part = _first_part(asked, whole, nodes[:count])
            excused = order + (need if whole.evictions else [])
            broken = [one for one in check(asked, part) if not any(word in one for word in excused)]
            assert broken == [], f"cluster {number}: {nodes[:count]}"
        evicting += bool(last)
        hosts += any(row.to != row.node for row in whole.evictions)
    assert evicting
    assert hosts


def _first_part(asked, whole, nodes):
    part = replace(
        whole,
        served=tuple(row for row in whole.served if row.by is By.FREE or row.node in nodes),
        changes=tuple(row for row in whole.changes if row.node in nodes),
        headroom=tuple(row for row in whole.headroom if row.by is By.FREE or row.node in nodes),
        evictions=tuple(row for row in whole.evictions if row.node in nodes),
        status=Status.FEASIBLE,
    )
    reached = levels_of(asked, part)
    return replace(part, levels=tuple(Level(name, rank, value, None) for (name, rank), value in reached))


def test_a_mode_change_leaves_no_free_slice():
    """Where one GPU of a node is switched on, a pod on another's old slice is served by the change too."""
    nodes = [node("n", gpus(A30, {"1g.6gb": 4}, None), mode_change=True)]
    asked = ask(nodes, pods("small", 1, {"1g.6gb": 1}, {"n"}), pods("large", 1, {"4g.24gb": 1}, {"n"}))
    solution = solve(asked)
    assert check(asked, solution) == []
    assert {row.by for row in solution.served} == {By.RESHAPE}


@QUIET
@given(CLUSTERS, st.randoms(use_true_random=False))
def test_the_order_of_construction_does_not_matter(drawn, rng):
    """A problem built from the same facts in another order has the same solution."""
    nodes, waiting, *rest = drawn
    first = solve(problem(nodes, waiting, *rest))
    shuffled = [_shuffled(rng, row) for row in rng.sample(waiting, len(waiting))]
    again = solve(problem([_shuffled(rng, row) for row in rng.sample(nodes, len(nodes))], shuffled, *rest))
    assert first == again


def test_the_hash_seed_does_not_matter():
    """Two processes with different hash seeds give the same solutions, byte for byte."""
    script = """
import random
from solver.solve import fallback, solve
from tests.solver.racks import rack
from tests.solver.tiny import cluster, problem
for seed in range(25):
    print(solve(problem(*cluster(random.Random(seed)))))
"""
    assert _run(script, seed="1") == _run(script, seed="2")


def _run(script, seed="0"):
    command = [sys.executable, "-c", script]
    environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": "."}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip()


def _shuffled(rng, row):
    """The same dict with its keys, and those of the dicts in it, in another order."""
    items = rng.sample(list(row.items()), len(row))
    return {key: _shuffled(rng, value) if isinstance(value, dict) else value for key, value in items}


def test_the_model_leaves_nothing_to_the_garbage_collector():
    """It is gone with its memory once a search is over; left as the library makes it, it would stay."""
    from ortools.sat.python import cp_model

    def left():
        return sum(isinstance(each, cp_model.CpModel) for each in gc.get_objects())

    gc.collect()
    before = left()
    gc.disable()
    try:
        asked = ask([node("a", gpus(H100, {"7g.80gb": 1}))], pods("p", 3, {"1g.10gb": 1}, {"a"}))
        assert solve(asked).status is Status.OPTIMAL
        after_search = left()
        cp_model.CpModel()
        assert (after_search - before, left() - before) == (0, 1)
    finally:
        gc.enable()
        gc.collect()


def test_a_problem_with_a_pod_more():
    """It is the one that a fresh start would make, and no name comes twice."""
    whole = ask([node("a", gpus(H100, {"7g.80gb": 1}))], pods("p", 3, {"1g.10gb": 1}, {"a"}))
    first, second, third = whole.pods
    assert Problem(whole.nodes, (first, third)).including([second]) == whole
    with pytest.raises(ValueError, match="already"):
        whole.including([second])
