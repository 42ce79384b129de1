"""The names that autoslicer and NVIDIA's components agree on: labels, annotations, taints, values."""

from __future__ import annotations

GROUP = "autoslicer.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

# NVIDIA's labels; see mig-manager (cmd/nvidia-mig-manager), the GPU Operator and GPU feature discovery
MIG_CONFIG = "nvidia.com/mig.config"
MIG_CONFIG_STATE = "nvidia.com/mig.config.state"
MIG_CAPABLE = "nvidia.com/mig.capable"
MIG_STRATEGY = "nvidia.com/mig.strategy"
GPU_PRODUCT = "nvidia.com/gpu.product"
GPU_COUNT = "nvidia.com/gpu.count"
GPU_DEPLOY_PREFIX = "nvidia.com/gpu.deploy."
DRIVER_UPGRADE_STATE = "nvidia.com/gpu-driver-upgrade-state"
FOREIGN_PREFIXES = ("hami.io/", "nos.nebuly.com/")
"""labels and annotations of other owners of a node's MIG layout: HAMi and nos"""
DRA_PLUGIN = "nvidia.com/dra-kubelet-plugin"
"""the label by which nodes are chosen for NVIDIA's DRA driver, with the value "true" """
GPU_DRA_DRIVERS = ".nvidia.com"
"""how the names of NVIDIA's DRA drivers end (`gpu.nvidia.com`, `compute-domain.nvidia.com`)"""
PAUSED = "paused-for-mig-change"
"""mig-manager's value of `gpu.deploy.*` while it keeps a GPU client away; every value that begins with
"paused" counts as paused."""
MIG_RESOURCE_PREFIX = "nvidia.com/mig-"
GPU_RESOURCE = "nvidia.com/gpu"
MIG_MANAGER_APP = "nvidia-mig-manager"
"""the value of the label `app` of mig-manager's pods"""
PLUGIN_APP, DISCOVERY_APP = "nvidia-device-plugin-daemonset", "gpu-feature-discovery"
"""the same of its device plugin and of GPU feature discovery (gpu-operator, assets/state-device-plugin and
gpu-feature-discovery)"""

# autoscalers of nodes: Karpenter (karpenter.sh) and the Cluster Autoscaler (cluster-autoscaler, FAQ)
LEAVING_TAINTS = {
    "karpenter.sh/disrupted": "Karpenter",
    "karpenter.sh/disruption": "Karpenter",
    "ToBeDeletedByClusterAutoscaler": "the Cluster Autoscaler",
}
"""taints of nodes that are being deleted, and who sets them; Karpenter's had another name before v1.

DeletionCandidateOfClusterAutoscaler is none of them: it marks a node that nobody needs now, which may be just
the one to cut anew; it goes when the node is used, in some versions never (kubernetes/autoscaler, issue 7964)
"""
DO_NOT_DISRUPT = ("cluster-autoscaler.kubernetes.io/scale-down-disabled", "karpenter.sh/do-not-disrupt")
"""node annotations that keep these autoscalers from deleting the node, with the value "true" """

# ours
TAINT = f"{GROUP}/reshaping"
APPLIED_CONFIG = f"{GROUP}/applied-config"
"""node annotation: the value of `nvidia.com/mig.config` that we set last"""
MARKS = f"{GROUP}/marks"
"""node annotation: which of `DO_NOT_DISRUPT` are ours, with commas between; others were there before"""
IDLE_SINCE = f"{GROUP}/idle-since"
"""node annotation: since when (RFC 3339) nobody has used the node, where its policy wants to know that"""
DRIFT = f"{GROUP}/drift"
"""node annotation: since when (RFC 3339) the stories of the node's layout have differed"""
IGNORE = f"{GROUP}/ignore"
"""annotation of a pod or node that opts out with the value "true" """
UNDISTURBED = {
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
}
"""annotations of pods that must not be evicted for the cluster's sake, and the values that say so"""
PUBLISHED = f"{GROUP}/published"
"""annotation of a mig-manager pod: `<config name>@<RFC 3339 time>` of the touch that made the kubelet project
the ConfigMap"""
LEASE = "autoslicer"
"""the Lease that its holder leads by"""
PAUSE = f"{GROUP}/paused"
"""annotation of the Lease: no change starts anywhere; its value says since when, by whom and why"""
RESUMED = f"{GROUP}/resumed"
"""annotation of the Lease: changes that failed up to this time open no circuit"""
APPROVED_BY = f"{GROUP}/approved-by"
"""annotation of a MigReconfiguration: the user who approved it with `autoslicer approve`, or `BY_POLICY`"""
BY_POLICY = f"{GROUP}/mode-auto"
"""who approves the changes of a policy in mode Auto"""
KIND = f"{GROUP}/kind"
"""annotation of a MigReconfiguration: the kind of node that it was planned for, see `kinds.kind`"""
POLICY_LABEL = f"{GROUP}/policy"
CONFIG_PREFIX = "autoslicer-"

DEFAULT_OPERATOR_NAMESPACE = "gpu-operator"
DEFAULT_OPERATOR_CONFIGMAP = "default-mig-parted-config"
