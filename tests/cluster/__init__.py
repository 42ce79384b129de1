"""A real Kubernetes control plane with the real mig-manager, without containers and without a GPU.

Real, built from Go modules (`tools.py`): etcd, kube-apiserver, kube-scheduler, kube-controller-manager,
kubectl, nvidia-mig-manager, nvidia-mig-parted. Played, each in a small module that lists its duties
(`played.py` names them): the kubelets, the GPUs behind a `libnvidia-ml.so.1`, the device plugin with GPU
feature discovery, the GPU Operator's labeller.

In tests, ask for the fixture `cluster` (`tests/conftest.py`): it is started once per test run and emptied
after each test. Session-wide objects (CRDs, RBAC) are applied with `running_cluster`.

    cluster.gpu_node("a")                              # 2 x H100-80GB at all-7g.80gb, in service
    cluster.gpu_node("b", {"3g.40gb": 2}, config="all-3g.40gb", cpu="8", taints=[...])
    cluster.plain_node("c")
    pod = cluster.pod("infer-0", {"1g.10gb": 1}, cpu="2", priority=1000, nodeSelector={...})
    cluster.wait_running([pod])                        # pod is "namespace/name"; bound means Running at once
    cluster.wait_unschedulable([pod])                  # the scheduler has tried
    cluster.watch_for(lambda: ..., 5)                  # stays true for 5 s

    cluster.slices("a"), cluster.labels("a"), cluster.taints("a")
    cluster.layout("a")                                # what NVML shows: profiles by GPU; None is MIG off
    cluster.nvml_log("a")                              # every instance created or destroyed, busy or not
    cluster.in_service("a")                            # allocatable is what NVML shows
    cluster.set_busy("a", gpu=0)                       # an open process: destroying answers IN_USE
    cluster.configure_operator()                       # mig-manager mounts our ConfigMap from now on
    cluster.label("a", {"nvidia.com/mig.config": "all-1g.10gb"})   # the real mig-manager acts on it

    cluster.kubectl("get", "nodes"), cluster.kubeconfig
    cluster.control_plane.apply(path)                  # server-side apply of manifests
    cluster.control_plane.service_account("ns", "sa")  # a kubeconfig with a token (TokenRequest)
    cluster.control_plane.audit()                      # what our service accounts asked of the API server
    cluster.restart_apiserver(away=2)
    cluster.played.knobs.plugin_returns = False        # faults and delays: see `played.Knobs`

A layout that `config` does not name is cut anew by the real mig-manager as soon as it starts.
"""
