"""A plan for people: what would change, old -> new on every GPU, and why the rest stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from autoslicer.cli.wording import examples, layout, number
from autoslicer.core.causes import Cause
from autoslicer.core.plan import Plan, Reshape, Verdict, summary
from autoslicer.core.reasons import Reason
from autoslicer.core.rows import GpuTarget
from solver.solution import Level, Status

if TYPE_CHECKING:
    from rich.console import Console

FEW = 3
"""names shown as examples where not all are asked for"""
_ORDER = {reason: place for place, reason in enumerate(Reason)}


def draw(console: Console, plan: Plan, *, wide: bool) -> None:
    """Print the plan; `wide` names every pod, every node and the objective's levels."""
    sentence = summary(plan)
    console.print(f"{sentence[0].upper()}{sentence[1:]}.", style="bold")
    if plan.reshapes:
        console.print("\nReshapes, in the order in which they would be carried out")
        for place, reshape in enumerate(plan.reshapes, start=1):
            _reshape(console, place, reshape, wide=wide)
    if wide and plan.served:
        _served(console, plan)
    _verdicts(console, "Pods that cannot be served", "pod", plan.unserved, wide=wide)
    _verdicts(console, "Nodes that may not change", "node", plan.refusals, wide=wide)
    console.print()
    for sentence in _quality(plan):
        console.print(sentence, style="dim")
    if wide:
        _levels(console, plan.levels)


def _reshape(console: Console, place: int, reshape: Reshape, *, wide: bool) -> None:
    pods = examples(reshape.serves, len(reshape.serves) if wide else FEW)
    console.print(f"  {place}. {reshape.node}", style="bold")
    _indented(console, f"label   {reshape.source} -> {reshape.target}  (policy {reshape.policy})")
    width = max(len(layout(gpu.before)) for gpu in reshape.gpus)
    for gpu in reshape.gpus:
        console.print(f"     GPU {gpu.index:<3} {_gpu(gpu, width)}", style="green" if gpu.changed else "dim")
    if reshape.cause is Cause.DEMAND:
        _indented(console, f"serves  {number(len(reshape.serves), 'pod')}: {pods}")
    else:
        _indented(console, f"cause   {reshape.cause}; no pod waits for it")
    if reshape.evictions:
        _indented(console, f"evicts  {examples(reshape.evictions, len(reshape.evictions))}")


def _gpu(gpu: GpuTarget, width: int) -> str:
    before = f"{layout(gpu.before):<{width}}"
    return f"{before}  ->  {layout(gpu.after)}" if gpu.changed else f"{before}      (stays)"


def _served(console: Console, plan: Plan) -> None:
    from rich.table import Table

    table = Table("POD", "NODE", "BY", box=None, pad_edge=False, header_style="bold")
    for served in plan.served:
        table.add_row(served.pod, served.node, served.by)
    console.print()
    console.print(table)


def _verdicts(console: Console, title: str, noun: str, verdicts: Sequence[Verdict], *, wide: bool) -> None:
    """Verdicts of one reason together; `wide` tells every message, else one stands for all of them."""
    if not verdicts:
        return
    console.print(f"\n{title}")
    for same in _grouped(verdicts, by_message=wide):
        names = examples([verdict.name for verdict in same], len(same) if wide else FEW)
        _indented(console, f"{same[0].reason} ({number(len(same), noun)}): {names}", indent=2, style="yellow")
        alike = len({verdict.message for verdict in same}) == 1
        _indented(console, same[0].message if alike else f"{same[0].name}: {same[0].message}")


def _grouped(verdicts: Sequence[Verdict], *, by_message: bool) -> Iterator[list[Verdict]]:
    """Groups in the order of the reasons, larger ones first; each sorted by name."""
    groups: dict[tuple[Reason, str], list[Verdict]] = {}
    for verdict in sorted(verdicts, key=lambda verdict: verdict.name):
        groups.setdefault((verdict.reason, verdict.message if by_message else ""), []).append(verdict)
    for key in sorted(groups, key=lambda key: (_ORDER[key[0]], -len(groups[key]), key[1])):
        yield groups[key]


def _quality(plan: Plan) -> Iterator[str]:
    match plan.status:
        case Status.OPTIMAL if plan.pending_pods:
            yield "Proven: no other plan serves more pods, by priority, or the same with fewer changes."
        case Status.FEASIBLE if plan.gap:
            yield f"Legal, but another plan may serve up to {plan.gap:.1%} more; --effort N searches longer."
        case Status.FEASIBLE:
            yield "No plan serves more pods; fewer changes may do for them (--effort N searches longer)."
        case Status.FALLBACK:
            yield "The search failed; this is the simple method's plan, legal but perhaps not the best."
        case _:
            pass
    seen = f"{number(plan.nodes, 'governed node')}, {number(plan.pending_pods, 'pending pod')}"
    yield f"Snapshot {plan.digest.removeprefix('sha256:')[:12]}: {seen}."


def _levels(console: Console, levels: Sequence[Level]) -> None:
    from rich.table import Table

    table = Table("OBJECTIVE", "PRIORITY", "VALUE", "BOUND", box=None, pad_edge=False, header_style="bold")
    for level in levels:
        priority = (
            "" if level.rank is None else f"{level.rank.priority}{' (starved)' if level.rank.starved else ''}"
        )
        bound = "unknown" if level.bound is None else str(level.bound)
        table.add_row(level.name, priority, str(level.value), bound)
    console.print()
    console.print(table)


def _indented(console: Console, text: str, *, indent: int = 5, style: str = "") -> None:
    """A paragraph whose further lines, where a terminal wraps it, stand under its first."""
    from rich.padding import Padding
    from rich.text import Text

    console.print(Padding(Text(text, style=style), (0, 0, 0, indent), expand=False))
