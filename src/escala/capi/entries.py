"""Entries of the C library: the kernels over plain pointers and sizes, as the compiler hands them to other languages.

Nothing is checked here. The C side (``library.c``) knows that every pointer and size is sound before it calls an entry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numba import carray, cfunc, types

from escala.kernels.allocation import solve as allocation
from escala.kernels.compiler import OPTIONS, waiting
from escala.kernels.curves import evaluate as curves
from escala.kernels.curves import limits
from escala.kernels.families import dispatch
from escala.kernels.families.ladder import fit_steps as fit_steps_of
from escala.kernels.families.params import of_row
from escala.kernels.fitting import fit as fitting
from escala.kernels.fitting.rows import work_size as fit_work_size_of
from escala.kernels.jit import routine
from escala.kernels.layout import (
    COVARIANCE,
    FIT_STATS,
    LENDING_WORK_SIZE,
    PARAMS,
    PLAN_WORK_SIZE,
    ROOT,
    crossing_lanes,
    crossing_limits,
    drafts,
    fences,
    forest,
    lending_count,
    lending_cursor,
    lending_input,
    lending_value,
    leverage_count,
    leverage_value,
    marks,
    node,
    node_bound,
    plan_input,
    plan_operation,
    quest,
    solves,
    trail,
    unwind_count,
    unwind_value,
    verdict,
)
from escala.kernels.layout import controls as control
from escala.kernels.layout import group_limits as group_limit
from escala.kernels.layout import settings as setting
from escala.kernels.layout import solution as figure
from escala.kernels.lending import lanes as lending
from escala.kernels.lending import plan_leverage as up
from escala.kernels.lending import plan_unwind as down
from escala.kernels.lending.target import condition
from escala.kernels.noise.weights import USUAL

_ALL = 1 << 30  # operations in one call: nobody waits for a key

_floats = types.CPointer(types.float64)
_integers = types.CPointer(types.int64)
_codes = types.CPointer(types.int8)
_integer = types.int64

# Without counting references numba cannot look at foreign memory as an array; nothing is left of the counting.
_OPTIONS = {name: value for name, value in OPTIONS.items() if name != "_nrt"}
#: How C spells the types of arguments.
C_TYPES = {_floats: "const double *", _integers: "const int64_t *", _codes: "const int8_t *", _integer: "int64_t"}


@dataclass(frozen=True)
class Entry:
    """A function of the library, compiled when its module is asked for, as are the kernels that it calls."""

    function: Callable[..., int]
    arguments: tuple[Any, ...]
    kernels: tuple[Any, ...]

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.function.__name__

    @property
    def c_arguments(self) -> list[str]:
        """Argument types in C."""
        return [C_TYPES[one] for one in self.arguments]

    def compiled(self) -> tuple[str, str]:
        """Give everything that it consists of, in the compiler's language, and the symbol of the function therein."""
        for kernel in self.kernels:
            function = kernel.py_func
            needed = waiting.pop(f"{function.__module__}.{function.__qualname__}", None)
            if needed is not None:
                needed.compile()
        made = cfunc(types.int64(*self.arguments), **_OPTIONS)(self.function)
        # the symbol with this prefix is a wrapper made for Python
        return str(made.inspect_llvm()), str(made.native_name).removeprefix("cfunc.")


ENTRIES: dict[str, Entry] = {}


def _entry(*arguments: Any, calls: tuple[Any, ...] = ()) -> Callable[[Callable[..., int]], Entry]:
    """Keep an entry, with the types of its arguments and the kernels that it calls."""

    def wrap(function: Callable[..., int]) -> Entry:
        made = Entry(function, arguments, calls)
        ENTRIES[made.name] = made
        return made

    return wrap


@_entry(
    _integer, _codes, _floats, _floats, _integer, _floats, _integer, _floats, _integer, _integer, _floats, _integers,
    calls=(curves.evaluate,),
)  # fmt: skip
def evaluate(wanted, family, params, origin, n, steps, steps_size, capital, rows, m, out, bad):
    """Evaluate n curves at m capitals each; gives the number of capitals that are none."""
    counted = carray(bad, 1)
    curves.evaluate(
        wanted, carray(family, n), carray(params, (n, PARAMS)), carray(origin, n), carray(steps, steps_size),
        carray(capital, (rows, m)),
        carray(out, (n, m)), counted, 0, n * m,
    )  # fmt: skip
    return counted[0]


@_entry(
    _floats, _codes, _floats, _floats, _floats, _integer, _floats, _integer, _floats, _floats,
    calls=(limits.threshold,),
)  # fmt: skip
def threshold(least, family, params, origin, trusted_to, n, steps, steps_size, first, last):
    """Find the stretches of n curves with an efficiency of at least `least`."""
    limits.threshold(
        carray(least, n), carray(family, n), carray(params, (n, PARAMS)), carray(origin, n), carray(steps, steps_size),
        carray(trusted_to, n),
        carray(first, n), carray(last, n), 0, n,
    )  # fmt: skip
    return 0


@_entry(
    _integers, _integers, _integer, _codes, _floats, _floats, _integer, _floats, _integer, _integers,
    _codes, _codes, _integers, _floats, _floats, _floats, _floats, _floats, _integers, _floats, _integer,
    _floats, _integer, _floats, _integer,
    calls=(fitting.fit,),
)  # fmt: skip
def fit(
    order, offsets, n, choice, capital, efficiency, records, weights, weighted, step_offsets,
    family, status, n_points, params, origin, root, covariance, fit_stats, n_steps, steps, steps_size,
    work, work_size, scratch, scratch_size,
):  # fmt: skip
    """Fit n instruments."""
    fitting.fit(
        carray(order, n), carray(offsets, n + 1), carray(choice, n), carray(capital, records),
        carray(efficiency, records), carray(weights, weighted), USUAL, carray(step_offsets, n + 1),
        carray(family, n), carray(status, n), carray(n_points, n), carray(params, (n, PARAMS)), carray(origin, n),
        carray(root, (n, ROOT)), carray(covariance, (n, COVARIANCE)), carray(fit_stats, (n, FIT_STATS)),
        carray(n_steps, n), carray(steps, steps_size), carray(work, work_size), carray(scratch, scratch_size), 0, n,
    )  # fmt: skip
    return 0


@_entry(_integers, _integer, _floats, _integer, _floats, _integer, _floats, _floats, calls=(fitting.decay,))
def decay(offsets, n, times, records, weights, weighted, half_life, out):
    """Lower the weights of old records."""
    fitting.decay(
        carray(offsets, n + 1), carray(times, records), carray(weights, weighted), carray(half_life, 1),
        carray(out, records), 0, n,
    )  # fmt: skip
    return 0


@_entry(
    _codes, _floats, _integer, _floats, _floats, _integer, _floats, _integer, _floats, _floats, _integer, _floats,
    _floats, _codes, _floats, _floats, _codes, _floats, _integer,
    _floats, _integer, _integers, _integers, _integer, _integers, _floats, _integer, _floats, _floats, _codes, _floats,
    _integers, _integers, _integer, _floats, _floats, _integers, _floats, _floats, _floats, _floats, _floats,
    _integers, _integer, _integers, _integer, _floats, _floats, _floats,
    calls=(allocation.allocate,),
)  # fmt: skip
def allocate(
    family, params, draws, origin, trusted_to, n, steps, steps_size, settings, totals, size, controls,
    amounts, binding, solution, first_amounts, first_binding, first_solution, begun,
    work, work_size, marked, integers, integers_size, nodes, bounds, most, trails,
    drafted, draft_binding, draft_solutions,
    leaf, parents, groups, group_limits, group_prices, tree, group_work, ended, targets, asked, sought,
    starts, kinds, inside, links, lines, matrix, lanes,
):  # fmt: skip
    """Solve draws·size problems, at most `most` nodes each; `begun` is their number, or 0 where no first is wanted."""
    m = draws * size
    first, crossed, limits_of_all = (kinds + 1, n, groups + 1) if kinds else (0, 0, 0)
    allocation.allocate(
        carray(family, n), carray(params, (draws * n, PARAMS)), carray(origin, n), carray(steps, steps_size),
        carray(trusted_to, n),
        carray(settings, (setting.END, n)), carray(totals, size), carray(controls, control.END),
        carray(amounts, (m, n)), carray(binding, (m, n)), carray(solution, (m, figure.END)),
        carray(first_amounts, (begun, n)), carray(first_binding, (begun, n)),
        carray(first_solution, (begun, figure.END)),
        carray(work, work_size), carray(marked, (marks.END, n)), carray(integers, integers_size),
        carray(nodes, (most + 2, node.END)), carray(bounds, (most + 2, node_bound.END)),
        carray(trails, (solves.END, trail.END)), carray(drafted, (drafts.END, n)),
        carray(draft_binding, (drafts.END, n)), carray(draft_solutions, (drafts.END, figure.END)),
        carray(leaf, n), carray(parents, groups), carray(group_limits, (group_limit.END, groups)),
        carray(group_prices, (m, groups)), carray(tree, (forest.END, groups)),
        carray(group_work, (fences.END, groups)), carray(ended, verdict.END),
        carray(targets, size), carray(asked, control.END), carray(sought, quest.END),
        carray(starts, first), carray(inside, links), carray(lines, (crossing_limits.END, limits_of_all)),
        carray(matrix, (limits_of_all, limits_of_all)), carray(lanes, (crossing_lanes.END, crossed)), 0, m,
    )  # fmt: skip
    return 0


@_entry(_floats, _integer, _floats, _integer, _integers, _floats, _integers, _integer, calls=(lending.lending,))
def simulate(columns, width, values, stride, counts, work, cursor, n):
    """Run n scenarios to their ends."""
    room = carray(cursor, lending_cursor.END)
    room[:] = 0
    while True:
        lending.lending(
            carray(columns, (lending_input.END, width)), carray(values, (lending_value.END, stride)),
            carray(counts, (lending_count.END, stride)), carray(work, LENDING_WORK_SIZE), room, 0, n, _ALL,
        )  # fmt: skip
        if room[lending_cursor.ACTIVE] == 0:
            return 0


@_entry(_codes, _floats, _floats, _integer, _floats, _integer, _floats, _floats, _floats, calls=(limits.trades,))
def trades(family, params, origin, n, steps, steps_size, trusted_to, best, most):
    """Find the highest efficiency of n curves, and the largest trade by each."""
    limits.trades(
        carray(family, n), carray(params, (n, PARAMS)), carray(origin, n), carray(steps, steps_size),
        carray(trusted_to, n), carray(best, n), carray(most, n), 0, n,
    )  # fmt: skip
    return 0


_PLANS = (
    _floats, _integer, _codes, _floats, _floats, _integer, _floats, _integer, _floats, _integer, _floats, _integers,
    _integer, _floats, _integer,
)  # fmt: skip


@_entry(*_PLANS, calls=(up.leverage,))
def plan_leverage(
    columns, width, family, params, origin, curves, steps, steps_size, table, operations, values, counts, stride, work,
    n,
):  # fmt: skip
    """Plan n positions up; with room for operations only one."""
    up.leverage(
        carray(columns, (plan_input.END, width)), carray(family, curves), carray(params, (curves, PARAMS)),
        carray(origin, curves), carray(steps, steps_size), carray(table, (plan_operation.END, operations)),
        carray(values, (leverage_value.END, stride)), carray(counts, (leverage_count.END, stride)),
        carray(work, PLAN_WORK_SIZE), 0, n,
    )  # fmt: skip
    return 0


@_entry(*_PLANS, calls=(down.unwind,))
def plan_unwind(
    columns, width, family, params, origin, curves, steps, steps_size, table, operations, values, counts, stride, work,
    n,
):  # fmt: skip
    """Plan n positions down; with room for operations only one."""
    down.unwind(
        carray(columns, (plan_input.END, width)), carray(family, curves), carray(params, (curves, PARAMS)),
        carray(origin, curves), carray(steps, steps_size), carray(table, (plan_operation.END, operations)),
        carray(values, (unwind_value.END, stride)), carray(counts, (unwind_count.END, stride)),
        carray(work, PLAN_WORK_SIZE), 0, n,
    )  # fmt: skip
    return 0


_condition = routine(condition)


@_entry(_integer, _floats, _floats, _integer, _floats, _floats, _floats, _floats)
def plan_conditions(kind, target, borrow, n, aim, per_supply, per_borrow, close):
    """Write the targets of n plans as kernels take them."""
    targets, debts = carray(target, n), carray(borrow, n)
    aims, supplies, debits, ends = carray(aim, n), carray(per_supply, n), carray(per_borrow, n), carray(close, n)
    for j in range(n):
        aims[j], supplies[j], debits[j], ends[j] = _condition(kind, targets[j], debts[j])
    return 0


_fit_work = routine(fit_work_size_of)
_fit_steps = routine(fit_steps_of)
_allocation_work = routine(allocation.work_size)
_allocation_integers = routine(allocation.integers_size)


@_entry(_integer, _floats, _floats, _integer)
def allowed_together(family, params, steps, steps_size):
    """Tell whether the coefficients of one curve, each in its range, are allowed together."""
    return 1 if dispatch.is_allowed(family, of_row(carray(params, PARAMS)), carray(steps, steps_size)) else 0


@_entry(_integer)
def fit_work_size(most):
    """Count the numbers of `work` for instruments of at most so many records."""
    return _fit_work(most)


@_entry(_integer, _integer)
def fit_steps(choice, records):
    """Count the numbers that the steps of an instrument have room for."""
    return _fit_steps(choice, records)


@_entry(_integer, _integer, _integer, _integer)
def allocate_work_size(n, groups, parts, steps):
    """Count the numbers of `work` for n instruments, whose ladders have so many numbers."""
    return _allocation_work(n, groups, parts, steps)


@_entry(_integer, _integer, _integer)
def allocate_integers_size(n, groups, most):
    """Count the integers for n instruments and so many nodes."""
    return _allocation_integers(n, groups, most)
