"""`python -m tests.chaos`: kills and faults on a real control plane."""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import time
from pathlib import Path

from tests.chaos import report
from tests.chaos.agents import Agents
from tests.chaos.faults import FAULTS
from tests.chaos.injections import Injecting
from tests.chaos.journal import Journal
from tests.chaos.kills import Killing
from tests.chaos.scene import HASTY, PATIENT, Scene
from tests.cluster.fixture import Cluster
from tests.cluster.toolchain import ToolError
from tests.e2e.controller import install


def main() -> int:
    """Run; progress goes to stderr, the tables to stdout.

    1 where an invariant did not hold, or a fault was met too seldom.
    """
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", file=sys.stderr, flush=True)

    broken, journal = False, Journal(arguments.journal)
    try:
        cluster = Cluster()
    except ToolError as error:
        sys.exit(str(error))
    try:
        cluster.start()
        install(cluster)
        document: dict[str, object] = {}
        if arguments.kills:
            stage = Scene(cluster, arguments.nodes, seed=arguments.seed, **PATIENT)
            with stage as scene, Agents(scene, scene.nodes[::2]):
                outcome = Killing(scene, arguments.seed, arguments.kills, arguments.each, say, journal).run()
            print(report.of_kills(outcome), flush=True)
            broken |= bool(outcome.violations)
            document["kills"] = outcome.document()
            cluster.reset()
        if arguments.faults:
            faults = [fault for fault in FAULTS if re.search(arguments.only, fault.name)]
            stage = Scene(cluster, 2 * arguments.nodes, seed=arguments.seed, **HASTY)
            with stage as scene, Agents(scene, scene.nodes[::2]):
                rows = Injecting(scene, arguments.faults, say, journal).run(faults)
            print(report.of_faults(rows), flush=True)
            few = [row.fault for row in rows if len(row.injections) < arguments.faults]
            if few:
                print(f"met fewer than {arguments.faults} times: {', '.join(few)}")
            broken |= bool(few) or any(row.violations for row in rows)
            document["faults"] = [row.document() for row in rows]
        if arguments.json:
            arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    finally:
        cluster.stop(keep_logs=broken or sys.exc_info()[0] is not None)
    return int(broken)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of every choice that is made (1)")
    parser.add_argument("--kills", type=int, default=200, help="kills during changes, at least (200)")
    parser.add_argument("--each", type=int, default=10, help="kills in every phase, at least (10)")
    parser.add_argument(
        "--nodes", type=int, default=5, help="GPU nodes for the kills, twice as many for the faults (5)"
    )
    parser.add_argument("--faults", type=int, default=20, help="injections of every fault, at least (20)")
    parser.add_argument("--only", default="", help="faults whose name matches this expression (all)")
    parser.add_argument("--journal", type=Path, help="keep what is done here; the same file goes on with it")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
