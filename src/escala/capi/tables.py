"""What the C side takes from the Python rooms: ranges, defaults, sizes. One source for both, so they cannot differ."""

from __future__ import annotations

import math
from collections.abc import Iterable

from escala import tables as table
from escala.capi.entries import ENTRIES
from escala.curves import curveset as curves
from escala.curves import fitting, records
from escala.curves.families import FORMS
from escala.kernels import layout
from escala.kernels.curves import evaluate as curve_kernels
from escala.kernels.layout import FAMILIES as FAMILY_CODES
from escala.tables import Interval, Target

#: Scenarios that are run together: their inputs, results and workspace fit a second-level cache.
_CHUNK = 2048

_RANGES = {
    "FINITE": records.FINITE,
    "EVALUATED": curves._CAPITAL,
    "CAPITAL": records.CAPITAL,
    "EFFICIENCY": records.EFFICIENCY,
    "WEIGHT": records.WEIGHT,
    "HALF_LIFE": fitting._HALF_LIFE,
    "TOTAL": table.FINITE_FROM_ZERO,
    "DEPTH": table.BELOW_ONE,
    "TARGET_EFFICIENCY": table.FRACTION,
    **{row.name.upper(): row.values for row in table.ALLOCATION_CONTROLS},
}


def prototypes() -> str:
    """Write ``entries.h``: the compiled entries, and functions that call them as C calls functions."""
    lines = ["#include <stdint.h>"]
    for entry in ENTRIES.values():
        types = entry.c_arguments
        declared = ", ".join(f"{kind} a{i}" for i, kind in enumerate(types))
        given = ", ".join(f"a{i}" for i in range(len(types)))
        lines += [
            f'extern __attribute__((visibility("hidden"))) int32_t {hidden(entry.name)}'
            f"(int64_t *result, void **error, {', '.join(types)});",
            f"static int64_t entry_{entry.name}({declared}) {{",
            "    int64_t result = 0;",
            "    void *error = 0;",
            f"    {hidden(entry.name)}(&result, &error, {given});",
            "    return result;",
            "}",
        ]
    return "\n".join(lines) + "\n"


def hidden(name: str) -> str:
    """Name of a compiled entry inside the library."""
    return f"hidden_{name}"


def tables() -> str:
    """Write ``tables.h``: what ``library.c`` checks against."""
    rows = (*table.ALLOCATION_CONTROLS, *table.ALLOCATION_SWITCHES, *table.ALLOCATION_GOAL)
    controls = {row.name: row for row in rows}
    constants = {
        "CONTROL_COUNT": layout.controls.END,
        "CONTROL_TOLERANCE": layout.controls.TOLERANCE,
        "MARKS": layout.marks.END,
        "DRAFTS": layout.drafts.END,
        "FOREST": layout.forest.END,
        "FENCES": layout.fences.END,
        "VERDICT": layout.verdict.END,
        "CROSSING_LIMITS": layout.crossing_limits.END,
        "CROSSING_LANES": layout.crossing_lanes.END,
        "QUEST": layout.quest.END,
        "TRAILS": layout.solves.END * layout.trail.END,
        "NODE_INTEGERS": layout.node.END,
        "NODE_FLOATS": layout.node_bound.END,
        "MOST_NODES": int(controls["max_nodes"].values.high),
        "MOST_INCREMENTS": table.MOST_INCREMENTS,
        "LENDING_WORK_SIZE": layout.LENDING_WORK_SIZE,
        "LENDING_CURSOR_SIZE": layout.lending_cursor.END,
        "PLAN_GIVEN": len(table.PLAN_GIVEN),
        "PLAN_INPUTS": layout.plan_input.END,
        **{
            f"PLAN_{row.name.upper()}": getattr(layout.plan_input, row.name.upper())
            for row in (*table.PLAN_POSITION, *table.PLAN_TERMS)
        },
        "PLAN_VALUES": max(layout.leverage_value.END, layout.unwind_value.END),
        "PLAN_COUNTS": max(layout.leverage_count.END, layout.unwind_count.END),
        "PLAN_WORK_SIZE": layout.PLAN_WORK_SIZE,
        "PLAN_TRACE": layout.plan_operation.END,
        "PLAN_ACTION": layout.plan_operation.ACTION,
        "ROUND_OPERATIONS": layout.ROUND_OPERATIONS,
        "MOST_ROUNDS": int(next(row for row in table.PLAN_LIMITS if row.name == "rounds").values.high),
        "LEVERAGE_OPERATIONS": layout.leverage_count.OPERATIONS_MADE,
        "UNWIND_OPERATIONS": layout.unwind_count.OPERATIONS_MADE,
        "CHUNK": _CHUNK,
        "WANTED_EFFICIENCY": curve_kernels.EFFICIENCY,
        "WANTED_UTILITY": curve_kernels.UTILITY,
        "WANTED_MARGINAL": curve_kernels.MARGINAL,
    }
    lines = [
        "#include <math.h>",
        "#include <stddef.h>",
        f"enum {{ {', '.join(f'{name} = {value}' for name, value in constants.items())} }};",
        "typedef struct { double low, high; int integer, or_zero; } range; /* both ends are allowed */",
        "typedef struct { const char *name; size_t offset; range values; double usual; } column;",
        "typedef struct { int count; range coefficients[ESCALA_PARAMS]; } form; /* a family of curves, at its code */",
        "typedef struct { const char *low_name, *high_name; size_t low, high; } order;",
        "typedef struct { range values; int valued, up, down; } goal; /* where a plan ends, at its code */",
    ]
    lines += [f"static const range RANGE_{name} = {_range(one)};" for name, one in _RANGES.items()]
    lines += _array("form", "FAMILIES", (_form(code) for code in range(FAMILY_CODES)))
    lines += _array("column", "SETTINGS", (
        _column("escala_allocation", row.name, row.values, float(row.default or 0.0))
        for row in table.ALLOCATION_SETTINGS
    ))  # fmt: skip
    lines += _array("column", "GROUP_LIMITS", (
        _column("escala_allocation", row.name, row.values, float(row.default or 0.0))
        for row in table.ALLOCATION_GROUPS
    ))  # fmt: skip
    usual = {"USUAL_TOLERANCE": table.ALLOCATION_USUAL["tolerance"], "USUAL_GAP": table.USUAL_GAP,
             "MOST_USUAL_GAP": table.MOST_USUAL_GAP}  # fmt: skip
    lines += [f"static const double {name} = {_number(float(value or 0.0))};" for name, value in usual.items()]
    lines += [
        "#define CONTROLS(DO) "
        + " ".join(f"DO({name}, {table.ALLOCATION_USUAL.get(name, row.default):g})" for name, row in controls.items())
    ]
    lines += _array("column", "COLUMNS", (
        _column("escala_scenarios", row.name, row.values, float(math.nan if row.default is None else row.default))
        for row in table.LENDING_INPUTS
    ))  # fmt: skip
    lines += _array("order", "ORDERED", (
        f'{{"{row.name}", "{row.at_most}", {_offset("escala_scenarios", row.name)}, '
        f"{_offset('escala_scenarios', row.at_most)}}}"
        for row in table.LENDING_STRATEGY if row.at_most
    ))  # fmt: skip
    lines += _array("column", "GIVEN", (
        _column("escala_plans", row.name, row.values, float(math.nan if row.default is None else row.default))
        for row in table.PLAN_GIVEN
    ))  # fmt: skip
    lines += _array("goal", "GOALS", (_goal(row) for row in sorted(table.PLAN_TARGETS, key=lambda row: row.value)))
    for name, structure, rows in (
        ("VALUES", "escala_outcomes", table.LENDING_VALUES),
        ("COUNTS", "escala_outcomes", table.LENDING_COUNTS),
        ("LEVERAGE_VALUES", "escala_leverage", table.LEVERAGE_VALUES),
        ("LEVERAGE_COUNTS", "escala_leverage", table.LEVERAGE_COUNTS),
        ("UNWIND_VALUES", "escala_unwind", table.UNWIND_VALUES),
        ("UNWIND_COUNTS", "escala_unwind", table.UNWIND_COUNTS),
        ("OPERATIONS", "escala_operations", table.PLAN_TRACE),
    ):
        lines += _array("size_t", name, (_offset(structure, row.name) for row in rows))
    lines += ["typedef struct { int code; const char *text; } word;"]
    lines += _array("word", "STATUSES", (f'{{{row.value}, "{row.doc}"}}' for row in table.LIBRARY_STATUS))
    return "\n".join(lines) + "\n"


def _array(kind: str, name: str, rows: Iterable[str]) -> list[str]:
    return [f"static const {kind} {name}[] = {{", *(f"    {row}," for row in rows), "};"]


def _form(code: int) -> str:
    ranges = [_range(row.values) for row in FORMS[code].coefficients] if code in FORMS else []
    return f"{{{len(ranges)}, {{{', '.join(ranges) or '{0}'}}}}}"


def _goal(row: Target) -> str:
    values = "{0.0, 0.0, 0, 0}" if row.values is None else _range(row.values)
    return f"{{{values}, {int(row.values is not None)}, {int(row.up)}, {int(row.down)}}}"


def _column(structure: str, name: str, interval: Interval, usual: float) -> str:
    return f'{{"{name}", {_offset(structure, name)}, {_range(interval)}, {_number(usual)}}}'


def _offset(structure: str, name: str) -> str:
    return f"offsetof({structure}, {name})"


def _range(interval: Interval) -> str:
    """Write a range; an end that is not allowed gives way to the number next to it."""
    low = math.nextafter(interval.low, math.inf) if interval.low_open else interval.low
    high = math.nextafter(interval.high, -math.inf) if interval.high_open else interval.high
    return f"{{{_number(float(low))}, {_number(float(high))}, {int(interval.integer)}, {int(interval.or_zero)}}}"


def _number(value: float) -> str:
    """Write a number so that C reads the same bits."""
    if math.isnan(value):
        return "NAN"
    return value.hex() if math.isfinite(value) else ("INFINITY" if value > 0 else "-INFINITY")
