"""The same cluster gives the same bytes."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

from autoslicer.core.planning.digest import digest
from autoslicer.core.snapshot import read
from tests.build import Builder, dump, node, pod
from tests.core.scenes import everything

PRINT_PLAN = """
import json, sys
from autoslicer.core.plan import document
from autoslicer.core.planner import plan
from autoslicer.core.snapshot import read
found = read(json.load(sys.stdin))
print(json.dumps(document(plan(found, found.policies, 1795176000.0))))
"""


def printed(text: str, seed: str) -> bytes:
    """The plan that a fresh interpreter with this hash seed prints for a dump."""
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    ran = subprocess.run(
        [sys.executable, "-c", PRINT_PLAN],
        input=text.encode(),
        env=environment,
        capture_output=True,
        check=True,
    )
    return ran.stdout


def test_order_and_hash_seed_do_not_matter() -> None:
    """Shuffled items and keys under other hash seeds give the same plan, byte by byte, and no empty one."""
    found = everything()
    plans = set()
    for seed in ("0", "1", "4711"):
        random.Random(seed).shuffle(found["items"])
        items = [dict(reversed(item.items())) for item in found["items"]]
        plans.add(printed(json.dumps({**found, "items": items}), seed))
    (plan,) = (json.loads(text) for text in plans)
    assert plan["reshapes"]
    assert plan["served"]
    assert plan["refusals"]


def test_the_digest_ignores_bookkeeping() -> None:
    """Versions, managed fields and ended pods leave the digest as it is; a label or a request changes it."""
    base = node("a").gpus(1).config("all-7g.80gb")
    waiting = pod("ns/w").wants({"1g.10gb": 1})

    def of(*objects: Builder) -> str:
        return digest(read(dump(*objects)))

    same = of(base, waiting)
    assert same.startswith("sha256:")
    assert same == of(waiting, base)
    assert same == of(
        base.set("metadata.resourceVersion", "9").set("metadata.managedFields", [{"a": 1}]), waiting
    )
    assert same == of(base, waiting, pod("ns/done").wants({"1g.10gb": 1}).on("a").phase("Succeeded"))
    assert same != of(base.labels({"zone": "b"}), waiting)
    assert same != of(base, waiting.wants({"1g.10gb": 2}))
    assert same != of(base, waiting, pod("ns/runs").wants({"7g.80gb": 1}).on("a"))
