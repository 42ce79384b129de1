"""An API server that answers badly or not at all, and controllers that stand still: two never act at once."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from autoslicer.core.phases import Phase
from tests.cluster.fault_proxy import FaultProxy
from tests.cluster.faults import Silence, Slow
from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until
from tests.e2e.controller import NAMESPACE, PATIENT, Controller, changes, configure, phases, policy

BRISK = {
    **PATIENT,
    "AUTOSLICER_LEASE_DURATION_SECONDS": "6",
    "AUTOSLICER_RENEW_DEADLINE_SECONDS": "4",
    "AUTOSLICER_RETRY_PERIOD_SECONDS": "1",
}
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/autoslicer"
SKEWED = """
import sys, time
real = time.time
time.time = lambda: real() + {}
from autoslicer.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
"""the controller with a clock that is so many seconds off"""
Start = Callable[..., tuple[Controller, FaultProxy]]


@pytest.fixture
def stage(installed: None, cluster: Cluster) -> Iterator[Start]:
    """Makes controllers, each behind a fault proxy of its own; all are gone before the cluster is emptied."""
    made: list[tuple[Controller, FaultProxy]] = []

    def make(
        environment: dict[str, str] = BRISK, seed: int = 0, program: Sequence[str] = ("-m", "autoslicer")
    ) -> tuple[Controller, FaultProxy]:
        control = cluster.control_plane
        proxy = FaultProxy(control.server, control.pki.directory, seed)
        direct = control.service_account(NAMESPACE, "autoslicer")
        through = proxy.kubeconfig(direct)
        made.append((Controller(cluster, environment, kubeconfig=through, program=program), proxy))
        return made[-1]

    cluster.api.delete(LEASE)
    yield make
    for controller, proxy in made:
        controller.process.signal(signal.SIGCONT)
        controller.kill()
        proxy.close()


def _ready(cluster: Cluster) -> None:
    cluster.gpu_node("gpu-a")
    configure(cluster)
    policy(cluster)


def _reached(cluster: Cluster, phase: Phase) -> bool:
    return any(phase in phases(change) for change in changes(cluster))


def _done(cluster: Cluster) -> bool:
    return any(phases(change)[-1:] == ["Done"] for change in changes(cluster))


def _sound(cluster: Cluster) -> None:
    """One change was Done, once; no taint is left, the old layout went once and the new one is advertised."""
    assert [phases(change)[-1] for change in changes(cluster)].count("Done") == 1
    assert cluster.taints("gpu-a") == []
    assert cluster.in_service("gpu-a"), cluster.describe("gpu-a")
    destroyed = [line.profile for line in cluster.nvml_log("gpu-a") if line.what == "destroy"]
    assert destroyed.count("7g.80gb") == 1


@pytest.mark.parametrize("phase", [Phase.VALIDATED, Phase.DRAINED, Phase.PUBLISHED, Phase.LABELLED])
def test_a_leader_that_slept_writes_nothing(cluster: Cluster, stage: Start, phase: Phase) -> None:
    """Stopped in a phase, with a read on its way, and woken when another leads: it ends without a write."""
    _ready(cluster)
    (sleeper, before), (other, after) = stage(), stage()
    sleeper.start()
    other.launch()
    pod = cluster.pod("infer", {"1g.10gb": 1})
    until(lambda: _reached(cluster, phase), 90, cluster.describe, every=0.002)
    before.inject(Slow(0.3), "get", "list", times=None)
    time.sleep(0.1)
    sleeper.process.signal(signal.SIGSTOP)
    stopped = time.monotonic()
    until(lambda: "leading" in other.said(), 60, other.process.tail)
    cluster.wait_running([pod], 90)
    until(lambda: _done(cluster), 90, cluster.describe)
    held = [one.path for one in before.writes(since=stopped + 0.5)]
    woken = time.monotonic()
    sleeper.process.signal(signal.SIGCONT)
    assert sleeper.process.wait(15) == 1
    assert "leadership is lost" in sleeper.process.tail()
    assert held + [(one.verb, one.path) for one in before.writes(since=woken)] == []
    assert after.writes("nodes/gpu-a", since=stopped)
    _sound(cluster)


def test_a_leader_that_nodded_goes_on(cluster: Cluster, stage: Start) -> None:
    """Stopped for less than its Lease lasts, it ends the change itself, and the other writes nothing."""
    _ready(cluster)
    (sleeper, before), (other, after) = stage(PATIENT), stage(PATIENT)
    sleeper.start()
    other.launch()
    pod = cluster.pod("infer", {"1g.10gb": 1})
    until(lambda: _reached(cluster, Phase.TAINTED), 90, cluster.describe, every=0.002)
    sleeper.process.signal(signal.SIGSTOP)
    time.sleep(4)
    woken = time.monotonic()
    sleeper.process.signal(signal.SIGCONT)
    cluster.wait_running([pod], 90)
    until(lambda: _done(cluster), 90, cluster.describe)
    assert before.writes("nodes/gpu-a", since=woken)
    assert after.writes() == []
    _sound(cluster)


def test_a_write_that_comes_late_does_no_harm(cluster: Cluster, stage: Start) -> None:
    """A label that was sent while leading and arrives when another has ended the change is refused."""
    _ready(cluster)
    (sleeper, before), (other, _) = stage(), stage()
    sleeper.start()
    other.launch()
    pod = cluster.pod("infer", {"1g.10gb": 1})
    until(lambda: _reached(cluster, Phase.DRAINED), 90, cluster.describe, every=0.002)
    before.inject(Slow(40, there=True), "patch", path="nodes/gpu-a$")
    until(lambda: before.writes("nodes/gpu-a$")[-1].fault, 90, cluster.describe)
    sleeper.process.signal(signal.SIGSTOP)
    cluster.wait_running([pod], 90)
    until(lambda: _done(cluster), 90, cluster.describe)
    late = before.writes("nodes/gpu-a$")[-1]
    labels = cluster.labels("gpu-a")
    until(lambda: late.true, 60, cluster.describe)
    assert late.true == 409
    assert cluster.labels("gpu-a") == labels
    _sound(cluster)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_storm_is_weathered(cluster: Cluster, stage: Start, seed: int) -> None:
    """Among errors, resets, lost answers and late requests the change ends as it should, and once."""
    _ready(cluster)
    controller, proxy = stage(PATIENT, seed)
    proxy.storm(0.015)
    pods = [cluster.pod(f"infer-{n}", {"1g.10gb": 1}) for n in range(3)]

    def served() -> bool:
        # as a kubelet does; the process may end where it cannot even find out what the API server serves
        controller.process.start()
        return _done(cluster) and all(cluster.node_of(pod) for pod in pods)

    until(served, 240, cluster.describe, every=0.5)
    met = [one for one in proxy.seen if one.fault is not None]
    print(f"{len(met)} of {len(proxy.seen)} requests met a fault")
    assert len(met) >= 5
    _sound(cluster)


def test_half_open_watches_cost_time_alone(cluster: Cluster, stage: Start) -> None:
    """Where no watch brings anything any more, a change under way still ends, by what is read for it."""
    _ready(cluster)
    controller, proxy = stage(PATIENT)
    controller.start()
    pod = cluster.pod("infer", {"1g.10gb": 1})
    until(lambda: _reached(cluster, Phase.TAINTED), 90, cluster.describe, every=0.002)
    proxy.halt_watches()
    cluster.wait_running([pod], seconds=120)
    until(lambda: _done(cluster), 120, cluster.describe)
    _sound(cluster)


@pytest.mark.parametrize("phase", [Phase.PUBLISHED, Phase.LABELLED])
def test_etcd_stands_still(cluster: Cluster, stage: Start, phase: Phase) -> None:
    """While etcd is stopped nothing can be written; afterwards the change goes on, by whoever leads then."""
    _ready(cluster)
    controller, _ = stage(PATIENT)
    controller.start()
    pod = cluster.pod("infer", {"1g.10gb": 1})
    until(lambda: _reached(cluster, phase), 90, cluster.describe, every=0.002)
    cluster.control_plane.etcd.signal(signal.SIGSTOP)
    time.sleep(6)
    cluster.control_plane.etcd.signal(signal.SIGCONT)
    cluster.wait_running([pod], 90)
    until(lambda: _done(cluster), 60, cluster.describe)
    assert controller.process.alive
    _sound(cluster)


@pytest.mark.parametrize("phase", [Phase.VALIDATED, Phase.DRAINED, Phase.LABELLED])
def test_sigterm_parks_every_step(cluster: Cluster, stage: Start, phase: Phase) -> None:
    """It ends within seconds, also where no request is answered any more, and the next one goes on."""
    _ready(cluster)
    (first, proxy), (second, _) = stage(PATIENT), stage(PATIENT)
    first.start()
    pod = cluster.pod("infer", {"1g.10gb": 1})
    until(lambda: _reached(cluster, phase), 90, cluster.describe, every=0.002)
    proxy.inject(Silence(lost=True), times=None)
    began = time.monotonic()
    assert first.stop() == 0
    print(f"ended after {time.monotonic() - began:.1f} s")
    assert time.monotonic() - began < 5
    second.start()
    cluster.wait_running([pod], 90)
    until(lambda: _done(cluster), 90, cluster.describe)
    _sound(cluster)


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_a_clock_that_is_wrong_takes_no_lease_away(cluster: Cluster, stage: Start, seconds: int) -> None:
    """Whoever's clock is an hour off waits for the Lease as others do, and gets it once it is given back."""
    _ready(cluster)
    (first, _), (skewed, after) = stage(PATIENT), stage(PATIENT, 0, ("-c", SKEWED.format(seconds)))
    first.start()
    skewed.launch()
    time.sleep(17)
    assert first.process.alive
    assert after.writes() == []
    assert first.stop() == 0
    until(lambda: "leading" in skewed.said(), 30, skewed.process.tail)
    assert after.writes("leases")
