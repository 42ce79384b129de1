import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.build import dump, node, pod
from tests.cli.conftest import Command
from tests.cli.dump import served_as_it_is, waiting_for_a_reshape

Saved = Callable[[Any], str]
PROGRAM = Path(sys.executable).with_name("autoslicer")


def test_plan_answers_first_in_a_sentence(autoslicer: Command, saved: Saved) -> None:
    """The first line says how many pods are helped, at what price, and how many cannot be."""
    ended = autoslicer("plan", "-f", saved(waiting_for_a_reshape()))
    assert ended.code == 0
    first = ended.out.splitlines()[0]
    assert first.startswith("7 of 8 pending pods can be served by reshaping 1 node; ")
    assert "1 cannot be served" in first


def test_plan_shows_old_and_new_of_every_gpu_and_why_not(autoslicer: Command, saved: Saved) -> None:
    """After the sentence come the changes, layout by layout, and then what stays unserved with the reason."""
    out = autoslicer("plan", "-f", saved(waiting_for_a_reshape())).out
    assert "GPU 0   1 x 7g.80gb  ->  7 x 1g.10gb" in out
    assert "NoFeasibleLayout (1 pod): team/train" in out
    assert out.index("Reshapes") < out.index("Pods that cannot be served")


def test_plan_without_need_changes_nothing(autoslicer: Command, saved: Saved) -> None:
    """Where free slices do, nothing is reshaped, and the sentence says that no change is needed."""
    ended = autoslicer("plan", "-f", saved(served_as_it_is()))
    assert ended.code == 0
    assert "1 needs no change" in ended.out.splitlines()[0]
    assert "Reshapes" not in ended.out


def test_wide_names_every_pod_and_the_bounds(autoslicer: Command, saved: Saved) -> None:
    """-o wide says where each pod goes and how good the plan provably is."""
    out = autoslicer("plan", "-f", saved(waiting_for_a_reshape()), "-o", "wide").out
    assert all(f"team/infer-{n}" in out for n in range(7))
    assert "servedWeight" in out


def test_json_and_yaml_are_the_same_document(autoslicer: Command, saved: Saved) -> None:
    """Programs get one versioned document, whichever of the two formats they prefer."""
    path = saved(waiting_for_a_reshape())
    document = json.loads(autoslicer("plan", "-f", path, "-o", "json").out)
    assert (document["apiVersion"], document["kind"]) == ("autoslicer.dev/v1alpha1", "Plan")
    assert document["snapshot"]["pendingPods"] == 8
    assert [len(document[part]) for part in ("reshapes", "served", "unserved")] == [1, 7, 1]
    assert yaml.safe_load(autoslicer("plan", "-f", path, "-o", "yaml").out) == document


@pytest.mark.parametrize(("given", "code"), [(waiting_for_a_reshape, 3), (served_as_it_is, 0)])
def test_detailed_exitcode_tells_whether_anything_changes(
    autoslicer: Command, saved: Saved, given: Callable[[], Any], code: int
) -> None:
    """A script can tell by the exit code whether a node would be reshaped."""
    assert autoslicer("plan", "-f", saved(given()), "--detailed-exitcode").code == code


def test_times_go_to_stderr_alone(autoslicer: Command, saved: Saved) -> None:
    """`--timings` names each part of the work once with its seconds, and the document stays as it is."""
    path = saved(waiting_for_a_reshape())
    timed, plain = (autoslicer("plan", "-f", path, "-o", "json", *more) for more in (["--timings"], []))
    assert timed.out == plain.out
    (line,) = set(timed.err.splitlines()) - set(plain.err.splitlines())
    laps = re.findall(r"(\w+) \d+\.\d\d s", line.removeprefix("timings: "))
    assert laps == ["read", "prepared", "solved", "explained", "digested", "printed"]


def test_stdin_gives_the_same_plan_as_a_file(saved: Saved) -> None:
    """`kubectl get ... -o json | autoslicer plan -f -` works, and stdout carries nothing but the plan."""
    path = saved(waiting_for_a_reshape())
    with open(path, "rb") as stream:
        piped = subprocess.run(
            [PROGRAM, "plan", "-f", "-", "-o", "json"], stdin=stream, capture_output=True, check=True
        )
    read = subprocess.run([PROGRAM, "plan", "-f", path, "-o", "json"], capture_output=True, check=True)
    assert piped.stdout == read.stdout
    assert json.loads(piped.stdout)["kind"] == "Plan"
    assert b"the built-in one governs every node" in piped.stderr


def test_same_input_gives_the_same_bytes_in_any_order_and_process(saved: Saved) -> None:
    """Neither the order of the items nor the hash seed of the process shows in the output."""
    document = waiting_for_a_reshape()
    outputs = set()
    for seed in range(4):
        random.Random(seed).shuffle(document["items"])
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        command = [PROGRAM, "plan", "-f", saved(document), "-o", "json"]
        outputs.add(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    assert len(outputs) == 1


def test_yaml_dump_gives_the_same_plan(autoslicer: Command, saved: Saved) -> None:
    """A dump in YAML, as `kubectl get -o yaml` writes it, is read as well."""
    document = waiting_for_a_reshape()
    from_json = autoslicer("plan", "-f", saved(document), "-o", "json").out
    assert autoslicer("plan", "-f", saved(yaml.safe_dump(document)), "-o", "json").out == from_json


def test_left_out_objects_are_counted_on_stderr(autoslicer: Command, saved: Saved) -> None:
    """A malformed object and kinds that no plan reads do not stop a plan, but are told."""
    broken = node("broken").allocatable({"cpu": "many"}).raw
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "team", "name": "web"}}
    document = waiting_for_a_reshape()
    document["items"] += [broken, service]
    ended = autoslicer("plan", "-f", saved(document))
    assert ended.code == 0
    assert ended.out.startswith("7 of 8 pending pods")
    assert "warning: skipped: Node broken: " in ended.err
    assert "ignored 1 object of kinds that no plan reads: 1 Service" in ended.err


def test_policy_file_stands_in_for_those_of_the_snapshot(
    autoslicer: Command, saved: Saved, tmp_path: Path
) -> None:
    """--policy shows what another policy would do: here one that forbids the profile; nothing changes."""
    policy = tmp_path / "policy.yaml"
    spec = {
        "nodeSelector": {"matchLabels": {"nvidia.com/mig.capable": "true"}},
        "layouts": {"deniedProfiles": ["1g.10gb"]},
    }
    raw = {
        "apiVersion": "autoslicer.dev/v1alpha1",
        "kind": "MigAutoscalingPolicy",
        "metadata": {"name": "strict"},
        "spec": spec,
    }
    policy.write_text(yaml.safe_dump(raw), encoding="utf-8")
    ended = autoslicer("plan", "-f", saved(waiting_for_a_reshape()), "--policy", str(policy))
    assert ended.code == 0
    assert "8 cannot be served" in ended.out.splitlines()[0]
    assert "built-in" not in ended.err


def test_table_is_readable_without_colour_at_80_columns(saved: Saved) -> None:
    """On a terminal of 80 columns under NO_COLOR no line is longer and no colour code appears."""
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80", "TERM": "xterm"}
    command = [
        "script",
        "-qec",
        f"{PROGRAM} plan -f {saved(waiting_for_a_reshape())} 2>/dev/null",
        "/dev/null",
    ]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "7 x 1g.10gb" in shown
    assert "\x1b[3" not in shown
    lines = re.sub(r"\x1b\[\d*m", "", shown).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80


def test_pods_in_use_keep_their_gpu(autoslicer: Command, saved: Saved) -> None:
    """A node where a GPU pod runs is shown among those that may not change, with the reason."""
    document = dump(
        node("gpu-0").gpus(1).config("all-7g.80gb"),
        pod("team/train").wants({"7g.80gb": 1}).on("gpu-0"),
        pod("team/infer").wants({"1g.10gb": 1}),
    )
    out = autoslicer("plan", "-f", saved(document)).out
    assert "0 of 1 pending pod" in out
    assert "Nodes that may not change" in out
    assert "NodeBusy (1 node): gpu-0" in out
