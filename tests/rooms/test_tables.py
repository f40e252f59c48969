"""What is written out for readers says what the tables say, and what is generated from them is up to date."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from escala import LendingResult, LendingStrategy, StopReason, simulate, tables
from escala.capi import generate
from escala.capi.build import header
from escala.kernels import layout
from escala.lending import summary
from escala.lending.model import MODEL
from escala.lending.result import RESULT_NAMES
from escala.lending.strategy import ORDERED_FIELDS
from escala.text.stretches import fill
from escala.text.tables import allowed, details, documented, markdown

QUANTITIES = {
    name: table
    for name, table in vars(tables).items()
    if isinstance(table, tuple) and table and isinstance(table[0], tables.Quantity)
}
CODES = {
    name: table
    for name, table in vars(tables).items()
    if isinstance(table, tuple) and table and isinstance(table[0], tables.Code)
}


# --- the tables themselves --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*QUANTITIES, *CODES])
def test_names_are_unique_and_documented(name: str) -> None:
    rows = {**QUANTITIES, **CODES}[name]
    assert len(set(tables.names(rows))) == len(rows)
    assert all(row.doc and not row.doc.endswith(".") and row.name.isidentifier() for row in rows)


@pytest.mark.parametrize("name", QUANTITIES)
def test_defaults_are_allowed(name: str) -> None:
    usual = {("tolerance", -1.0), ("step", 0.0)}  # of an allocation: they stand for what follows from its size
    given = [row for row in QUANTITIES[name] if row.default is not None and (row.name, row.default) not in usual]
    assert all(row.values.contains(np.array([row.default]))[0] for row in given)


@pytest.mark.parametrize("name", CODES)
def test_codes_are_unique(name: str) -> None:
    assert len(set(tables.code_values(CODES[name]).values())) == len(CODES[name])


def test_fields_that_must_not_exceed_others_name_them() -> None:
    defaults = {row.name: row.default for row in tables.LENDING_STRATEGY}
    for low, high in ORDERED_FIELDS:
        assert defaults[low] <= defaults[high]  # type: ignore[operator]


# --- what is written out ----------------------------------------------------------------------------------------


def test_the_strategy_has_the_fields_of_its_table() -> None:
    fields = dataclasses.fields(LendingStrategy)
    assert tuple(field.name for field in fields) == tables.names(tables.LENDING_STRATEGY)
    assert [field.default for field in fields] == [row.default for row in tables.LENDING_STRATEGY]


def test_the_result_has_arguments_and_outputs() -> None:
    computed = tables.names((*tables.LENDING_VALUES, *tables.LENDING_COUNTS))
    expected = (*tables.names(tables.LENDING_ARGUMENTS), "strategy", *computed, "operations")
    assert tuple(field.name for field in dataclasses.fields(LendingResult)) == expected
    counted = {field.name for field in dataclasses.fields(LendingResult) if field.type == "_Counts"}
    assert counted == set(tables.names(tables.LENDING_COUNTS))


@pytest.mark.parametrize("row", [row for row in tables.LENDING_OUTPUTS if not row.kernel], ids=lambda row: row.name)
def test_derived_outputs_say_what_the_table_says(row: tables.Output) -> None:
    doc = getattr(LendingResult, row.name).__doc__
    assert doc.splitlines()[0] == f"{row.doc}."


def test_reasons_have_the_codes_of_their_table() -> None:
    assert {reason.name.lower(): int(reason) for reason in StopReason} == tables.code_values(tables.STOPS)
    assert list(StopReason) == list(range(len(tables.STOPS)))  # what counts them by place relies on it


def test_whole_outputs_are_integers_and_within_what_they_can_be() -> None:
    result = simulate([1000.0, 500.0, 700.0], [600.0, 300.0, 0.0], [1500.0, 2000.0, 900.0], [200.0, 50.0, 0.0])
    for row in tables.LENDING_OUTPUTS:
        values = np.asarray(getattr(result, row.name))
        assert (values.dtype.kind in "ib") == row.values.integer, row.name
        assert row.values.contains(values.astype(np.float64)).all(), row.name
    assert set(summary.READ) <= set(RESULT_NAMES)
    assert set(MODEL.kept) < set(MODEL.output_names) < set(RESULT_NAMES)


def test_help_describes_every_field_and_output() -> None:
    for made, rows in ((LendingStrategy, tables.LENDING_STRATEGY), (LendingResult, tables.LENDING_OUTPUTS)):
        doc = made.__doc__
        assert doc is not None
        assert "{" not in doc
        for row in rows:
            assert f"    {row.name} : array" in doc
            assert row.doc in doc


# --- rows of kernels --------------------------------------------------------------------------------------------


def test_rows_follow_each_other() -> None:
    made = layout.rows("a", "b", first=64, lanes=32)
    assert (made.A, made.B, made.END) == (64, 96, 128)
    for names in (("a", "a"), ("a", "end")):
        with pytest.raises(ValueError, match="there is one already"):
            layout.rows(*names)


def test_a_lane_holds_first_what_every_sweep_reads() -> None:
    for place, row in enumerate(tables.LENDING_HOT):
        assert getattr(layout.lending_input, row.name.upper()) == place
        assert getattr(layout.lending_lane, row.name.upper()) == place * layout.LENDING_LANES
    assert len(tables.LENDING_INPUTS) == layout.lending_input.END


# --- what is generated ------------------------------------------------------------------------------------------


def test_the_c_header_is_up_to_date() -> None:
    assert generate.header(header()) == header(), "run python -m escala.capi.generate"
    assert header().isascii()
    assert max(map(len, header().splitlines())) <= 120


def test_a_header_with_a_stretch_too_few_or_too_many_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no stretch .*stop"):
        generate.header(header().replace("generated: stop ", "written: stop "))
    with pytest.raises(ValueError, match="nothing writes the stretch 'stops'"):
        generate.header(header().replace(": stop ", ": stops ").replace("of stop ", "of stops "))


def test_only_stretches_are_written_anew() -> None:
    text = "a\n<!-- generated: X -->\nold\n<!-- end of X -->\nb <!-- generated: Y --> c\n"
    expected = "a\n<!-- generated: X -->\nnew\n<!-- end of X -->\nb <!-- generated: Y --> c\n"
    assert fill(text, ("<!--", "-->"), {"X": "new\n"}.__getitem__) == expected


def test_a_table_for_readers() -> None:
    lines = markdown(tables.LENDING_STRATEGY).splitlines()
    assert lines[0] == "| name | default | allowed | unit | meaning |"
    assert lines[2] == "| `min_profit` | 1e-06 | in [0, 1e+100] | amount | Smallest cash an operation must leave |"
    assert len(lines) == 2 + len(tables.LENDING_STRATEGY)
    assert markdown(tables.STOPS).splitlines()[2] == "| `target_reached` | 0 | target reached |"
    assert markdown(tables.LENDING_OUTPUTS).splitlines()[0] == "| name | unit | meaning |"


def test_what_a_quantity_may_be_in_words() -> None:
    row = tables.Field("a", "A number", "", tables.FRACTION, 0.5, at_most="b")
    assert details(row) == "in [0, 1], at most b, default 0.5"
    assert allowed(tables.Quantity("a", "Any number")) == ""
    assert tables.Quantity("a", "Any number").values.contains(np.array([math.inf]))[0]

    @documented(rows=(row, tables.Output("c", "A count", "count", tables.MANY)))
    class Made:
        """A class.

        {rows}
        """

    doc: Any = Made.__doc__
    assert "a : array_like, default 0.5\n        A number (in [0, 1], at most b)." in doc
    assert "c : array of int\n        A count (count)." in doc
