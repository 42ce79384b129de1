"""What can be done to a cluster, one function each; a node's name is empty where it concerns all."""

from __future__ import annotations

import contextlib
import itertools

from autoslicer.core import names
from tests.chaos.recorder import NODES
from tests.chaos.scene import Scene, patiently
from tests.cluster import operator
from tests.cluster.api import ApiError
from tests.cluster.fixture import OURS
from tests.cluster.gpu_model import described
from tests.e2e.controller import CHANGES

OPERATORS_PODS = f"/api/v1/namespaces/{operator.NAMESPACE}/pods"
OUR_FILE = f"/api/v1/namespaces/{operator.NAMESPACE}/configmaps/{OURS}"
FOREIGN = "all-balanced"
LATE = 600.0
_numbers = itertools.count(1)


def leave(scene: Scene, node: str) -> None:
    """Nothing is to be mended."""


def say_success(scene: Scene, node: str) -> None:
    """The success of an earlier run stands there again."""
    _labels(scene, node, {names.MIG_CONFIG_STATE: "success"})


def relabel(scene: Scene, node: str) -> None:
    """A human sets another config."""
    _labels(scene, node, {names.MIG_CONFIG: FOREIGN})


def relabel_and_back(scene: Scene, node: str) -> None:
    """A human sets another config and takes it back at once: mig-manager never hears of it."""
    ours = scene.cluster.labels(node)[names.MIG_CONFIG]
    _labels(scene, node, {names.MIG_CONFIG: FOREIGN})
    _labels(scene, node, {names.MIG_CONFIG: ours})


def hold(scene: Scene, node: str) -> None:
    """Processes that no pod shows hold every instance."""
    for gpu in range(2):
        scene.cluster.set_busy(node, gpu)


def hold_last(scene: Scene, node: str) -> None:
    """A process holds the last instance of the first GPU: those before it are destroyed, then it fails."""
    found = [i for i in scene.cluster.played.nodes[node].gpus.instances() if i.gpu == 0]
    if found:
        scene.cluster.set_busy(node, 0, instance=max(i.id for i in found))


def let_go(scene: Scene, node: str) -> None:
    """The processes end."""
    for gpu in range(2):
        scene.cluster.set_busy(node, gpu, busy=False)


def forbid(scene: Scene, _: str) -> None:
    """mig-manager may not list pods any more: its run ends in the middle."""
    operator.allow(scene.cluster.api, [])


def allow(scene: Scene, _: str) -> None:
    """It may again."""
    operator.allow(scene.cluster.api, operator.MIG_MANAGER_RULES)


def restart_api(scene: Scene, _: str) -> None:
    """The API server dies and is started again."""
    scene.cluster.restart_apiserver()


def clear(scene: Scene, node: str) -> None:
    """The GPUs of the newest change are empty, as after a config with an unknown profile."""
    found = [c for c in scene.recorder.objects(CHANGES) if c["spec"]["node"]["name"] == node]
    newest = max(found, key=lambda change: int(change["metadata"]["name"].rpartition("-")[2]))
    for gpu in newest["spec"]["gpus"]:
        if gpu["changed"]:
            scene.cluster.played.nodes[node].gpus.empty(gpu["index"])


def refuse(scene: Scene, node: str) -> None:
    """The driver makes no instance of the profile with media engines."""
    _places(scene, node, there=False)


def accept(scene: Scene, node: str) -> None:
    """It makes them again."""
    _places(scene, node, there=True)


def stale(scene: Scene, _: str) -> None:
    """Kubelets bring no ConfigMap into running pods for a long time."""
    scene.cluster.played.knobs.touch_seconds = LATE


def fresh(scene: Scene, _: str) -> None:
    """They do again."""
    scene.cluster.played.knobs.touch_seconds = 0.2


def recut(scene: Scene, node: str) -> None:
    """The GPUs of an idle node are cut by another hand, and nobody tells the device plugin."""
    whole = {"7g.80gb": 1}
    gpus = scene.cluster.played.nodes[node].gpus
    other = {"3g.40gb": 2} if gpus.layout()[0] == whole else whole
    gpus.cut(other, other)


def lose_layout(scene: Scene, node: str) -> None:
    """Every instance is gone, as after a reboot that nobody noticed, and the device plugin looks again."""
    for gpu in range(2):
        scene.cluster.played.nodes[node].gpus.empty(gpu)
    _delete_operand(scene, node, "device-plugin")


def crash(scene: Scene, node: str) -> None:
    """mig-manager dies, and its container is started again."""
    scene.cluster.played.nodes[node].mig_manager.crash()


def delete_manager(scene: Scene, node: str) -> None:
    """mig-manager's pod is deleted; under our taint it does not come back."""
    _delete_operand(scene, node, "mig-manager")


def silence(scene: Scene, _: str) -> None:
    """Every mig-manager dies and does not come up again."""
    scene.cluster.played.knobs.mig_manager = False
    for node in scene.nodes:
        crash(scene, node)


def revive(scene: Scene, _: str) -> None:
    """They come up."""
    scene.cluster.played.knobs.mig_manager = True


def dismiss(scene: Scene, node: str) -> None:
    """An administrator switches mig-manager off on the node."""
    _labels(scene, node, {"nvidia.com/gpu.deploy.mig-manager": "false"})


def readmit(scene: Scene, node: str) -> None:
    """And on again."""
    _labels(scene, node, {"nvidia.com/gpu.deploy.mig-manager": "true"})


def keep_plugin(scene: Scene, _: str) -> None:
    """No device plugin advertises anything."""
    scene.cluster.played.knobs.plugin_returns = False


def return_plugin(scene: Scene, _: str) -> None:
    """They do again."""
    scene.cluster.played.knobs.plugin_returns = True


def other_file(scene: Scene, _: str) -> None:
    """ClusterPolicy names the Operator's own ConfigMap, and every mig-manager pod is replaced."""
    operator.configure(scene.cluster.api, operator.DEFAULT_CONFIG_MAP)


def our_file(scene: Scene, _: str) -> None:
    """It names ours again."""
    operator.configure(scene.cluster.api, OURS)


def roll(scene: Scene, _: str) -> None:
    """The DaemonSet's template changes, and every mig-manager pod is replaced."""
    annotation = {"metadata": {"annotations": {"nvidia.com/upgrade": str(next(_numbers))}}}
    path = f"{operator.DAEMON_SETS}/{operator.OPERANDS['mig-manager']}"
    scene.cluster.api.patch(path, {"spec": {"template": annotation}})


def reboot(scene: Scene, node: str) -> None:
    """mig-manager reboots the node: it is lost, and its instances are gone."""
    _labels(scene, node, {names.MIG_CONFIG_STATE: "rebooting"})
    _ready(scene, node, "False")
    for gpu in range(2):
        scene.cluster.played.nodes[node].gpus.empty(gpu)
    crash(scene, node)


def boot(scene: Scene, node: str) -> None:
    """It is back; mig-manager applies its label again when it starts."""
    crash(scene, node)
    _ready(scene, node, "True")


def lose(scene: Scene, node: str) -> None:
    """The node is NotReady."""
    _ready(scene, node, "False")


def find(scene: Scene, node: str) -> None:
    """It is Ready again."""
    _ready(scene, node, "True")


def replace_node(scene: Scene, node: str) -> None:
    """The machine is taken away and another comes under its name."""
    scene.cluster.remove_node(node)
    scene.add(node)


def walk_in(scene: Scene, node: str) -> None:
    """A pod that names its node takes a slice that is still there."""
    profile = next(iter(scene.cluster.slices(node)), "1g.10gb")
    name = f"walker-{next(_numbers)}"
    scene.kept[f"walker {node}"] = scene.cluster.pod(name, {profile: 1}, nodeName=node)


def walk_in_late(scene: Scene, node: str) -> None:
    """The same, after the label: whether it finds slices depends on how far mig-manager is."""
    walk_in(scene, node)
    scene.walked_in.add(scene.kept[f"walker {node}"])


def walk_out(scene: Scene, node: str) -> None:
    """It ends."""
    key = scene.kept.pop(f"walker {node}", "")
    if key:
        scene.cluster.delete_pod(key)


def cordon(scene: Scene, node: str) -> None:
    """A human cordons the node."""
    scene.patch_node(node, {"spec": {"unschedulable": True}})


def uncordon(scene: Scene, node: str) -> None:
    """And uncordons it."""
    scene.patch_node(node, {"spec": {"unschedulable": None}})


def untaint(scene: Scene, node: str) -> None:
    """Somebody takes our taint away."""
    taints = scene.cluster.node(node)["spec"].get("taints", [])
    others = [taint for taint in taints if taint["key"] != names.TAINT]
    scene.patch_node(node, {"spec": {"taints": others or None}})


def delete_change(scene: Scene, node: str) -> None:
    """A human deletes the node's newest MigReconfiguration."""
    newest = scene.newest(node)
    if newest is not None:
        scene.cluster.api.delete(f"{CHANGES}/{newest.name}")


def break_file(scene: Scene, _: str) -> None:
    """Somebody writes an entry into our ConfigMap that mig-parted does not accept."""
    text = patiently(lambda: scene.cluster.api.get(OUR_FILE))["data"]["config.yaml"]
    scene.kept["file"] = text
    broken = f"{text}  broken:\n  - devices: all\n    mig-enabled: true\n    mig-device: {{}}\n"
    patiently(lambda: scene.cluster.api.patch(OUR_FILE, {"data": {"config.yaml": broken}}))


def mend_file(scene: Scene, _: str) -> None:
    """And takes it out."""
    text = scene.kept.pop("file")
    patiently(lambda: scene.cluster.api.patch(OUR_FILE, {"data": {"config.yaml": text}}))


def _delete_operand(scene: Scene, node: str, operand: str) -> None:
    for pod in scene.cluster.operands(node):
        if pod["metadata"]["labels"]["app"] == operator.OPERANDS[operand]:
            scene.cluster.api.delete(f"{OPERATORS_PODS}/{pod['metadata']['name']}", now=True)


def _labels(scene: Scene, node: str, labels: dict[str, str]) -> None:
    scene.patch_node(node, {"metadata": {"labels": labels}})


def _ready(scene: Scene, node: str, value: str) -> None:
    condition = {"type": "Ready", "status": value, "reason": "KubeletReady"}
    body = {"status": {"conditions": [condition]}}
    with contextlib.suppress(ApiError):
        patiently(lambda: scene.cluster.api.patch(f"{NODES}/{node}/status", body))


def _places(scene: Scene, node: str, *, there: bool) -> None:
    """Whether the fake driver finds a place for instances of profiles with media engines.

    If it said that no GPU has such a profile, mig-parted would end, whatever it is asked for.
    """
    gpus = scene.cluster.played.nodes[node].gpus
    profiles = [
        profile if there or "+me" not in profile["name"] else {**profile, "placements": ()}
        for profile in gpus.model["profiles"]
    ]
    model = {**gpus.model, "profiles": profiles}
    name = gpus.product.replace("-", " ")
    text = described(model, gpus.count, name=name, pci=gpus.pci, memory=gpus.memory_mib)
    (gpus.directory / "model").write_text(text)
