"""Ladders: utility in straight steps that get flatter, against a twin and against what follows from the definition."""

from __future__ import annotations

import dataclasses
import pickle
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escala import AllocationError, CurveError, CurveSet, Family, allocate
from escala.ragged import Ragged
from tests.naive.curves import NaiveLadder
from tests.stores import same_bits

Floats = npt.NDArray[np.float64]
SEEDS = st.integers(0, 2**32)


def drawn_ladder(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """One to forty steps, some of equal slope, often with nothing behind the last knot."""
    count = int(rng.integers(1, 41))
    knots = np.concatenate([[0.0], np.sort(10.0 ** rng.uniform(1.0, 8.0, count - 1))])
    slopes = np.sort(rng.uniform(0.0, 1.0, count))[::-1].copy()
    slopes[1:][rng.random(count - 1) < 0.2] = 0.0
    slopes = np.minimum.accumulate(slopes)
    if rng.random() < 0.3:
        slopes[0] = 1.0
    return np.unique(knots), slopes[: np.unique(knots).size]


def some_ladders(rng: np.random.Generator, n: int, **settings: Any) -> CurveSet:
    steps = [drawn_ladder(rng) for _ in range(n)]
    names = [f"L{i}" for i in range(n)]
    return CurveSet.from_ladders(names, [one for one, _ in steps], [other for _, other in steps], **settings)


def twin(curve: CurveSet) -> NaiveLadder:
    return NaiveLadder(curve._steps.row(0).reshape(3, -1).tolist(), *curve.params[0, :2].tolist())


def capitals(rng: np.random.Generator, curve: CurveSet, m: int) -> Floats:
    """Small, large and at knots, where one step ends and the next begins; 0 too."""
    knots = curve.ladder(curve.symbols[0]).knots
    near = rng.choice(knots, m) * rng.choice([1.0, 1.0 - 2.0**-52, 1.0 + 2.0**-52], m)
    return np.where(rng.random(m) < 0.5, near, 10.0 ** rng.uniform(-3.0, 9.0, m))


# --- what a ladder says -----------------------------------------------------------------------------------------------


@given(SEEDS, st.booleans())
def test_evaluation_equals_the_twin_to_the_bit(seed: int, in_order: bool) -> None:
    rng = np.random.default_rng(seed)
    curve = some_ladders(rng, 1)
    factors = np.array([[rng.uniform(0.0, 1.0), 10.0 ** rng.uniform(-2.0, 2.0)]])
    curve = dataclasses.replace(curve, params=np.concatenate([factors, curve.params[:, 2:]], axis=1))
    x = capitals(rng, curve, 60)
    x = np.sort(x) if in_order else x
    expected = twin(curve)
    eta = [min(expected.efficiency(c), 1.0) for c in x.tolist()]
    assert curve.efficiency(x).tolist() == eta
    assert np.array_equal(curve.utility(x), x * np.array(eta))
    above = [expected.efficiency(c) > 1.0 for c in x.tolist()]  # by rounding
    slopes = [1.0 if high else expected.marginal(c) for high, c in zip(above, x.tolist(), strict=True)]
    assert curve.marginal(x).tolist() == slopes
    assert curve.predict(x).efficiency.tolist() == eta


@given(SEEDS)
def test_thresholds_equal_the_twin_to_the_bit_and_evaluation_agrees(seed: int) -> None:
    rng = np.random.default_rng(seed)
    curves = some_ladders(rng, 6)
    least = np.where(rng.random(6) < 0.2, curves.efficiency(0.0), rng.uniform(-0.2, 1.1, 6))
    found = curves.threshold(least)
    for i, curve in enumerate(curves):
        assert found[i] == (0.0 if least[i] > 1.0 else twin(curve).threshold(float(least[i])))
        if 0.0 < found[i] < np.inf:
            assert curve.efficiency(found[i])[0] == pytest.approx(least[i], rel=1e-12)
            assert curve.efficiency(found[i] * (1.0 + 1e-6))[0] < least[i]
        if found[i] == np.inf:
            assert curve.efficiency(1e30)[0] >= least[i] - 1e-12


@given(SEEDS)
def test_efficiency_is_a_fraction_and_utility_concave(seed: int) -> None:
    rng = np.random.default_rng(seed)
    curves = some_ladders(rng, 5)
    for curve in curves:
        x = np.unique(np.concatenate([capitals(rng, curve, 80), curve.ladder(curve.symbols[0]).knots]))
        eta, utility, marginal = curve.efficiency(x), curve.utility(x), curve.marginal(x)
        assert eta.min() >= 0.0
        assert eta.max() <= 1.0
        assert np.all(np.diff(eta) <= 1e-15)
        assert np.all(np.diff(marginal) <= 0.0)
        # the slope at the left end is at least the mean one of a stretch, that at its right end at most
        rise, run, rounding = np.diff(utility), np.diff(x), 4.0 * np.spacing(utility[1:])
        assert np.all(rise <= marginal[:-1] * run + rounding + 1e-12 * utility[1:])
        assert np.all(rise >= marginal[1:] * run - rounding - 1e-12 * utility[1:])


@given(SEEDS, st.integers(-20, 20))
def test_a_currency_that_differs_by_a_power_of_four_changes_no_bit(seed: int, power: int) -> None:
    rng = np.random.default_rng(seed)
    unit = 4.0**power
    steps = [drawn_ladder(rng) for _ in range(3)]
    names = ["A", "B", "C"]
    mine = CurveSet.from_ladders(names, [k for k, _ in steps], [s for _, s in steps])
    theirs = CurveSet.from_ladders(names, [k * unit for k, _ in steps], [s for _, s in steps])
    x = np.stack([capitals(rng, curve, 20) for curve in mine])
    assert np.array_equal(mine.efficiency(x), theirs.efficiency(x * unit))
    assert np.array_equal(mine.marginal(x), theirs.marginal(x * unit))
    assert np.array_equal(mine.utility(x) * unit, theirs.utility(x * unit))
    assert np.array_equal(mine.threshold(0.7) * unit, theirs.threshold(0.7))
    ends = zip(mine.saturation().to_dict().items(), theirs.saturation().to_dict().items(), strict=True)
    for (name, one), (_, other) in ends:
        if name in ("peak", "saturation", "capacity"):
            assert np.array_equal(one * unit, other)


@given(SEEDS)
def test_utilities_at_knots_are_exact(seed: int) -> None:
    knots, slopes = drawn_ladder(np.random.default_rng(seed))
    curve = CurveSet.from_ladders(["A"], [knots], [slopes])
    exact = Fraction(0)
    for j, utility in enumerate(curve._steps.row(0).reshape(3, -1)[2].tolist()):
        exact += Fraction(float(slopes[j - 1] * (knots[j] - knots[j - 1]))) if j else 0
        assert abs(Fraction(utility) - exact) <= abs(exact) * Fraction(2) ** -51


def test_saturation_capacity_and_what_no_end_is() -> None:
    names = ["ends", "goes on", "nothing", "level"]
    knots = [[0.0, 100.0, 300.0], [0.0, 100.0], [0.0], [0.0]]
    slopes = [[1.0, 0.8, 0.0], [1.0, 0.5], [0.0], [0.9]]
    curves = CurveSet.from_ladders(names, knots, slopes)
    found = curves.saturation(0.1)
    assert found.peak.tolist() == [0.0] * 4
    # (U − sκ)/(θ − s) in the step: 20/0.1 and 50/0.4
    assert np.allclose(found.saturation[:2], [200.0, 125.0], rtol=1e-14)
    assert found.capacity[[1, 3]].tolist() == [np.inf, np.inf]
    assert found.capacity[2] == 0.0
    assert found.saturation[3] == np.inf
    assert np.isnan(found.saturation_low).all()


def test_a_ladder_can_be_looked_into() -> None:
    curves = CurveSet.concatenate(
        [
            CurveSet.from_ladders(["A"], [[0.0, 100.0, 300.0]], [[1.0, 0.9, 0.0]]),
            CurveSet.from_params(["B"], "linear", [[-1e-6, 1.0]]),
        ]
    )
    knots, slopes = curves.ladder("A")
    assert knots.tolist() == [0.0, 100.0, 300.0]
    assert slopes.tolist() == curves.ladder("A").slopes.tolist() == [1.0, 0.9, 0.0]
    half = dataclasses.replace(curves, params=curves.params * [[0.5, 2.0, 1.0, 1.0], [1.0] * 4])
    assert half.ladder("A").knots.tolist() == [0.0, 200.0, 600.0]
    assert half.ladder("A").slopes.tolist() == [0.5, 0.45, 0.0]
    with pytest.raises(CurveError, match=r"^'B' has a curve of family linear, not a ladder$"):
        curves.ladder("B")
    with pytest.raises(CurveError, match="no curve of 'C' among 2"):
        curves.ladder("C")


# --- sets -------------------------------------------------------------------------------------------------------------


def mixed(rng: np.random.Generator) -> CurveSet:
    names = [f"P{i}" for i in range(4)]
    plain = CurveSet.from_params(names, "linear", [[-1e-6, 1.0], [-2e-7, 0.9], [0.0, 0.5], [-1e-5, 0.8]])
    whole = CurveSet.concatenate([some_ladders(rng, 3), plain])
    return CurveSet.concatenate([whole[[0, 3, 1, 4]], whole[[5, 2, 6]]])


@given(SEEDS)
def test_parts_of_a_set_are_its_curves(seed: int) -> None:
    rng = np.random.default_rng(seed)
    curves = mixed(rng)
    x = 10.0 ** rng.uniform(0.0, 9.0, (1, 30))
    whole = curves.efficiency(x)
    for i, curve in enumerate(curves):
        assert curve.efficiency(x[0]).tolist() == whole[i].tolist()
    assert np.array_equal(curves[::-1].efficiency(x), whole[::-1])
    chosen = rng.random(len(curves)) < 0.5
    assert np.array_equal(curves[chosen].efficiency(x), whole[chosen])
    order = rng.permutation(len(curves))
    assert np.array_equal(curves[order].efficiency(x), whole[order])
    back = CurveSet.concatenate(curves)
    assert same_bits(back, curves)
    assert same_bits(pickle.loads(pickle.dumps(curves)), curves)
    assert same_bits(curves[order][np.argsort(order)], curves)
    assert same_bits(curves[["L1", "P0"]], CurveSet.concatenate([curves["L1"], curves["P0"]]))


def test_threads_change_no_bit_of_ladders() -> None:
    rng = np.random.default_rng(3)
    curves = mixed(rng)
    capital = 10.0 ** rng.uniform(0.0, 9.0, (len(curves), 40_001))
    one = curves.utility(capital, threads=1)
    assert np.array_equal(one, curves.utility(capital, threads=5))


def test_ladders_in_words_and_tables() -> None:
    curves = CurveSet.from_ladders(["A", "B"], [[0.0, 1e5, 3e5], [0.0]], [[0.9998, 0.9, 0.0], [0.7]])
    text = curves.summary()
    assert "A       3 steps, slopes 0.9998 to 0\n" in text
    assert text.endswith("B       1 step, slope 0.7")
    assert repr(curves) == "<CurveSet of 2 curves: ladder 2>"
    assert "ladder" in curves._repr_html_()
    columns = curves.to_dict()
    assert columns["family"].tolist() == ["ladder", "ladder"]
    assert columns["c"].tolist() == [3.0, 1.0]
    assert columns["d"].tolist() == [0.0, 0.0]
    assert curves.to_dataframe()["a"].tolist() == [1.0, 1.0]
    known = with_errors(curves)
    assert "A       3 steps, slopes 0.9998 to 0, level ± 0.001, depth ± 5 %" in known.summary()


# --- draws ------------------------------------------------------------------------------------------------------------


def with_errors(curves: CurveSet, level: float = 0.001, depth: float = 0.05) -> CurveSet:
    """Ladders whose level and whose logarithm of depth have these standard errors, not correlated."""
    n = len(curves)
    root, covariance = np.zeros((n, 6)), np.zeros((n, 4, 4))
    root[:, 0], root[:, 2] = level, depth
    covariance[:, 0, 0], covariance[:, 1, 1] = level**2, depth**2
    return dataclasses.replace(
        curves, _root=root, covariance=covariance, residual_sd=np.ones(n), df_resid=np.full(n, 9.0)
    )


def test_draws_move_level_and_depth() -> None:
    curves = with_errors(some_ladders(np.random.default_rng(5), 3))
    lower = np.array([curve.efficiency(0.0)[0] for curve in curves])
    drawn = curves.draw_params(4000, seed=1)
    assert drawn.shape == (4000, 3, 4)
    assert np.array_equal(drawn[:, :, 2], np.tile(curves.params[:, 2], (4000, 1)))
    assert np.all(drawn[:, :, 3] == 0.0)
    assert np.allclose(np.log(drawn[:, :, 1]).mean(axis=0), 0.0, atol=4.0 * 0.05 / np.sqrt(4000))
    assert np.allclose(np.log(drawn[:, :, 1]).std(axis=0), 0.05, rtol=0.06)
    free = lower < 0.99
    assert free.any()
    assert np.allclose(drawn[:, free, 0].std(axis=0), 0.001, rtol=0.06)
    assert np.all(drawn[:, :, 0] * lower <= 1.0 + 1e-15)
    assert np.array_equal(drawn[:, 1:2], curves[1].draw_params(4000, seed=1))
    found = allocate(curves, [1e5, 1e6], params=drawn[:50])
    assert found.utility.shape == (50, 2)
    for k in (0, 49):
        alone = allocate(dataclasses.replace(curves, params=drawn[k]), 1e6)
        assert alone.utility == pytest.approx(found.utility[k, 1], rel=1e-9)


def test_draws_need_errors() -> None:
    curves = some_ladders(np.random.default_rng(5), 2)
    with pytest.raises(CurveError, match="nothing is known of the errors of 'L0', 'L1'"):
        curves.draw_params(3, seed=1)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, 1.3, r"params\[0, 0, 0\] = 1.3"),
        (0, -0.1, r"params\[0, 0, 0\] = -0.1"),
        (1, 0.0, r"params\[0, 0, 1\] = 0.0"),
        (2, 2.0, r"c of a ladder must be the number of its steps.*params\[0, 0, 2\] = 2.0"),
        (2, 300.0, r"params\[0, 0, 2\] = 300.0"),
    ],
)
def test_draws_that_no_ladder_has_are_refused(place: int, value: float, message: str) -> None:
    curves = CurveSet.from_ladders(["A"], [[0.0, 100.0, 300.0]], [[0.8, 0.5, 0.0]])
    params = curves.params[None].copy()
    params[0, 0, place] = value
    with pytest.raises(AllocationError, match=message):
        allocate(curves, 100.0, params=params)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("knots", "slopes", "message"),
    [
        ([[0.0, 1.0]], [[1.0]], r"^knots\[0\] of shape \(2,\) and slopes\[0\] of shape \(1,\) must be rows of one length, at least 1, for 'A'$"),
        ([[]], [[]], r"^knots\[0\] of shape \(0,\) and slopes\[0\] of shape \(0,\) must be rows of one length"),
        ([[[0.0]]], [[[1.0]]], r"^knots\[0\] of shape \(1, 1\)"),
        ([[0.0], [0.0]], [[1.0]], r"^knots has 2 arrays for 1 symbols$"),
        ([[0.0]], [[1.0], [1.0]], r"^slopes has 2 arrays for 1 symbols$"),
        ([[1.0]], [[1.0]], r"^knots\[0, 0\] must be 0, not 1.0$"),
        ([[0.0, 2.0, 2.0]], [[1.0, 0.5, 0.2]], r"^knots\[0\] must rise, but 2.0 at 2 comes after 2.0$"),
        ([[0.0, 2.0, 1.0]], [[1.0, 0.5, 0.2]], r"^knots\[0\] must rise, but 1.0 at 2 comes after 2.0$"),
        ([[0.0, 2.0]], [[0.5, 0.6]], r"^slopes\[0\] must not rise, but 0.6 at 1 comes after 0.5$"),
        ([[0.0]], [[1.5]], r"^slopes\[0\] must be in \[0, 1\], but slopes\[0\]\[0\] = 1.5$"),
        ([[0.0]], [[-0.1]], r"^slopes\[0\] must be in \[0, 1\]"),
        ([[0.0, np.inf]], [[1.0, 0.0]], r"^knots\[0\] must be in \[0, inf\)"),
        ([[0.0, np.nan]], [[1.0, 0.0]], r"^knots\[0\] must be"),
        ([["x"]], [[1.0]], r"^knots\[0\] must be real numbers"),
    ],
)  # fmt: skip
def test_steps_that_are_no_ladder_are_refused(knots: Any, slopes: Any, message: str) -> None:
    with pytest.raises(CurveError, match=message):
        CurveSet.from_ladders(["A"], knots, slopes)


def test_ladders_are_matched_by_symbol() -> None:
    knots = {"B": [0.0, 1.0], "A": [0.0]}
    slopes = {"A": [0.5], "B": [0.9, 0.1]}
    curves = CurveSet.from_ladders(["A", "B"], knots, slopes, trusted_to={"B": 5.0, "A": 7.0})
    assert curves.ladder("B").slopes.tolist() == [0.9, 0.1]
    assert curves.trusted_to.tolist() == [7.0, 5.0]
    assert curves.family.tolist() == [Family.LADDER] * 2
    with pytest.raises(CurveError, match="slopes"):
        CurveSet.from_ladders(["A", "B"], knots, {"A": [0.5]})
    with pytest.raises(
        CurveError, match=r"^families\[1\] is 'ladder', whose steps are given to CurveSet.from_ladders$"
    ):
        CurveSet.from_params(["A", "B"], ["linear", "ladder"], [[0.0, 1.0]] * 2)


# --- rows of different lengths ----------------------------------------------------------------------------------------


@given(SEEDS)
def test_rows_of_different_lengths_are_taken_like_a_list_of_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [rng.uniform(size=int(size)) for size in rng.integers(0, 5, int(rng.integers(1, 9)))]
    ragged = Ragged.of(rows)
    assert len(ragged) == len(rows)
    assert ragged.sizes.tolist() == [row.size for row in rows]

    def check(found: Ragged, expected: list[Floats]) -> None:
        assert [found.row(i).tolist() for i in range(len(found))] == [row.tolist() for row in expected]
        assert found.offsets.tolist() == [0, *np.cumsum([row.size for row in expected]).tolist()]
        assert found.values.flags.c_contiguous

    check(ragged, rows)
    check(ragged[1:], rows[1:])
    check(ragged[::-2], rows[::-2])
    mask = rng.random(len(rows)) < 0.5
    check(ragged[mask], [row for row, there in zip(rows, mask.tolist(), strict=True) if there])
    places = rng.integers(-len(rows), len(rows), 6)
    check(ragged[places], [rows[int(k)] for k in places])
    check(Ragged.concatenate([ragged, ragged[:1], Ragged.empty(2)]), [*rows, *rows[:1], np.empty(0), np.empty(0)])
    check(Ragged.concatenate([]), [])
    check(Ragged.empty(3)[1:], [np.empty(0)] * 2)
