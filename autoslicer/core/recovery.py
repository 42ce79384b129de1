"""What may be done for a change that does not come to its end by itself, as its policy said when planned."""

from __future__ import annotations

from dataclasses import dataclass

MOST_ATTEMPTS = 5
"""no policy may ask for more"""


@dataclass(frozen=True, slots=True)
class Recovery:
    """A change keeps a copy, for the policy may be gone by the time it is needed.

    Attributes:
        pending_deadline: seconds that mig-manager may take for a layout, and then the node to show it.
        max_attempts: how often a layout is asked for at most, the first time included.
        quarantine: seconds for which a node is left alone after a change that failed.
        delete_operator_pods: a wedged mig-manager's pod may be deleted, so that its DaemonSet makes another.
    """

    pending_deadline: float = 1800
    max_attempts: int = 2
    quarantine: float = 1800
    delete_operator_pods: bool = False
