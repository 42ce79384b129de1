"""What a change does whose label somebody replaced: nothing but wait until mig-manager rests, and end."""

from __future__ import annotations

from autoslicer.core import names
from autoslicer.core.actions import WakeAt
from autoslicer.core.changes import applying
from autoslicer.core.changes.attempts import asked
from autoslicer.core.changes.transition import Result, deadline, end
from autoslicer.core.nodes import evidence
from autoslicer.core.phases import Phase
from autoslicer.core.plan import Verdict
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import NodeRow, ReconfigurationRow


def relabelled(change: ReconfigurationRow, node: NodeRow, now: float) -> Result:
    """The end of the change, Cancelled as another owner's, once mig-manager has settled.

    Until then, and at most until the deadline, the taint stays and nothing is touched.
    """
    noted, settled = applying.settling(change, node, now)
    if now < min(settled, deadline(change)):
        return noted.status, (WakeAt(min(settled, deadline(change))),)
    found = evidence.config(node) or "nothing"
    message = f"somebody set {names.MIG_CONFIG} to {found} while {asked(change).name} was being applied"
    return end(noted, node, now, Phase.CANCELLED, Verdict(node.name, Reason.ForeignOwner, message))
