"""The custom resources in the real API server."""

from __future__ import annotations

import pytest
from kubernetes import client, config

from autoslicer.api.crds import GROUP, RESOURCES, VERSION, crds_yaml
from tests.api.server import CustomResources, Kubectl, refusal
from tests.cluster.fixture import Cluster
from tests.cluster.waiting import until


@pytest.fixture(scope="session")
def kubectl(running_cluster: Cluster) -> Kubectl:
    return running_cluster.kubectl


@pytest.fixture(scope="session")
def resources(running_cluster: Cluster) -> CustomResources:
    """Install the CRDs and wait until every kind is served, which comes a little after Established."""
    running_cluster.kubectl("apply", "--server-side", "-f", "-", stdin=crds_yaml())
    api = client.CustomObjectsApi(config.new_client_from_config(str(running_cluster.kubeconfig)))

    def served() -> bool:
        lists = (resource.plural for resource in RESOURCES)
        return all(
            refusal(lambda plural=plural: api.list_cluster_custom_object(GROUP, VERSION, plural)) is None
            for plural in lists
        )

    until(served, 10, lambda: "the CRDs are not served")
    return CustomResources(api)
