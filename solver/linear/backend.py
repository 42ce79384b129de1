"""The two solvers behind the linear programs: GLOP for relaxations, HiGHS for whole numbers.

Both come with ortools and are used through MathOpt's plain messages: filling those from lists takes a tenth
of the time that modelling objects take, and neither pandas nor numpy is loaded.
"""

from __future__ import annotations

import ctypes
import math
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from ortools.math_opt import callback_pb2, model_parameters_pb2, model_pb2, parameters_pb2, result_pb2
from ortools.math_opt.core.python import solver as mathopt
from pybind11_abseil.status import StatusNotOk  # type: ignore[import-untyped]

from solver.linear.program import Floor, Objective, Program

_GLOP = parameters_pb2.SolverTypeProto.Value("SOLVER_TYPE_GLOP")
_HIGHS = parameters_pb2.SolverTypeProto.Value("SOLVER_TYPE_HIGHS")
_OPTIMAL = result_pb2.TerminationReasonProto.Value("TERMINATION_REASON_OPTIMAL")
_FEASIBLE = result_pb2.TerminationReasonProto.Value("TERMINATION_REASON_FEASIBLE")
_GLOP_STEP, _HIGHS_STEP, _HIGHS_NODE = 7e-10, 1e-8, 5e-6
"""work of a simplex iteration and of a node, for each coefficient; a unit is about a second of a slow core"""

_OUTPUT = threading.Lock()
"""held while standard output is away"""


@dataclass(frozen=True, slots=True)
class Relaxed:
    """The optimum of a relaxation.

    Attributes:
        values: of the columns.
        bound: no values within the rules are worth more, whatever the solver's tolerances.
        pods: what one more pod of a class would be worth, by class; not negative.
        ranks: what one less of a floor would be worth, by rank; not negative.
        work: counted effort.
    """

    values: list[float]
    bound: float
    pods: dict[int, float]
    ranks: dict[int, float]
    work: float


@dataclass(frozen=True, slots=True)
class Found:
    """Whole values of the columns, the best that the search found; None where it found none.

    Attributes:
        values: of the columns.
        bound: no whole values within the rules are worth more, but for the solver's tolerances.
        work: counted effort.
    """

    values: list[float] | None
    bound: float
    work: float


def relax(made: Program, objective: Objective, floors: Sequence[Floor] = ()) -> Relaxed | None:
    """The best values without wholeness; None where the solver fails.

    The bound is not the solver's: any prices of the rows prove one, and it is worked out from them with the
    columns' own bounds (Neumaier and Shcherbina 2004), so that no tolerance makes it too small.
    """
    model = _message(made, objective, floors, whole=False)
    answer = _solved(_GLOP, model, parameters_pb2.SolveParametersProto(), {})
    if answer is None or answer.termination.reason != _OPTIMAL or not answer.solutions:
        return None
    work = answer.solve_stats.simplex_iterations * len(made.values) * _GLOP_STEP
    solution = answer.solutions[0]
    values = _dense(solution.primal_solution.variable_values, len(made.upper))
    rows = _dense(solution.dual_solution.dual_values, len(made.row_upper) + len(floors))
    pods = {q: max(0.0, rows[row]) for q, row in made.demand.items()}
    below = zip(floors, rows[len(made.row_upper) :], strict=True)
    ranks = {floor.rank: max(0.0, -price) for floor, price in below}
    return Relaxed(values, _proven(made, objective, floors, rows), pods, ranks, work)


def search(
    made: Program,
    objective: Objective,
    floors: Sequence[Floor] = (),
    *,
    hint: Mapping[int, float] | None = None,
    gap: float,
    nodes: int,
) -> Found:
    """The best whole values found within a number of branch-and-bound nodes.

    One thread, a fixed seed and no clock: the same program gives the same values on any machine.

    Args:
        made: the columns and rows.
        objective: to maximise.
        floors: further rows.
        hint: values to start from, zero where missing.
        gap: the search ends once nothing can be worth so much more.
        nodes: the most nodes.
    """
    limits = parameters_pb2.SolveParametersProto(node_limit=nodes, random_seed=1)
    limits.relative_gap_tolerance = 0.0
    limits.absolute_gap_tolerance = gap
    limits.highs.string_options["parallel"] = "off"
    answer = _solved(_HIGHS, _message(made, objective, floors, whole=True), limits, hint)
    if answer is None:
        return Found(None, math.inf, nodes * _HIGHS_NODE * len(made.values))
    stats = answer.solve_stats
    work = (stats.simplex_iterations * _HIGHS_STEP + stats.node_count * _HIGHS_NODE) * len(made.values)
    bound = answer.termination.objective_bounds.dual_bound
    if answer.termination.reason not in (_OPTIMAL, _FEASIBLE) or not answer.solutions:
        return Found(None, bound, work)
    return Found(_dense(answer.solutions[0].primal_solution.variable_values, len(made.upper)), bound, work)


def _message(
    made: Program, objective: Objective, floors: Sequence[Floor], *, whole: bool
) -> model_pb2.ModelProto:
    model = model_pb2.ModelProto()
    columns, rows = len(made.upper), len(made.row_upper)
    model.variables.ids.extend(range(columns))
    model.variables.lower_bounds.extend(made.lower)
    model.variables.upper_bounds.extend(made.upper)
    model.variables.integers.extend([whole] * columns)
    model.objective.maximize = True
    worth = sorted((column, value) for column, value in objective.items() if value)
    model.objective.linear_coefficients.ids.extend(column for column, _ in worth)
    model.objective.linear_coefficients.values.extend(value for _, value in worth)
    model.linear_constraints.ids.extend(range(rows + len(floors)))
    model.linear_constraints.lower_bounds.extend((*made.row_lower, *(floor.least for floor in floors)))
    model.linear_constraints.upper_bounds.extend((*made.row_upper, *(math.inf for _ in floors)))
    # row by row: one sort of all entries would hold the interpreter, and so an event loop, for too long
    terms: list[list[tuple[int, float]]] = [[] for _ in range(rows)]
    for row, column, coefficient in zip(made.rows, made.columns, made.values, strict=True):
        terms[row].append((column, coefficient))
    terms += [list(floor.terms.items()) for floor in floors]
    matrix = model.linear_constraint_matrix
    for row, entries in enumerate(terms):
        entries.sort()
        matrix.row_ids.extend([row] * len(entries))
        matrix.column_ids.extend([column for column, _ in entries])
        matrix.coefficients.extend([coefficient for _, coefficient in entries])
    return model


def _solved(
    kind: int,
    model: model_pb2.ModelProto,
    limits: parameters_pb2.SolveParametersProto,
    hint: Mapping[int, float] | None,
) -> result_pb2.SolveResultProto | None:
    """What the solver answers; None where it gives up, as HiGHS may where numbers are of very unlike size."""
    start = model_parameters_pb2.ModelSolveParametersProto()
    if hint:
        values = start.solution_hints.add().variable_values
        values.ids.extend(model.variables.ids)
        values.values.extend(hint.get(column, 0.0) for column in model.variables.ids)
    with silence(), suppress(StatusNotOk):
        return mathopt.solve(
            model,
            kind,
            parameters_pb2.SolverInitializerProto(),
            limits,
            start,
            None,
            callback_pb2.CallbackRegistrationProto(),
            None,
            None,
        )
    return None


@contextmanager
def silence() -> Iterator[None]:
    """Nothing gets to the process's standard output meanwhile: HiGHS writes there whatever it is told."""
    with _OUTPUT:
        library = ctypes.CDLL(None)
        library.fflush(None)
        try:
            kept = os.dup(1)
        except OSError:  # there is none
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 1)
            yield
        finally:
            library.fflush(None)
            os.dup2(kept, 1)
            os.close(nowhere)
            os.close(kept)


def _dense(sparse: object, size: int) -> list[float]:
    values = [0.0] * size
    for position, value in zip(sparse.ids, sparse.values, strict=True):  # type: ignore[attr-defined]
        values[position] = value
    return values


def _proven(made: Program, objective: Objective, floors: Sequence[Floor], rows: Sequence[float]) -> float:
    """What the prices of the rows prove: an upper bound of the objective over the columns' bounds."""
    lowers = (*made.row_lower, *(floor.least for floor in floors))
    uppers = (*made.row_upper, *(math.inf for _ in floors))
    prices, total = list(rows), []
    for row, price in enumerate(rows):
        if (price > 0 and uppers[row] == math.inf) or (price < 0 and lowers[row] == -math.inf):
            prices[row] = 0.0
        elif price:
            total.append(price * (uppers[row] if price > 0 else lowers[row]))
    rest = [objective.get(column, 0.0) for column in range(len(made.upper))]
    for row, column, value in zip(made.rows, made.columns, made.values, strict=True):
        rest[column] -= prices[row] * value
    for position, floor in enumerate(floors, start=len(made.row_upper)):
        for column, value in floor.terms.items():
            rest[column] -= prices[position] * value
    total += [
        worth * (upper if worth > 0 else lower)
        for worth, lower, upper in zip(rest, made.lower, made.upper, strict=True)
    ]
    return math.fsum(total)
