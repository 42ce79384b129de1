"""A real Kubernetes control plane with the real mig-manager, without containers and without a GPU.

Real, built from Go modules (`tools.py`): etcd, kube-apiserver, kube-scheduler, kube-controller-manager,
kubectl, nvidia-mig-manager, nvidia-mig-parted. Played, each in a small module that lists its duties
(`played.py` names them): the
kubelets, the GPUs behind a
`libnvidia-ml.so.1`, the device plugin with GPU feature discovery, the GPU Operator's labeller.

In tests, ask for the fixture `cluster` (`tests/conftest.py`): it is started once per test run and emptied
after each test.

    cluster.gpu_node("a")                              # 2 x H100-80GB at all-7g.80gb, in service
    cluster.gpu_node("b", {"3g.40gb": 2}, None)        # layouts by GPU; None is MIG off
    pod = cluster.pod("infer-0", {"1g.10gb": 1})       # "namespace/name"
    cluster.wait_running([pod])
    cluster.layout("a"), cluster.nvml_log("a")         # what NVML shows, and every instance created or
    destroyed
    cluster.control_plane.service_account("ns", "sa")  # a kubeconfig with a token
    cluster.played.knobs.plugin_returns = False        # faults
"""
