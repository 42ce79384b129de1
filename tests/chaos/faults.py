"""The catalogue of faults: what goes wrong, at which moment of a change, and how it gets well again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from autoslicer.core.phases import Phase
from tests.chaos import breakages as it
from tests.chaos.scene import Scene

BEFORE = "before"
"""the moment before the demand comes"""
SUCCESS = "success"
"""the moment in which mig-manager reports success for our label"""
AT_THE_END: float = -1.0
"""the world gets well when the change has ended"""
Act = Callable[[Scene, str], None]


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: for tables.
        moment: of the change in which it comes: a phase, or one of the moments above.
        inject: lets it happen to a node.
        mend: ends it.
        delay: seconds from the moment to the fault.
        lasts: seconds from the fault to its end, or `AT_THE_END`.
        together: it is injected once for all nodes, with the empty name.
        gather: seconds that such a fault waits for more nodes to come to its moment.
        slices: what the demand of such a round asks for, where it is not the usual.
        same: it asks for the layout that the node has when the round begins.
        odd: it asks for layouts that nobody asked for before, so that their configs are new.
    """

    name: str
    moment: str
    inject: Act
    mend: Act = it.leave
    delay: float = 0.0
    lasts: float = 0.0
    together: bool = False
    gather: float = 2.0
    slices: tuple[tuple[str, int], ...] = ()
    same: bool = False
    odd: bool = False


LABELLED, TAINTED, DRAINED = Phase.LABELLED, Phase.TAINTED, Phase.DRAINED
RUN = 1.5
"""seconds after the label mig-manager is in the middle of its run"""

FAULTS = (
    Fault("stale success", LABELLED, it.say_success),
    Fault("label changed while pending", LABELLED, it.relabel, delay=RUN),
    Fault("label changed and changed back", LABELLED, it.relabel_and_back, delay=RUN),
    Fault("a process on every GPU: failed, not retried", LABELLED, it.hold, it.let_go, lasts=AT_THE_END),
    Fault("a process on one instance: partial", LABELLED, it.hold_last, it.let_go, lasts=AT_THE_END),
    Fault("mig-manager may not list pods: wedge", LABELLED, it.forbid, it.allow, lasts=4.0, together=True),
    Fault("API server lost in the run: wedge", LABELLED, it.restart_api, delay=RUN, together=True),
    Fault("success that cleared everything", SUCCESS, it.clear),
    Fault(
        *("layout that the driver refuses", TAINTED, it.refuse, it.accept),
        lasts=AT_THE_END,
        slices=(("1g.10gb+me", 1),),
    ),
    Fault(
        "ConfigMap not projected in time",
        BEFORE,
        it.stale,
        it.fresh,
        lasts=AT_THE_END,
        together=True,
        odd=True,
    ),
    Fault("mig-manager killed in the run", LABELLED, it.crash, delay=RUN),
    Fault("mig-manager's pod deleted in the run", LABELLED, it.delete_manager, delay=RUN),
    Fault("mig-manager crash-looping", LABELLED, it.silence, it.revive, lasts=10.0, together=True),
    Fault("mig-manager absent", DRAINED, it.dismiss, it.readmit, lasts=4.0),
    Fault("device plugin late", LABELLED, it.keep_plugin, it.return_plugin, lasts=15.0, together=True),
    Fault("device plugin stays away", LABELLED, it.keep_plugin, it.return_plugin, 0, AT_THE_END, True),
    Fault("ClusterPolicy names another file", LABELLED, it.other_file, it.our_file, RUN, 3.0, True),
    Fault("operator upgrade rolls mig-manager", LABELLED, it.roll, delay=RUN, together=True),
    Fault("reboot in the run", LABELLED, it.reboot, it.boot, delay=RUN, lasts=4.0),
    Fault("node NotReady in the run", LABELLED, it.lose, it.find, delay=RUN, lasts=4.0),
    Fault("node deleted and made anew", LABELLED, it.replace_node, delay=RUN),
    Fault("pod slips in before the label", TAINTED, it.walk_in, it.walk_out, lasts=3.0),
    Fault("pod slips in after the label", LABELLED, it.walk_in_late, it.walk_out, lasts=AT_THE_END),
    Fault("cordoned by a human before the label", TAINTED, it.cordon, it.uncordon, lasts=4.0),
    Fault("cordoned by a human after the label", LABELLED, it.cordon, it.uncordon, lasts=8.0),
    Fault("our taint taken away before the label", TAINTED, it.untaint),
    Fault("our taint taken away after the label", LABELLED, it.untaint, delay=RUN),
    Fault("change object deleted in the run", LABELLED, it.delete_change, delay=RUN),
    Fault("layout lost while idle, its name still there", BEFORE, it.lose_layout, same=True),
    Fault("device plugin tells an old story", BEFORE, it.recut),
    Fault(
        *("ConfigMap broken by a human", TAINTED, it.break_file, it.mend_file),
        lasts=4.0,
        together=True,
        gather=0.2,
        odd=True,
    ),
)
