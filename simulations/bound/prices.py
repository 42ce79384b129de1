"""From prices of a GPU over time to a bound on the sum of waits, and to better prices.

Let every job j hold a_j GPUs (in parts of one) from its start S_j on for d_j seconds, S_j not before r_j, and
let the cluster have C GPUs. For any price p(t) >= 0 of a GPU at the moment t

    sum_j (S_j - r_j)  >=  sum_j min_{S >= r_j} ( S - r_j + a_j * integral of p from S to S + d_j )
                           - C * integral of p.

Proof: no schedule holds more than C GPUs at any moment, so that the GPU time that jobs buy costs no more than
the whole cluster does; take that difference, which is not positive, from the sum of waits, and let each job
choose the start that is cheapest for it alone. So every price gives a valid bound, and a bad one only a weak
one. With the prices of `list_schedule` it is never below the bound by mean busy times that they come from:
there a job may take its cheapest moments one by one, here it must take d_j seconds on end.

The best prices are those of the linear relaxation; `best` goes some steps from the list schedule's towards
them: up where jobs would hold more than there is, down where they would leave something (subgradients).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import ceil

from simulations.bound.list_schedule import Segment, Work, prices

FEWEST_CELLS, MOST_CELLS = 256, 1024
"""pieces of time, equally long, within which a price does not change; as many as jobs, within these limits"""
_AMBITION = 0.5
"""the first steps aim so much above the best bound so far, in parts of it; later ones at less"""
_PATIENCE = 4
_MODESTY = 0.6
_ROUNDING = 1e-11
"""of what the whole cluster costs: more than the sums of ten thousand jobs are wrong by"""


class Curve:
    """A price over time: constant in each of some pieces of equal length, 0 afterwards.

    Args:
        span: seconds that the pieces take together.
        values: the price in each piece.
    """

    def __init__(self, span: float, values: Sequence[float]) -> None:
        self.cells = len(values)
        self.step = span / self.cells
        sums = [0.0, *accumulate(value * self.step for value in values)]
        # read beyond its end by a job that runs on after the last piece
        self._sums = [*sums, *[sums[-1]] * (self.cells + 1)]
        self.values = [*values, *[0.0] * (self.cells + 2)]

    @property
    def total(self) -> float:
        """What a GPU costs for all times."""
        return self._sums[-1]

    def cheapest(self, work: Work) -> tuple[float, float]:
        """(cost, start): the start that is cheapest for the job, by wait and price together, in seconds.

        The cost is piecewise linear in the start. So it is least at the release, or where the start or the
        end falls on the border of two pieces. A start that waits longer than the best costs is no better.
        """
        release, width = work.release, work.width
        whole, part = self._cells(work.duration)
        paid = self._upto(release + whole * self.step + part) - self._upto(release)
        cost, best = width * paid, release
        sums, values, step = self._sums, self.values, self.step
        for cell in range(ceil(release / step), self.cells + 1):
            wait = cell * step - release
            if wait >= cost:
                break
            price = sums[cell + whole] + part * values[cell + whole] - sums[cell]
            if wait + width * price < cost:
                cost, best = wait + width * price, cell * step
        lead = whole * step + part
        for cell in range(ceil((release + lead) / step), self.cells + 1):
            wait = cell * step - lead - release
            if wait >= cost:
                break
            price = sums[cell] - sums[cell - whole] + part * values[cell - whole - 1]
            if wait >= 0 and wait + width * price < cost:
                cost, best = wait + width * price, cell * step - lead
        return cost, best

    def held(self, work: Work, start: float) -> Iterator[tuple[int, float]]:
        """(piece, seconds) that the job runs in each piece, if it starts then."""
        whole, part = self._cells(work.duration)
        end = min(start + whole * self.step + part, self.cells * self.step)
        for cell in range(int(start / self.step), min(self.cells, ceil(end / self.step))):
            yield cell, max(0.0, min(end, (cell + 1) * self.step) - max(start, cell * self.step))

    def _cells(self, duration: float | None) -> tuple[int, float]:
        """The duration as whole pieces and the seconds that are left; no longer than all pieces."""
        if duration is None or duration >= self.cells * self.step:
            return self.cells, 0.0
        whole = int(duration / self.step)
        return whole, max(0.0, duration - whole * self.step)

    def _upto(self, at: float) -> float:
        cell = min(self.cells, int(at / self.step))
        return self._sums[cell] + self.values[cell] * (at - cell * self.step)


def best(works: Sequence[Work], gpus: int, steps: int) -> float:
    """A lower bound on the sum of the waits of these jobs (seconds), in any schedule on so many GPUs.

    Args:
        works: the jobs.
        gpus: how many there are.
        steps: from the list schedule's prices towards the best ones.
    """
    kept = sum(work.width for work in works if work.duration is None)
    segments = prices(works, gpus - kept if kept < gpus else gpus)
    if not segments:
        return 0.0
    curve = _sampled(segments, max(FEWEST_CELLS, min(len(works), MOST_CELLS)))
    reached, ambition, disappointed = 0.0, 0.0, 0
    for _ in range(steps + 1):
        bound, excess = _bound(works, gpus, curve)
        ambition = ambition or _AMBITION * max(0.0, bound)
        disappointed = 0 if bound > reached else disappointed + 1
        reached = max(reached, bound)
        if disappointed > _PATIENCE:
            ambition, disappointed = ambition * _MODESTY, 0
        curve = _stepped(curve, excess, reached + ambition - bound)
    return reached


def _sampled(segments: Sequence[Segment], cells: int) -> Curve:
    """The list schedule's prices, each piece with their mean there."""
    span = segments[-1].end
    step = span / cells
    values = [0.0] * cells
    for segment in segments:
        length = segment.end - segment.start
        for cell in range(int(segment.start / step), min(cells, ceil(segment.end / step))):
            low, high = max(segment.start, cell * step), min(segment.end, (cell + 1) * step)
            share = ((low + high) / 2 - segment.start) / length
            price = segment.first + (segment.last - segment.first) * share
            values[cell] += price * max(0.0, high - low) / step
    return Curve(span, values)


def _bound(works: Sequence[Work], gpus: int, curve: Curve) -> tuple[float, list[float]]:
    """The bound by these prices, and by how much demand exceeds the cluster in each piece (GPU seconds)."""
    bound = -gpus * curve.total * (1 + _ROUNDING)
    excess = [-gpus * curve.step] * curve.cells
    for work in works:
        cost, start = curve.cheapest(work)
        bound += cost
        for cell, seconds in curve.held(work, start):
            excess[cell] += work.width * seconds
    return bound, excess


def _stepped(curve: Curve, excess: Sequence[float], climb: float) -> Curve:
    """The prices after a step up the excess that would raise the bound by `climb`, were it linear."""
    now = curve.values[: curve.cells]
    slope = [0.0 if value <= 0 and more < 0 else more for value, more in zip(now, excess, strict=True)]
    length = sum(more * more for more in slope)
    if not length:
        return curve
    moved = [max(0.0, value + climb / length * more) for value, more in zip(now, slope, strict=True)]
    return Curve(curve.step * curve.cells, moved)
