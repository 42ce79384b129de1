"""A pod's effective requests, by the scheduler's own formula (`PodRequests` of k8s.io/component-helpers)."""

from __future__ import annotations

from collections.abc import Iterable

from autoslicer.core.fields import Fields
from autoslicer.core.reading.nodes import amounts
from autoslicer.core.rows import Resources

_POD_LEVEL = ("cpu", "memory", "hugepages-")


def effective(spec: Fields, status: Fields) -> Resources:
    """What the scheduler counts against a node for this pod, with `pods: 1`, sorted by resource.

    The larger of all containers together and of the hungriest moment while init containers run; sidecars run
    on beside both. Requests at the pod's level replace the sum for cpu, memory and huge pages, and the
    overhead comes on top.

    Args:
        spec: of the pod.
        status: of the pod; while a container is being resized in place, the larger of the old and the new
            size counts.

    Raises:
        ValueError: a quantity is none.
    """
    resized = _resized(status)
    running: dict[str, int] = {}
    for container in spec.each("containers"):
        running = _sum(running, _container(container, resized))
    sidecars: dict[str, int] = {}
    starting: dict[str, int] = {}
    for container in spec.each("initContainers"):
        needs = _container(container, resized)
        if container.text("restartPolicy") == "Always":
            running = _sum(running, needs)
            sidecars = _sum(sidecars, needs)
            starting = _max(starting, sidecars)
        else:
            starting = _max(starting, _sum(needs, sidecars))
    total = _max(running, starting)
    total.update(_pod_level(spec.fields("resources"), total))
    total = _sum(total, amounts(spec.fields("overhead")))
    total["pods"] = 1
    return {resource: total[resource] for resource in sorted(total) if total[resource]}


def _container(container: Fields, resized: dict[str, dict[str, int]]) -> dict[str, int]:
    """A container's requests; a limit stands in for a missing request, as the API server defaults it."""
    resources = container.fields("resources")
    asked = {**amounts(resources.fields("limits")), **amounts(resources.fields("requests"))}
    return _max(asked, resized.get(container.text("name"), {}))


def _resized(status: Fields) -> dict[str, dict[str, int]]:
    """By container: the larger of what the kubelet has allocated and of what the runtime has set."""
    found: dict[str, dict[str, int]] = {}
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.each(kind):
            allocated = amounts(container.fields("allocatedResources"))
            actual = amounts(container.fields("resources").fields("requests"))
            found[container.text("name")] = _max(allocated, actual)
    return found


def _pod_level(resources: Fields, containers: dict[str, int]) -> dict[str, int]:
    """The requests of `spec.resources`; a limit stands in where neither pod nor container has a request."""
    requests, limits = amounts(resources.fields("requests")), amounts(resources.fields("limits"))
    defaulted = {resource: amount for resource, amount in limits.items() if resource not in containers}
    found = {**defaulted, **requests}
    return {resource: amount for resource, amount in found.items() if resource.startswith(_POD_LEVEL)}


def _sum(left: Resources, right: Resources) -> dict[str, int]:
    return {resource: left.get(resource, 0) + right.get(resource, 0) for resource in _names(left, right)}


def _max(left: Resources, right: Resources) -> dict[str, int]:
    return {resource: max(left.get(resource, 0), right.get(resource, 0)) for resource in _names(left, right)}


def _names(left: Resources, right: Resources) -> Iterable[str]:
    return {**left, **right}
