"""The ladder's fit: reference values, the certificate of its optimum, the plain-Python twin, hard input."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

import escala
from escala import CurveSet, Family, FitStatus
from escala.curves.fitting import _room_for_steps as room_for_steps
from escala.kernels.families import ladder as families_ladder
from escala.kernels.fitting import fit as fit_kernels
from escala.kernels.fitting import ladder as kernels
from escala.kernels.fitting.ladder_rows import ladder_work_size
from escala.kernels.fitting.rows import work_size
from escala.kernels.layout import FIT_STATS, ROOT, fit_stats
from tests.naive.curves import CONSTANT, OK, TOO_FEW_POINTS, NaiveFit
from tests.naive.ladders import NaiveLadder
from tests.places import DATA

Floats = npt.NDArray[np.float64]
GOLDEN = json.loads((DATA / "depth_power_ladder.json").read_text())
#: Even noise, where that can be said.
EVEN: dict[str, Any] = {"noise": "even"}
FITS = [pytest.param(one, id=f"{one['data']}, {one['weights']}") for one in GOLDEN["fits"]]


@dataclass
class Fit:
    """What the kernel gives of one instrument, beside its points in order of capital."""

    points: Floats
    status: int
    size: int
    steps: Floats
    sse: float
    leverage: Floats
    root: Floats
    stats: Floats

    def efficiency(self, capital: Floats) -> Floats:
        """η, summed over steps."""
        knots, slopes, _ = self.steps
        ends = np.append(knots[1:], np.inf)
        inside = np.clip(capital[:, None] - knots, 0.0, ends - knots)
        return np.asarray((inside * slopes).sum(axis=1) / capital)

    def best_capital(self, price: float) -> float:
        """The knot behind the last step that is steeper than the price."""
        knots, slopes, _ = self.steps
        return float(np.append(knots, np.inf)[np.searchsorted(-slopes, -price)])


def points_of(capital: Any, efficiency: Any, weights: Any = None) -> Floats:
    c, y = np.asarray(capital, float), np.asarray(efficiency, float)
    w = np.ones(c.size) if weights is None else np.asarray(weights, float)
    order = np.lexsort((w, y, c))
    return np.stack([c[order], y[order], w[order]], axis=1)


def fit_all(many: list[Floats], knots: list[Floats] | None = None, again: Floats | None = None) -> list[Fit]:
    n = len(many)
    sizes = [len(points) for points in many]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    given_knots = [np.zeros(1)] * n if knots is None else knots
    knot_offsets = np.concatenate([[0], np.cumsum([one.size for one in given_knots])]).astype(np.int64)
    step_offsets = np.arange(n + 1) * 3 * 96
    status, size, n_steps = np.full(n, -1, np.int8), np.zeros(n, np.int64), np.zeros(n, np.int64)
    steps, sse, leverage = np.full(n * 288, np.nan), np.full(n, np.nan), np.full(offsets[-1], np.nan)
    root, stats = np.full(n * ROOT, np.nan), np.full(n * FIT_STATS, np.nan)
    most = max(sizes)
    kernels.ladders(
        offsets, np.concatenate(many).ravel(), knot_offsets, np.concatenate(given_knots), step_offsets,
        np.empty(0) if again is None else again, status, size, n_steps, steps, sse, leverage, root, stats,
        np.full(ladder_work_size(most), np.nan), np.full(3 * most, np.nan), 0, n,
    )  # fmt: skip
    return [
        Fit(
            many[i],
            int(status[i]),
            int(size[i]),
            steps[288 * i : 288 * i + 3 * n_steps[i]].reshape(3, -1),
            float(sse[i]),
            leverage[offsets[i] : offsets[i + 1]],
            root[ROOT * i : ROOT * (i + 1)],
            stats[FIT_STATS * i : FIT_STATS * (i + 1)],
        )
        for i in range(n)
    ]


def fit_one(points: Floats, knots: Floats | None = None, again: Floats | None = None) -> Fit:
    return fit_all([points], None if knots is None else [knots], again)[0]


def rule(capital: Floats) -> Floats:
    """The inner knots, by NumPy."""
    low, high = capital.min(), capital.max()
    m = min(96, math.ceil(16.0 * np.log10(high / low) - 1e-9) + 1)
    return np.geomspace(low, high, m)[1:-1]


def design(capital: Floats, knots: Floats) -> Floats:
    columns = np.minimum(capital[:, None], knots) / capital[:, None]
    return np.concatenate([columns, np.ones((capital.size, 1))], axis=1)


def betas(steps: Floats, knots: Floats) -> Floats:
    """β of every column, from the steps: slopes fall by it at their knots."""
    slopes = steps[1][np.searchsorted(steps[0], np.append(0.0, knots) * (1.0 + 1e-12), side="right") - 1]
    return np.asarray(slopes - np.append(slopes[1:], 0.0))


def certificate(fit: Fit, knots: Floats) -> float:
    """How far the conditions of Karush, Kuhn and Tucker are missed, in extended precision."""
    c, y, w = fit.points[fit.points[:, 2] > 0.0].T
    a = design(c, knots).astype(np.longdouble)
    beta = betas(fit.steps, knots)
    gradient = a.T @ (w * (y - a @ beta))
    scale = np.sqrt((a * a * w[:, None]).sum(axis=0) * (w * y * y).sum())
    active = beta > 1e-13
    multiplier = gradient[active].mean() if beta.sum() > 1.0 - 1e-13 else 0.0
    assert beta.min() >= 0.0
    assert beta.sum() <= 1.0 + 1e-12
    assert multiplier >= -1e-12 * (w * y).sum()
    stationary = np.abs((gradient - multiplier)[active] / scale[active]).max(initial=0.0)
    return float(max(stationary, ((gradient - multiplier)[~active] / scale[~active]).max(initial=0.0)))


# --- reference values -------------------------------------------------------------------------------------------------


def golden_fit(one: dict[str, Any]) -> tuple[Fit, Floats]:
    data = GOLDEN["sets"][one["data"]]
    knots = np.array(one["fits"]["ladder"]["knots"])[1:]
    return fit_one(points_of(data["capital"], data["efficiency"], one["w"]), knots), knots


@pytest.mark.parametrize("one", FITS)
def test_fits_agree_with_fifty_digits(one: dict[str, Any]) -> None:
    known = one["fits"]["ladder"]
    fit, knots = golden_fit(one)
    assert fit.status == OK
    assert fit.size == known["active"]
    slopes = np.array([float(slope) for slope in known["slopes"]])
    assert betas(fit.steps, knots) == pytest.approx(slopes - np.append(slopes[1:], 0.0), rel=1e-8, abs=1e-14)
    expected = Fit(fit.points, OK, 0, np.stack([np.append(0.0, knots), slopes, slopes]), 0.0, *[np.empty(0)] * 3)
    capital = fit.points[:, 0]
    assert fit.efficiency(capital) == pytest.approx(expected.efficiency(capital), rel=1e-12)
    squares = (fit.points[:, 2] * fit.points[:, 1] ** 2).sum()
    assert fit.sse == pytest.approx(float(known["sse"]), rel=1e-11, abs=1e-30 * squares)


@pytest.mark.parametrize("one", FITS)
def test_reference_fits_are_certified(one: dict[str, Any]) -> None:
    fit, knots = golden_fit(one)
    assert certificate(fit, knots) < 1e-13


@pytest.mark.parametrize("one", FITS)
def test_capital_at_four_prices_agrees(one: dict[str, Any]) -> None:
    fit, _ = golden_fit(one)
    for price, capital in one["best_capital"]["ladder"].items():
        assert fit.best_capital(float(price)) == pytest.approx(float(capital), rel=1e-9)


# --- the optimum ------------------------------------------------------------------------------------------------------


def drawn(rng: np.random.Generator, n: int, *, noise: float = 0.02, level: float = 0.97, spread: float = 0.0) -> Floats:
    """Points of a curve that goes flat at a depth, over up to six decades, with weights that differ by decades."""
    span = rng.uniform(0.5, 6.0)
    capital = 10.0 ** (3.0 + span * rng.uniform(0.0, 1.0, n))
    depth = 10.0 ** (3.0 + span * rng.uniform(0.2, 1.1))
    h = 10.0 ** rng.uniform(-0.3, 1.3)
    eta = level * (1.0 + (capital / depth) ** h) ** (-1.0 / h)
    return points_of(
        capital, np.clip(eta + rng.normal(0.0, noise, n), 0.0, 1.0), 10.0 ** rng.uniform(-spread, spread, n)
    )


@pytest.mark.parametrize("spread", [0.0, 3.0])
def test_no_dense_solver_finds_less(spread: float) -> None:
    rng = np.random.default_rng(1)
    many = [drawn(rng, int(rng.choice([5, 12, 40, 90])), spread=spread) for _ in range(150)]
    for points, fit in zip(many, fit_all(many), strict=True):
        c, y, w = points.T
        knots = rule(c)
        root = np.sqrt(w)[:, None]
        beta, _ = scipy.optimize.nnls(design(c, knots) * root, y * root[:, 0], maxiter=5000)
        squares = float((w * y * y).sum())
        best = float((w * (y - design(c, knots) @ beta) ** 2).sum())
        assert fit.status == OK
        assert certificate(fit, knots) < 1e-12
        if beta.sum() <= 1.0:
            assert fit.sse == pytest.approx(best, rel=1e-8, abs=1e-20 * squares)
        else:
            assert fit.sse > best
            assert fit.steps[1, 0] == pytest.approx(1.0, abs=1e-12)


def test_a_sum_at_its_bound_is_the_optimum_on_it() -> None:
    """Against a dense solve over all β but one, which is what the others leave."""
    rng = np.random.default_rng(2)
    many = [drawn(rng, 40, level=1.0, noise=0.01) for _ in range(20)]
    many = [
        np.stack([p[:, 0], np.minimum(p[:, 1] + 0.03 * (p[:, 0] < np.median(p[:, 0])), 1.0), p[:, 2]], 1) for p in many
    ]
    bound = 0
    for points, fit in zip(many, fit_all(many), strict=True):
        c, y, _ = points.T
        knots = rule(c)
        assert certificate(fit, knots) < 1e-12
        a = design(c, knots)
        if fit.steps[1, 0] < 1.0 - 1e-12:
            continue
        bound += 1
        heavy = 1e5
        beta, _ = scipy.optimize.nnls(
            np.concatenate([a, np.full((1, a.shape[1]), heavy)]), np.append(y, heavy), maxiter=5000
        )
        assert beta.sum() == pytest.approx(1.0, abs=1e-9)
        assert fit.sse == pytest.approx(((y - a @ beta) ** 2).sum(), rel=1e-6)
    assert bound > 5


def test_a_ladder_without_noise_is_found_again() -> None:
    capital = np.geomspace(1e3, 1e6, 400)
    knots = np.array([2e3, 3e4, 4e5])
    beta = np.array([0.125, 0.25, 0.375, 0.0625])
    fit = fit_one(points_of(capital, design(capital, knots) @ beta), knots)
    assert fit.steps[0].tolist() == [0.0, *knots]
    assert fit.steps[1] == pytest.approx([0.8125, 0.6875, 0.4375, 0.0625], rel=1e-12)
    assert fit.steps[2] == pytest.approx(np.cumsum([0.0, 1625.0, 28e3 * 0.6875, 37e4 * 0.4375]), rel=1e-12)


def test_a_knot_that_takes_nothing_makes_no_step() -> None:
    capital = np.geomspace(1e3, 1e6, 50)
    fit = fit_one(points_of(capital, np.minimum(1.0, 2e4 / capital)), np.array([5e3, 2e4, 7e4]))
    assert fit.size == 1
    assert fit.steps == pytest.approx(np.array([[0.0, 2e4], [1.0, 0.0], [0.0, 2e4]]), rel=1e-12)


# --- the twin ---------------------------------------------------------------------------------------------------------


def assert_twin(fit: Fit, twin: NaiveLadder, status: int) -> None:
    assert fit.status == status
    if status not in (OK, CONSTANT):
        return
    assert fit.size == len(twin.beta)
    assert fit.steps.tolist() == twin.steps()
    assert fit.sse == twin.sse
    assert fit.leverage[fit.points[:, 2] > 0.0].tolist() == twin.leverages()
    assert fit.root.tolist() == twin.root()
    moments = twin.neumann()
    if not moments:
        assert math.isnan(fit.stats[fit_stats.NEUMANN])
        return
    assert fit.stats[fit_stats.NEUMANN] == moments["neumann"]
    assert fit.stats[fit_stats.NEUMANN_MEAN] == pytest.approx(moments["neumann_mean"], rel=1e-9)
    assert fit.stats[fit_stats.NEUMANN_VARIANCE] == pytest.approx(moments["neumann_variance"], rel=1e-8)


@pytest.mark.parametrize(
    ("noise", "level", "spread"), [(0.02, 0.97, 0.0), (0.02, 1.0, 3.0), (0.0, 1.0, 0.0), (0.3, 0.7, 1.0)]
)
def test_kernel_equals_the_twin_to_the_bit(noise: float, level: float, spread: float) -> None:
    rng = np.random.default_rng(3)
    sizes = [3, 5, 12, 40, 41, 90, 200]
    many = [drawn(rng, int(rng.choice(sizes)), noise=noise, level=level, spread=spread) for _ in range(40)]
    for points, fit in zip(many, fit_all(many), strict=True):
        twin = NaiveLadder([(c, y, w) for c, y, w in points.tolist()])
        assert_twin(fit, twin, twin.run())


def test_refits_equal_the_twin_and_the_fit_from_nothing() -> None:
    rng = np.random.default_rng(4)
    many = [drawn(rng, 90) for _ in range(20)]
    left_out = [np.where(np.arange(90) % 5 == k % 5, 0.0, points[:, 2]) for k, points in enumerate(many)]
    refits = fit_all(many, again=np.concatenate(left_out))
    for points, weights, fit in zip(many, left_out, refits, strict=True):
        twin = NaiveLadder([(c, y, w) for c, y, w in points.tolist()])
        twin.run()
        status = twin.refit(weights.tolist(), {column: twin.beta[column] for column in twin.order})
        rest = np.stack([points[:, 0], points[:, 1], weights], axis=1)
        fit.points = rest
        assert_twin(fit, twin, status)
        knots = rule(points[:, 0])
        assert certificate(fit, knots) < 1e-12
        assert fit.sse == pytest.approx(fit_one(rest, knots).sse, rel=1e-10)


# --- leverages, uncertainty, residuals --------------------------------------------------------------------------------


def test_leverages_are_the_diagonal_of_the_hat_matrix() -> None:
    rng = np.random.default_rng(5)
    for points in [drawn(rng, 60, spread=1.0) for _ in range(10)]:
        fit = fit_one(points)
        c, _, w = points.T
        knots = rule(c)
        a = design(c, knots)[:, betas(fit.steps, knots) > 1e-13] * np.sqrt(w)[:, None]
        q, _ = np.linalg.qr(a)
        assert a.shape[1] == fit.size
        assert fit.leverage == pytest.approx((q * q).sum(axis=1), abs=1e-8)


def test_the_root_has_the_mean_leverage_of_all_slopes() -> None:
    rng = np.random.default_rng(6)
    for points in [drawn(rng, 60, spread=1.0) for _ in range(10)]:
        fit = fit_one(points)
        c, _, w = points.T
        eta = fit.efficiency(c)
        slope = fit.steps[1][np.searchsorted(fit.steps[0], c, side="left") - 1]
        i0, m1, i1 = fit.root[:3]
        level, depth = eta * i0, (eta - slope - m1 * eta) * i1
        assert (w * level * depth).sum() == pytest.approx(0.0, abs=1e-9)
        assert (w * (level**2 + depth**2)).sum() == pytest.approx(fit.size, rel=1e-9)


def test_the_ratio_of_residuals_has_the_moments_of_independent_errors() -> None:
    """By simulation, over the columns of one fit."""
    rng = np.random.default_rng(7)
    points = drawn(rng, 60)
    fit = fit_one(points)
    knots = rule(points[:, 0])
    q, _ = np.linalg.qr(design(points[:, 0], knots)[:, betas(fit.steps, knots) > 1e-13])
    z = rng.normal(size=(200_000, 60))
    z -= (z @ q) @ q.T
    ratio = (np.diff(z, axis=1) ** 2).sum(axis=1) / (z * z).sum(axis=1)
    assert fit.stats[fit_stats.NEUMANN_MEAN] == pytest.approx(ratio.mean(), rel=2e-3)
    assert fit.stats[fit_stats.NEUMANN_VARIANCE] == pytest.approx(ratio.var(), rel=2e-2)


# --- fit --------------------------------------------------------------------------------------------------------------


def records_of(many: list[Floats]) -> tuple[list[str], list[Floats], list[Floats], list[Floats]]:
    rng = np.random.default_rng(20)
    shuffled = [points[rng.permutation(len(points))] for points in many]
    capital, efficiency, weights = ([points[:, k].copy() for points in shuffled] for k in range(3))
    return [f"i{k}" for k in range(len(many))], capital, efficiency, weights


def fitted_by_name(many: list[Floats], threads: int = 1) -> CurveSet:
    names, capital, efficiency, weights = records_of(many)
    return escala.fit(names, capital, efficiency, weights=weights, family="ladder", threads=threads, **EVEN)


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_curves_have_the_steps_and_figures_of_the_twin(spread: float) -> None:
    rng = np.random.default_rng(21)
    many = [drawn(rng, int(rng.choice([3, 5, 12, 41, 90, 140, 300])), spread=spread) for _ in range(40)]
    curves = fitted_by_name(many)
    for i, points in enumerate(many):
        reference = NaiveFit(*points.T.tolist())
        twin = NaiveLadder([(c, y, w) for c, y, w in zip(reference.c, reference.y_raw, reference.w, strict=True)])
        assert curves.status[i] == twin.run() == OK
        assert curves.family[i] == Family.LADDER
        assert curves._steps.row(i).tolist() == [number for row in twin.steps() for number in row]
        assert curves.params[i].tolist() == [1.0, 1.0, len(twin.steps()[0]), 0.0]
        assert curves._root[i].tolist() == twin.root()
        reference.lines()
        n, p, sse = reference.total, len(twin.beta), twin.sse
        assert curves.r_squared[i] == 1.0 - sse / reference.syy
        assert curves.rmse[i] == math.sqrt(sse / n)
        assert curves.trusted_to[i] == 2.0 * points[-1, 0]
        assert curves.df_resid[i] == max(0.0, n - p)
        if n > p:
            assert curves.residual_sd[i] == math.sqrt(sse / (n - p))
            variance, root = curves.residual_sd[i] ** 2, twin.root()
            level = np.array([root[0], -root[1] * root[2]])
            depth = np.array([0.0, root[2]])
            both = (
                variance
                * np.outer([1, 1], [1, 1])
                * np.array([[level @ level, level @ depth], [level @ depth, depth @ depth]])
            )
            assert curves.covariance[i, :2, :2] == pytest.approx(both, rel=1e-12)
        if n > p + 1:
            error = max(sse, reference.floor())
            aicc = n * math.log(error / n) + 2.0 * p + 2.0 * p * (p + 1.0) / (n - p - 1.0)
            assert curves.aicc[i] == pytest.approx(aicc, rel=1e-12)
        ladder = Fit(points, OK, p, np.array(twin.steps()), sse, *[np.empty(0)] * 3)
        away = np.abs(points[:, 1] - ladder.efficiency(points[:, 0]))
        assert curves.max_error[i] == pytest.approx(away.max(), abs=1e-14)
        assert curves.mean_error[i] == pytest.approx((np.array(reference.w) * away).sum() / n, abs=1e-14)
        moments = twin.neumann()
        if moments:
            assert curves._neumann[i, 0] == moments["neumann"] or sse <= 64.0 * reference.floor()
            assert curves._neumann[i, 1] == pytest.approx(moments["neumann_mean"], rel=1e-9)
            assert curves._neumann[i, 2] == pytest.approx(moments["neumann_variance"], rel=1e-8)


def test_threads_and_neighbours_change_no_bit_of_a_curve() -> None:
    rng = np.random.default_rng(22)
    many = [drawn(rng, int(rng.choice([3, 12, 41, 90, 140, 300]))) for _ in range(60)]
    one, four = fitted_by_name(many), fitted_by_name(many, threads=4)
    assert one._steps.values.tolist() == four._steps.values.tolist()
    assert one._steps.offsets.tolist() == four._steps.offsets.tolist()
    for name in ("params", "r_squared", "residual_sd", "mean_error", "_root", "_neumann"):
        assert np.array_equal(getattr(one, name), getattr(four, name), equal_nan=True)
    for i in (0, 17, 59):
        names, capital, efficiency, weights = records_of(many)
        alone = escala.fit(names[i : i + 1], capital[i : i + 1], efficiency[i : i + 1], weights=weights[i : i + 1],
                    family="ladder", **EVEN)  # fmt: skip
        assert alone._steps.row(0).tolist() == one._steps.row(i).tolist()
        assert alone._neumann.tolist() == one._neumann[i : i + 1].tolist()


def test_families_beside_a_ladder_change_no_bit() -> None:
    rng = np.random.default_rng(23)
    many = [drawn(rng, 60) for _ in range(12)]
    names, capital, efficiency, weights = records_of(many)
    wishes = ["ladder", "depth", "auto", "quadratic"] * 3
    mixed = escala.fit(names, capital, efficiency, weights=weights, family=wishes, **EVEN)
    for i, wish in enumerate(wishes):
        alone = escala.fit(names[i : i + 1], capital[i : i + 1], efficiency[i : i + 1], weights=weights[i : i + 1],
                    family=wish, **EVEN)  # fmt: skip
        assert mixed.params[i].tolist() == alone.params[0].tolist()
        assert mixed._steps.row(i).tolist() == alone._steps.row(0).tolist()
        assert mixed.aicc[i] == alone.aicc[0]


def test_auto_takes_a_ladder_where_its_criterion_less_ten_is_lowest() -> None:
    rng = np.random.default_rng(24)
    capital = np.geomspace(1e3, 1e7, 80)
    two_depths = 0.5 * np.minimum(1.0, 1e4 / capital) + 0.45 * np.minimum(1.0, 8e5 / capital)
    one_depth = 0.95 / np.sqrt(1.0 + (capital / 8e5) ** 2)
    efficiency = np.clip(np.stack([two_depths, one_depth]) + rng.normal(0.0, 0.005, (2, 80)), 0.0, 1.0)
    found = {
        name: escala.fit(["A", "B"], capital, efficiency, family=name, **EVEN) for name in ("auto", "depth", "ladder")
    }
    assert found["auto"].family_names == ["ladder", "depth"]
    less = found["ladder"].aicc - 10.0 - found["depth"].aicc
    assert less[0] < 0.0 < less[1]
    assert found["auto"]._steps.row(0).tolist() == found["ladder"]._steps.row(0).tolist()
    assert found["auto"]._steps.row(1).size == 0


def test_auto_considers_ladders_from_forty_capitals_on() -> None:
    rng = np.random.default_rng(25)
    for n, expected in ((39, False), (40, True)):
        capital = np.geomspace(1e3, 1e7, n)
        two_depths = 0.5 * np.minimum(1.0, 1e4 / capital) + 0.45 * np.minimum(1.0, 8e5 / capital)
        efficiency = np.clip(two_depths + rng.normal(0.0, 1e-4, n), 0.0, 1.0)
        twice = escala.fit(["A"], [np.repeat(capital, 2)], [np.repeat(efficiency, 2)], **EVEN)
        assert (twice.family_names[0] == "ladder") == expected


def test_there_is_room_for_every_ladder_and_no_more() -> None:
    for choice in (Family.LADDER, Family.DEPTH, 64):
        for n in (0, 1, 39, 40, 94, 95, 96, 1000):
            room = room_for_steps(np.array([n]), np.array([choice], np.int8))[-1]
            assert room == families_ladder.fit_steps(int(choice), n)


def test_a_ladder_by_name_without_room_is_degenerate() -> None:
    points = drawn(np.random.default_rng(26), 60)
    for room, expected in ((3 * 61, FitStatus.OK), (3 * 61 - 1, FitStatus.DEGENERATE)):
        status, n_steps = np.empty(1, np.int8), np.empty(1, np.int64)
        fit_kernels.fit(
            np.zeros(1, np.int64), np.array([0, 60]), np.array([Family.LADDER], np.int8), points[:, 0].copy(),
            points[:, 1].copy(), np.empty(0), 2**62, np.array([0, room]), np.empty(1, np.int8), status,
            np.empty(1, np.int64), np.empty((1, 4)), np.empty(1), np.empty((1, ROOT)), np.empty((1, 16)),
            np.empty((1, FIT_STATS)), n_steps, np.empty(room), np.empty(work_size(60)), np.empty(360), 0, 1,
        )  # fmt: skip
        assert status[0] == expected
        assert (n_steps[0] > 0) == (expected == FitStatus.OK)


def test_a_fitted_ladder_answers_as_one_that_is_given() -> None:
    points = drawn(np.random.default_rng(27), 60)
    curves = fitted_by_name([points])
    knots, slopes, _ = curves._steps.row(0).reshape(3, -1)
    given = CurveSet.from_ladders(["i0"], [knots], [slopes])
    at = np.geomspace(10.0, 1e11, 50)
    assert curves.utility(at) == pytest.approx(given.utility(at), rel=1e-12)
    assert curves.marginal(at).tolist() == given.marginal(at).tolist()


# --- hard input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capital", [[], [5.0], [5.0, 6.0], [5.0, 6.0, 6.0, 5.0]])
def test_fewer_than_three_capitals_give_no_ladder(capital: list[float]) -> None:
    points = [points_of(capital, [0.5] * len(capital)), points_of([1.0], [1.0])]
    assert [fit.status for fit in fit_all(points)] == [TOO_FEW_POINTS] * 2


def test_capitals_without_weight_do_not_count() -> None:
    assert fit_one(points_of([1.0, 2.0, 3.0], [0.9, 0.8, 0.7], [1.0, 1.0, 0.0])).status == TOO_FEW_POINTS


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_equal_efficiencies_are_constant(level: float) -> None:
    fit = fit_one(points_of(np.geomspace(1.0, 1e5, 50), np.full(50, level)))
    assert fit.status == CONSTANT
    assert fit.steps.tolist() == [[0.0], [level], [0.0]]
    assert fit.sse == 0.0
    assert fit.leverage.sum() == pytest.approx(1.0)


def test_a_narrow_range_has_no_knots() -> None:
    fit = fit_one(points_of([100.0, 105.0, 110.0], [0.9, 0.8, 0.7]))
    assert fit.status == OK
    assert fit.steps == pytest.approx(np.array([[0.0], [0.8], [0.0]]))
    assert fit.root[2] == 0.0


def test_rising_efficiencies_are_a_level() -> None:
    capital = np.geomspace(1e3, 1e6, 40)
    fit = fit_one(points_of(capital, np.linspace(0.2, 0.9, 40)))
    assert fit.size == 1
    assert fit.steps[1] == pytest.approx([0.55])


def test_efficiencies_that_end_in_zeros_are_fitted() -> None:
    capital = np.geomspace(1e3, 1e6, 60)
    fit = fit_one(points_of(capital, np.where(np.arange(60) < 30, 0.9, 0.0)))
    assert fit.status == OK
    assert fit.steps[1, -1] == 0.0
    assert certificate(fit, rule(capital)) < 1e-12


def test_two_clusters_of_capitals_are_fitted() -> None:
    rng = np.random.default_rng(8)
    capital = np.concatenate([rng.uniform(1.0, 1.01, 30), rng.uniform(1e5, 1.01e5, 30)])
    efficiency = np.concatenate([rng.uniform(0.9, 1.0, 30), rng.uniform(0.2, 0.3, 30)])
    fit = fit_one(points_of(capital, efficiency))
    assert fit.status == OK
    assert certificate(fit, rule(capital)) < 1e-12


def test_one_outlier_leaves_the_optimum_certified() -> None:
    points = drawn(np.random.default_rng(9), 60)
    points[20, 1] = 0.01
    fit = fit_one(points)
    assert fit.status == OK
    assert certificate(fit, rule(points[:, 0])) < 1e-12


def test_any_range_of_capital_is_fitted() -> None:
    rng = np.random.default_rng(10)
    for low, high in ((1e-100, 1e100), (1e-100, 1e-95), (1e95, 1e100), (1.0, 1.0 + 1e-15)):
        capital = np.exp(rng.uniform(np.log(low), np.log(high), 50))
        capital[:3] = low, high, low * (1.0 + 2.0**-52)
        fit = fit_one(points_of(capital, rng.uniform(0.0, 1.0, 50)))
        assert fit.status == OK
        assert np.isfinite(fit.steps).all()
        assert np.isfinite(fit.root).all()
        assert np.isfinite(fit.leverage).all()


def test_a_power_of_four_in_the_currency_changes_no_bit() -> None:
    points = drawn(np.random.default_rng(11), 90)
    scaled = points * [4.0**9, 1.0, 1.0]
    one, other = fit_all([points, scaled])
    assert other.steps[0].tolist() == (one.steps[0] * 4.0**9).tolist()
    assert other.steps[1].tolist() == one.steps[1].tolist()
    assert other.steps[2].tolist() == (one.steps[2] * 4.0**9).tolist()
    assert other.sse == one.sse


def test_another_currency_gives_the_same_curve() -> None:
    points = drawn(np.random.default_rng(12), 90)
    one, other = fit_all([points, points * [1.0837, 1.0, 1.0]])
    capital = points[:, 0]
    assert other.efficiency(capital * 1.0837) == pytest.approx(one.efficiency(capital), rel=1e-9)


def test_points_of_no_weight_change_no_bit_but_their_leverage() -> None:
    points = drawn(np.random.default_rng(13), 60)
    more = np.concatenate([points, points[::4] * [1.01, 0.5, 0.0]])
    more = more[np.lexsort((more[:, 2], more[:, 1], more[:, 0]))]
    one, other = fit_one(points), fit_one(more)
    assert other.steps.tolist() == one.steps.tolist()
    assert other.leverage[more[:, 2] > 0.0].tolist() == one.leverage.tolist()
    assert not other.leverage[more[:, 2] == 0.0].any()


def test_neighbours_in_a_call_change_no_bit() -> None:
    rng = np.random.default_rng(14)
    many = [drawn(rng, n) for n in (200, 3, 40, 12)]
    together, alone = fit_all(many), [fit_one(points) for points in many]
    for one, other in zip(together, alone, strict=True):
        assert one.steps.tolist() == other.steps.tolist()
        assert one.leverage.tolist() == other.leverage.tolist()


@given(
    st.lists(
        st.tuples(
            st.floats(1e-6, 1e12),
            st.floats(0.0, 1.0),
            st.sampled_from([0.0, 1e-6, 0.5, 1.0, 2.0, 1e4]) | st.floats(0, 9),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_whatever_the_points_the_ladder_is_one_and_certified(drawn_points: list[tuple[float, float, float]]) -> None:
    points = points_of(*zip(*drawn_points, strict=True))
    fit = fit_one(points)
    twin = NaiveLadder([(c, y, w) for c, y, w in points.tolist()])
    assert_twin(fit, twin, twin.run())
    if fit.status not in (OK, CONSTANT):
        assert fit.status == TOO_FEW_POINTS
        return
    knots, slopes, utilities = fit.steps
    assert knots[0] == utilities[0] == 0.0
    assert (np.diff(knots) > 0.0).all()
    assert (np.diff(slopes) < 0.0).all()
    assert slopes.max() <= 1.0
    assert slopes.min() >= 0.0
    assert utilities[1:] == pytest.approx(np.cumsum(slopes[:-1] * np.diff(knots)))
    if fit.status == OK:
        weighted = points[points[:, 2] > 0.0]
        assert certificate(fit, rule(weighted[:, 0])) < 1e-10
