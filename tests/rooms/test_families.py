"""Families of curves: what the tables say of them, how kernels name what they keep, and what a new one must not move."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import pytest

from escala import CurveSet, Family, FitStatus, tables
from escala.curves.families import family_code
from escala.curves.prediction import Saturation
from escala.kernels import layout
from tests.places import ROOT

APPENDED = """
import numpy as np
import escala.tables as tables
if {appended}:
    tables.FIT_STATS = (*tables.FIT_STATS, tables.Quantity("one_more", "a statistic of later"))
from escala import fit
rng = np.random.default_rng(1)
x = np.arange(1.0, 13.0)
curves = fit(["A"], x, [0.9 - 0.03 * x + 0.01 * rng.standard_normal(12)], family="linear")
print(curves.lack_of_fit.tolist(), curves.aicc.tolist(), curves.observed.tolist(), curves.limit.tolist())
"""


def test_enumerations_have_the_names_and_numbers_of_the_tables() -> None:
    assert {code.name.lower(): int(code) for code in Family} == {row.name: row.value for row in tables.FAMILIES}
    assert {code.name.lower(): int(code) for code in FitStatus} == {row.name: row.value for row in tables.FIT_STATUS}


def test_codes_of_families_and_wishes_cannot_meet() -> None:
    assert len({row.value for row in (*tables.FAMILIES, *tables.WISHES)}) == len(tables.FAMILIES) + len(tables.WISHES)
    assert all(0 <= row.value < 64 for row in tables.FAMILIES)
    assert all(64 <= row.value < 128 for row in tables.WISHES)
    assert (family_code("linear"), family_code("polynomial"), family_code("auto", wish=True)) == (0, 1, 64)


def test_results_have_the_names_of_the_tables() -> None:
    fields = {field.name for field in dataclasses.fields(CurveSet)}
    kept_otherwise = {"smallest", "largest", "neumann", "neumann_mean", "neumann_variance"}
    assert set(tables.names(tables.FIT_STATS)) - kept_otherwise <= fields
    assert {field.name for field in dataclasses.fields(Saturation)} == {*tables.names(tables.LIMITS), "drop", "symbols"}


def test_every_family_fits_the_width_of_coefficients() -> None:
    assert len(tables.COEFFICIENTS) == tables.PARAMS == layout.PARAMS
    for row in tables.FAMILIES:
        assert [one.name for one in row.coefficients] == list(tables.COEFFICIENTS[: row.least_capitals])


def test_rows_of_kernels_are_those_of_the_tables() -> None:
    assert [getattr(layout.fit_stats, row.name.upper()) for row in tables.FIT_STATS] == list(range(layout.FIT_STATS))
    assert [getattr(layout.families, row.name.upper()) for row in tables.FAMILIES] == [
        row.value for row in tables.FAMILIES
    ]
    assert layout.covariance.BA == layout.PARAMS
    assert layout.CHOICES == (0, 3, 1, 2)  # of two that fit as well, the first


def test_rows_cannot_be_called_twice() -> None:
    with pytest.raises(ValueError, match="a row cannot be called 'a': there is one already"):
        layout.rows("a", "a")


def test_a_statistic_that_is_appended_changes_no_other() -> None:
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT / "src")}
    said = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", APPENDED.format(appended=appended)],
            env=environment, capture_output=True, text=True, check=True,
        ).stdout
        for appended in (False, True)
    ]  # fmt: skip
    assert said[0] == said[1]
    assert "nan" not in said[0]
