"""CurveSet: evaluation, predictions, saturation and capacity against brute force, construction, bad input."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from escala import CurveError, CurveSet, Family, FitStatus, fit
from tests.naive.curves import naive_exp

Floats = npt.NDArray[np.float64]
FAMILIES = ("linear", "quadratic", "exponential", "sqrt")


def naive_efficiency(family: str, params: Floats, origin: float, capital: float) -> float:
    a, b, c = (float(v) for v in params)
    d = capital - origin
    if family == "linear":
        value = a * capital + b
    elif family == "quadratic":
        value = (a * d + b) * d + c
    elif family == "exponential":
        value = a * naive_exp(-b * d) + c
    else:
        value = a * math.sqrt(capital) + b
    return min(max(value, 0.0), 1.0)


def drawn_curves(rng: np.random.Generator, n: int) -> tuple[list[str], Floats, Floats]:
    """Rising, falling, flat, convex and concave curves, above 1 and below 0, on capitals up to about 2."""
    families = [FAMILIES[k] for k in rng.integers(0, 4, n)]
    params = np.zeros((n, 3))
    origin = np.where(rng.random(n) < 0.3, rng.uniform(0.0, 0.5, n), 0.0)
    for i, family in enumerate(families):
        sign = rng.choice([-1.0, 1.0, 0.0], p=[0.6, 0.35, 0.05])
        top = rng.uniform(-0.3, 1.4)
        if family == "exponential":
            params[i] = -sign * rng.uniform(0.1, 1.0), 10.0 ** rng.uniform(-1.5, 1.5), top - 0.4
        elif family == "quadratic":
            params[i] = rng.uniform(-1.0, 1.0), sign * rng.uniform(0.0, 1.5), top
        else:
            params[i, :2] = sign * rng.uniform(0.05, 1.0), top
    return families, params, origin


def curve_set(families: list[str], params: Floats, origin: Floats, trusted_to: Any = np.inf) -> CurveSet:
    return CurveSet.from_params(
        [f"S{i}" for i in range(len(families))], families, params, origin=origin, trusted_to=trusted_to
    )


@given(st.integers(0, 2**32))
def test_evaluation_equals_the_formulas_to_the_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    families, params, origin = drawn_curves(rng, 12)
    curves = curve_set(families, params, origin)
    capital = np.where(rng.random((12, 9)) < 0.1, 0.0, 10.0 ** rng.uniform(-3, 1, (12, 9)))
    got = curves.efficiency(capital)
    for i, family in enumerate(families):
        expected = [naive_efficiency(family, params[i], curves.origin[i], float(c)) for c in capital[i]]
        assert got[i].tolist() == expected
    assert np.array_equal(curves.utility(capital), capital * got)
    assert np.array_equal(curves.efficiency(capital[:1]), np.stack([c.efficiency(capital[0]) for c in curves]))


def test_marginal_is_the_slope_of_utility() -> None:
    rng = np.random.default_rng(1)
    families, params, origin = drawn_curves(rng, 400)
    curves = curve_set(families, params, origin)
    capital = rng.uniform(0.05, 2.0, (400, 20))
    step = 1e-6
    slope = (curves.utility(capital + step) - curves.utility(capital - step)) / (2 * step)
    near, far = curves.efficiency(capital - step), curves.efficiency(capital + step)
    smooth = ((near < 1.0) == (far < 1.0)) & ((near > 0.0) == (far > 0.0))
    assert np.allclose(curves.marginal(capital)[smooth], slope[smooth], rtol=1e-6, atol=1e-7)
    assert smooth.mean() > 0.99
    ones = curves.efficiency(capital) == 1.0
    assert np.all(curves.marginal(capital)[ones] == 1.0)


def test_shapes_of_capital() -> None:
    curves = CurveSet.from_params(["A", "B"], "linear", [[-0.1, 1.0], [-0.2, 0.9]])
    assert curves.efficiency(1.0).tolist() == [0.9, 0.7]
    assert np.allclose(curves.efficiency([1.0, 2.0]), [0.9, 0.5])
    assert curves.efficiency([[1.0], [2.0]]).shape == (2, 1)
    assert np.allclose(curves.efficiency([[1.0, 2.0, 3.0]]), [[0.9, 0.8, 0.7], [0.7, 0.5, 0.3]])
    assert curves["B"].efficiency([1.0, 2.0, 3.0]).shape == (3,)
    assert curves.predict(np.ones((2, 5))).confidence.shape == (2, 5)
    assert curves.efficiency(np.empty((2, 0))).shape == (2, 0)
    for shape in ((3,), (3, 2), (1, 2, 2)):
        with pytest.raises(CurveError, match=r"capital of shape \(.*\) does not fit 2 curves: it must be a number, or"):
            curves.efficiency(np.ones(shape))


def test_results_go_where_they_are_wanted() -> None:
    curves = CurveSet.from_params(["A", "B"], "linear", [[-0.1, 1.0], [-0.2, 0.9]])
    out = np.empty((2, 3))
    assert curves.utility([[1.0, 2.0, 3.0]], out=out) is out
    assert np.array_equal(out, curves.utility([[1.0, 2.0, 3.0]]))
    for bad in (np.empty((3, 2)), np.empty((2, 3), np.float32), np.empty((3, 2)).T, [[0.0] * 3] * 2):
        with pytest.raises(CurveError, match=r"out must be a writable C-contiguous float64 array of shape \(2, 3\)"):
            curves.utility([[1.0, 2.0, 3.0]], out=bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_no_bit(threads: int) -> None:
    rng = np.random.default_rng(2)
    families, params, origin = drawn_curves(rng, 7)
    curves = curve_set(families, params, origin)
    capital = rng.uniform(0.0, 2.0, (7, 60_001))
    whole = np.stack([curve.efficiency(row, threads=1) for curve, row in zip(curves, capital, strict=True)])
    assert np.array_equal(curves.efficiency(capital, threads=threads), whole)


# --- predictions -------------------------------------------------------------------------------------------------


def fitted(family: str, n: int = 40, m: int = 12, seed: int = 3) -> tuple[CurveSet, Floats, Floats]:
    rng = np.random.default_rng([seed, FAMILIES.index(family)])
    capital = rng.uniform(1e4, 1e6, (n, m))
    x = capital / 1e6
    shape = {"linear": x, "quadratic": 0.5 * x + 0.5 * x * x, "exponential": 1 - np.exp(-3 * x), "sqrt": np.sqrt(x)}
    efficiency = 0.8 - 0.4 * shape[family] + rng.normal(0, 0.01, (n, m))
    return fit([f"S{i}" for i in range(n)], capital, efficiency, family=family), capital, efficiency


@pytest.mark.parametrize("family", FAMILIES)
def test_intervals_equal_the_textbook(family: str) -> None:
    curves, capital, _ = fitted(family)
    points = np.linspace(1e3, 2e6, 25)
    got = curves.predict(points[None, :], level=0.9, tolerance=0.02)
    for i in np.flatnonzero(curves.status == FitStatus.OK):
        a, b = curves.params[i, :2]
        d = points - curves.origin[i]
        gradient = {
            "linear": np.stack([d, np.ones(25), np.zeros(25)]),
            "quadratic": np.stack([d * d, d, np.ones(25)]),
            "exponential": np.stack([np.exp(-b * d), -a * d * np.exp(-b * d), np.ones(25)]),
            "sqrt": np.stack([np.sqrt(points), np.ones(25), np.zeros(25)]),
        }[family]
        variance = np.einsum("jk,jl,lk->k", gradient, curves.covariance[i, :3, :3], gradient)
        raw = gradient[0] * a + curves.params[i, 2] if family == "exponential" else curves.params[i, :3] @ gradient
        error = np.sqrt(variance + curves.residual_sd[i] ** 2)
        t = stats.t(curves.df_resid[i])
        assert np.allclose(got.efficiency[i], np.clip(raw, 0, 1), atol=1e-9)
        assert np.allclose(got.low[i], np.clip(raw - t.ppf(0.95) * error, 0, 1), atol=1e-7)
        assert np.allclose(got.high[i], np.clip(raw + t.ppf(0.95) * error, 0, 1), atol=1e-7)
        low, high = got.efficiency[i] - 0.02, got.efficiency[i] + 0.02
        above, below = t.cdf((high - raw) / error), t.cdf((low - raw) / error)
        hit = np.where(high >= 1.0, 1.0, above) - np.where(low <= 0.0, 0.0, below)
        assert np.allclose(got.confidence[i], hit, atol=1e-6)
        within = (got.low[i] >= low) & (got.high[i] <= high)
        assert np.all(got.confidence[i][within] >= 0.9 - 1e-9)
        assert got.extrapolated[i].tolist() == ((points < capital[i].min()) | (points > capital[i].max())).tolist()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("m", [5, 12])
def test_intervals_hold_what_they_promise(family: str, m: int) -> None:
    """A small share of the study of benchmarks/coverage.py: 40,000 fits, four standard errors."""
    from benchmarks.coverage import Experiment

    experiment = Experiment(family, m, 40_000, 0.02, 7)
    covered = experiment.covered(experiment.inside())
    for level, share in zip((0.50, 0.80, 0.95, 0.99), covered, strict=True):
        assert abs(share - level) < 4.0 * math.sqrt(level * (1.0 - level) / 40_000) + 0.002
    bins = experiment.calibration()
    assert np.abs(bins[:, 0] - bins[:, 1]).max() < 0.05


@pytest.mark.parametrize("family", FAMILIES)
def test_confidence_falls_with_distance_noise_and_few_points(family: str) -> None:
    curves, _, _ = fitted(family)
    known = curves[curves.status == FitStatus.OK]
    near, away = known.predict(5e5, tolerance=0.01).confidence, known.predict(1.3e6, tolerance=0.01)
    assert np.all((near >= 0) & (near <= 1))
    inside = (away.efficiency > 0.05) & (away.efficiency < 0.95)  # at 0 and 1 observations pile up
    assert inside.sum() > 10
    assert np.mean(near[inside]) > np.mean(away.confidence[inside])
    tight = known.predict(5e5, tolerance=0.001).confidence
    assert np.all(tight < near)


def test_confidence_and_interval_agree_where_efficiencies_end() -> None:
    """What lies beyond 0 or 1 is observed at 0 or 1: there an interval may be a point, and that point is sure."""
    curve = fit(["A"] * 5, [1e3, 2e3, 4e3, 8e3, 16e3], [1.0, 0.999, 0.96, 0.91, 0.79], family="linear")
    found = curve.predict([1.0, 1e3, 3e4, 1e6], tolerance=0.005)
    assert found.efficiency[0] == 1.0
    assert found.low[0] >= 0.995
    assert found.confidence[0] >= 0.95
    assert (found.low[3], found.high[3]) == (0.0, 0.0)
    assert found.confidence[3] > 0.999
    assert found.confidence[1] < 0.95


# --- saturation --------------------------------------------------------------------------------------------------


def brute_force(curve: CurveSet, end: float, drop: float) -> tuple[float, float, float]:
    """Peak, saturation and capacity on a dense grid; inf where not within the limit."""
    grid = np.linspace(0.0, end, 200_001)
    eta = curve.efficiency(grid)
    peak = float(grid[np.argmax(eta)])
    after = (grid >= peak) & (eta <= (1.0 - drop) * eta.max())
    saturation = float(grid[np.argmax(after)]) if after.any() else math.inf
    utility = grid * eta
    falls = np.flatnonzero(np.diff(utility) < -1e-13)  # behind the first peak nothing counts
    top = int(np.argmax(utility[: falls[0] + 1] if falls.size else utility))
    rises = top == grid.size - 1 and utility[-1] > utility[-2]
    return peak, saturation, math.inf if rises else float(grid[top])


def test_saturation_and_capacity_by_brute_force() -> None:
    rng = np.random.default_rng(4)
    n = 700
    families, params, origin = drawn_curves(rng, n)
    trusted_to = rng.uniform(0.3, 3.0, n)
    drop = rng.uniform(0.02, 1.0, n)
    curves = curve_set(families, params, origin, trusted_to)
    found = curves.saturation(drop)
    infinite = 0
    for i in range(n):
        end, step = float(trusted_to[i]), float(trusted_to[i]) / 200_000
        peak, saturation, capacity = brute_force(curves[i], end, drop[i])
        here = curves[i]
        # Where many capitals are as good, values decide, not places.
        at_peak = here.efficiency([found.peak[i], peak])
        assert math.isclose(at_peak[0], at_peak[1], rel_tol=1e-9, abs_tol=1e-9), i
        if math.isinf(saturation) or math.isinf(found.saturation[i]):
            edge = here.efficiency(end)[0] - (1.0 - drop[i]) * at_peak[0]
            assert saturation == found.saturation[i] or abs(edge) < 1e-5, i
            infinite += 1
        else:
            slope_is_flat = abs(here.efficiency(found.saturation[i])[0] - here.efficiency(saturation)[0]) < 1e-9
            assert abs(found.saturation[i] - saturation) <= 2 * step or slope_is_flat, i
        if math.isinf(capacity) or math.isinf(found.capacity[i]):
            assert capacity == found.capacity[i], i
        else:
            best = here.utility([found.capacity[i], capacity])
            assert best[0] >= best[1] - 1e-12, i
            assert best[0] <= best[1] + 1e-5 * end, i
    assert 50 < infinite < n - 50


def test_threshold_by_brute_force() -> None:
    rng = np.random.default_rng(5)
    n = 700
    families, params, origin = drawn_curves(rng, n)
    trusted_to = rng.uniform(0.3, 3.0, n)
    least = np.where(rng.random(n) < 0.05, rng.choice([0.0, 1.0, 1.2, -0.5], n), rng.uniform(0.01, 0.99, n))
    curves = curve_set(families, params, origin, trusted_to)
    found = curves.threshold(least)
    kinds = {"none": 0, "open": 0, "closed": 0}
    for i in range(n):
        grid = np.linspace(0.0, trusted_to[i], 100_001)
        good = curves[i].efficiency(grid) >= least[i]
        step = grid[1]
        if not good.any():
            kinds["none"] += 1
            # a stretch narrower than the grid may be there
            assert found[i] == 0.0 or curves[i].efficiency([found[i] * (1 - 1e-12)])[0] >= least[i] - 1e-9, i
            continue
        first = int(np.argmax(good))
        bad_after = ~good[first:]
        if not bad_after.any():
            kinds["open"] += 1
            assert math.isinf(found[i]) or abs(found[i] - trusted_to[i]) <= 2 * step, i
        else:
            kinds["closed"] += 1
            end = grid[first + int(np.argmax(bad_after))]
            assert abs(found[i] - end) <= 2 * step, i
    assert min(kinds.values()) > 20


def test_known_saturations() -> None:
    curves = CurveSet.from_params(
        ["line", "rise", "flat", "root", "exp", "bowl", "above", "below"],
        ["linear", "linear", "linear", "sqrt", "exponential", "quadratic", "linear", "linear"],
        [
            [-1.0, 1, 0],
            [0.1, 0.2, 0],
            [0.0, 0.5, 0],
            [-1.0, 1, 0],
            [0.5, 1, 0.5],
            [0.5, -1, 1],
            [-1.0, 2, 0],
            [-1.0, 0, 0],
        ],
        trusted_to=[1, 4, 4, 1, np.inf, 0.9, 4, 4],
    )
    found = curves.saturation(0.1)
    assert np.allclose(found.peak, [0, 4, 0, 0, 0, 0, 0, 0])
    assert np.allclose(found.saturation[[0, 3, 4, 5, 6, 7]], [0.1, 0.01, -math.log(0.8), 1 - math.sqrt(0.8), 1.1, 0])
    assert np.isinf(found.saturation[[1, 2]]).all()
    assert np.allclose(found.capacity[[0, 3, 6, 7]], [0.5, 4 / 9, 1.0, 0.0])
    assert np.isinf(found.capacity[[1, 2, 4, 5]]).all()
    assert np.isnan(found.capacity_low).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_intervals_of_saturation_and_capacity(family: str) -> None:
    """90 % of the intervals hold the true saturation."""
    from benchmarks.coverage import Experiment

    experiment = Experiment(family, 25, 4000, 0.02, 9)
    found = experiment.curves.saturation(0.10)
    grid = np.concatenate([[0.0], np.linspace(1.0, 2.2e6, 40_001)])
    inside = []
    for k, i in enumerate(np.flatnonzero(experiment.kept)):
        eta = experiment.truth[int(i)](grid[None, :])[0]
        lost = eta <= 0.9 * eta[0]
        true = grid[np.argmax(lost)] if lost.any() else math.inf
        inside.append(found.saturation_low[k] <= true <= found.saturation_high[k])
    share = float(np.mean(inside))
    assert 0.87 < share < 0.94
    assert np.all(found.saturation_low <= found.saturation)
    assert np.all(found.saturation <= found.saturation_high)
    assert np.all(found.capacity_low <= found.capacity)
    assert np.all(found.capacity <= found.capacity_high)


def test_intervals_on_narrow_ranges() -> None:
    rng = np.random.default_rng(0)
    capital = 1e6 + np.sort(rng.random(12))
    efficiency = 0.3 + 0.6 * np.exp(-2 * (capital - 1e6)) + 0.01 * rng.standard_normal(12)
    curve = fit(["A"], [capital], [efficiency], family="exponential")
    far = curve.predict([10.0, 5e5])
    assert (far.low.tolist(), far.high.tolist(), far.confidence.tolist()) == ([0.0, 0.0], [1.0, 1.0], [0.0, 0.0])
    flat = fit(["A"], [1e6 + np.arange(4.0)], [[0.5] * 4], family="exponential")
    assert flat.efficiency([0.0, 10.0]).tolist() == [0.5, 0.5]
    assert flat.marginal([10.0]).tolist() == [0.5]
    assert np.isinf(flat.threshold(0.4)).all()


# --- drawn coefficients ------------------------------------------------------------------------------------------


def assert_moments(draws: Floats, mean: Floats, covariance: Floats, slack: float = 0.0) -> None:
    """Five standard errors of the means, variances and correlations of normal draws, and `slack` beyond them."""
    n, size = draws.shape
    sd = np.sqrt(np.diag(covariance))
    used = sd > 0.0
    assert np.all(draws[:, ~used] == mean[~used])
    scaled = (draws[:, used] - mean[used]) / sd[used]
    assert np.abs(scaled.mean(0)).max() < 5.0 / math.sqrt(n) + slack
    correlation = (covariance / np.outer(np.where(used, sd, 1.0), np.where(used, sd, 1.0)))[np.ix_(used, used)]
    assert np.abs(np.cov(scaled.T) - correlation).max() < 5.0 * math.sqrt(2.0 / n) + slack
    assert size == 4


@pytest.mark.parametrize("family", ["linear", "quadratic", "sqrt"])
def test_draws_have_the_mean_and_covariance_of_the_fit(family: str) -> None:
    curves, _, _ = fitted(family, 4)
    draws = curves.draw_params(100_000, seed=1)
    assert draws.shape == (100_000, 4, 4)
    assert draws.dtype == np.float64
    assert draws.flags.c_contiguous
    for i in range(4):
        assert_moments(draws[:, i], curves.params[i], curves.covariance[i])
    assert np.all(draws[:, :, 2] == 0.0) or family == "quadratic"
    assert np.all(draws[:, :, 3] == 0.0)
    between = np.corrcoef(draws[:, :, 0].T)
    assert np.abs(between - np.eye(4)).max() < 0.02


@pytest.mark.parametrize("family", ["linear", "quadratic"])
def test_draws_of_curves_over_narrow_ranges_stay_on_the_data(family: str) -> None:
    """With origins far from the data the coefficients cancel to many digits."""
    rng = np.random.default_rng(2)
    capital = 1e6 * (1.0 + 0.1 * np.sort(rng.random(20)))
    curve = fit(["A"], [capital], [0.8 - (capital / 1e6 - 1.0) + 0.002 * rng.standard_normal(20)], family=family)
    a, b, c, _ = curve.draw_params(50_000, seed=2)[:, 0].T
    d = float(np.median(capital)) - curve.origin[0]
    eta = a * d + b if family == "linear" else (a * d + b) * d + c
    gradient = np.array([d, 1.0, 0.0] if family == "linear" else [d * d, d, 1.0])
    sd = math.sqrt(gradient @ curve.covariance[0, :3, :3] @ gradient)
    assert abs(eta.mean() - curve.efficiency(float(np.median(capital)))[0]) < 5.0 * sd / math.sqrt(50_000)
    assert abs(eta.std() / sd - 1.0) < 0.02


def exponential_fit(noise: float, n: int = 1, m: int = 12) -> CurveSet:
    rng = np.random.default_rng([4, m])
    capital = rng.uniform(1e4, 1e6, (n, m))
    efficiency = 0.3 + 0.5 * np.exp(-3e-6 * capital) + noise * rng.standard_normal((n, m))
    return fit([f"S{i}" for i in range(n)], capital, efficiency, family="exponential")


def test_draws_of_sharp_exponentials_have_the_mean_and_covariance_of_the_fit() -> None:
    curve = exponential_fit(1e-4, m=30)
    assert_moments(curve.draw_params(100_000, seed=1)[:, 0], curve.params[0], curve.covariance[0], slack=0.01)


def test_draws_of_blurred_exponentials_are_exponentials_through_the_data() -> None:
    curves = exponential_fit(0.05, 400)
    curves = curves[curves.has_curve]
    span = curves.observed[:, 1] - curves.observed[:, 0]
    uncertain = np.sqrt(curves.covariance[:, 1, 1]) / curves.params[:, 1]
    assert (uncertain > 0.5).sum() > 50
    draws = curves.draw_params(2000, seed=3)
    a, b, c, _ = np.moveaxis(draws, -1, 0)
    assert np.isfinite(draws).all()
    assert np.all((b * span > 2.0**-8 * (1 - 1e-12)) & (b * span < 2.0**12 * (1 + 1e-12)))
    assert np.allclose(np.median(b[:, uncertain < 1.0], axis=0), curves.params[uncertain < 1.0, 1], rtol=0.15)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        d = share * span
        eta = a * np.exp(-b * d) + c
        mean = curves.params[:, 0] * np.exp(-curves.params[:, 1] * d) + curves.params[:, 2]
        left = np.exp(-curves.params[:, 1] * d)
        gradient = np.stack([left, -curves.params[:, 0] * d * left, np.ones_like(d)], axis=-1)
        sd = np.sqrt(np.einsum("nj,njk,nk->n", gradient, curves.covariance[:, :3, :3], gradient))
        if share in (0.0, 1.0):  # normal there, whatever the rate
            assert np.abs((eta.mean(0) - mean) / sd).max() < 5.0 / math.sqrt(2000)
            assert np.abs(eta.std(0) / sd - 1.0).max() < 5.0 * math.sqrt(0.5 / 2000)
        low, high = np.quantile(eta, [0.05, 0.95], axis=0)
        truth = 0.3 + 0.5 * np.exp(-3e-6 * (curves.origin + d))
        assert 0.80 < np.mean((low <= truth) & (truth <= high)) < 0.95


def test_draws_depend_on_seed_and_symbol_only() -> None:
    mixed = fit(
        [f"S{i}" for i in range(8)],
        *fitted("exponential", 8)[1:],
        family="auto",
    )
    draws = mixed.draw_params(50, seed=7)
    same: Any = np.int64(7)
    assert np.array_equal(draws, mixed.draw_params(50, seed=same))
    assert not np.array_equal(draws, mixed.draw_params(50, seed=8))
    assert np.array_equal(draws[:20], mixed.draw_params(20, seed=7))
    for i, curve in enumerate(mixed):
        assert np.array_equal(draws[:, i : i + 1], curve.draw_params(50, seed=7))
    assert np.array_equal(draws[:, [5, 2]], mixed[["S5", "S2"]].draw_params(50, seed=7))
    first, again = np.random.default_rng(9), np.random.default_rng(9)
    one = mixed.draw_params(50, seed=first)
    assert np.array_equal(one, mixed.draw_params(50, seed=again))
    assert not np.array_equal(one, mixed.draw_params(50, seed=first))


@pytest.mark.parametrize("family", FAMILIES)
def test_draws_of_curves_without_residuals_and_without_curve(family: str) -> None:
    capital = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    curves = fit(["flat", "none", "new"], [capital, [1.0, 1.0], []], [[0.5] * 5, [0.5, 0.4], []], family=family)
    assert curves.status_names == ["constant", "too_few_points", "too_few_points"]
    draws = curves.draw_params(10, seed=1)
    assert np.array_equal(draws[:, 0], np.broadcast_to(curves.params[0], (10, 4)))
    assert np.isnan(draws[:, 1:]).all()
    assert curves[[]].draw_params(10, seed=1).shape == (10, 0, 4)


def test_what_cannot_be_drawn_is_refused() -> None:
    made = CurveSet.from_params([f"S{i}" for i in range(5)], "linear", [[-0.1, 1.0]] * 5)
    message = (
        r"^nothing is known of the errors of 'S0', 'S1', 'S2' and 2 more: there are no data, or no degrees of freedom$"
    )
    with pytest.raises(CurveError, match=message):
        made.draw_params(10, seed=1)
    exact = fit(["A", "B"], [[1.0, 2.0], [1.0, 2.0, 3.0]], [[0.9, 0.8], [0.9, 0.8, 0.75]], family="linear")
    with pytest.raises(CurveError, match=r"^nothing is known of the errors of 'A': there are") as caught:
        exact.draw_params(10, seed=1)
    assert caught.value.indexes == ((0,),)
    assert exact["B"].draw_params(10, seed=1).shape == (10, 1, 4)
    known: Any = exact["B"]
    for draws in (0, -1, 1.5, True, "2", None):
        with pytest.raises(CurveError, match=f"^draws must be an integer of at least 1, not {draws!r}$"):
            known.draw_params(draws, seed=1)
    for seed in (-1, 1.5, True, "2", None):
        with pytest.raises(
            CurveError, match=f"^seed must be an integer of at least 0 or a numpy.random.Generator, not {seed!r}$"
        ):
            known.draw_params(10, seed=seed)


# --- sets of curves ----------------------------------------------------------------------------------------------


def test_taking_curves_out_of_a_set() -> None:
    curves, _, _ = fitted("linear", 5)
    assert curves["S3"].symbols.tolist() == ["S3"]
    assert curves[3].symbols.tolist() == ["S3"]
    assert curves[-1].symbols.tolist() == ["S4"]
    assert curves[1:3].symbols.tolist() == ["S1", "S2"]
    assert curves[[4, 0]].symbols.tolist() == ["S4", "S0"]
    assert curves[["S4", "S0"]].symbols.tolist() == ["S4", "S0"]
    assert len(curves[[]]) == 0
    assert curves[curves.r_squared > 2].symbols.size == 0
    assert [curve.symbols[0] for curve in curves] == ["S0", "S1", "S2", "S3", "S4"]
    assert curves.index("S2") == 2
    assert "S2" in curves
    assert "X" not in curves
    assert curves.status_names == ["ok"] * 5
    assert np.array_equal(curves[[4, 0]].efficiency(5e5), curves.efficiency(5e5)[[4, 0]])
    with pytest.raises(CurveError, match="no curve of 'X' among 5"):
        curves["X"]
    for outside in (5, -6, np.int64(7)):
        with pytest.raises(IndexError, match=f"^there is no curve {outside} among 5, which are counted from 0$"):
            curves[outside]
    assert curves[-5].symbols.tolist() == curves[0].symbols.tolist()


def test_sets_can_be_pickled_shown_and_tabled() -> None:
    curves, _, _ = fitted("exponential", 3)
    again = pickle.loads(pickle.dumps(curves))
    assert np.array_equal(again.efficiency(5e5), curves.efficiency(5e5))
    assert repr(curves) == "<CurveSet of 3 curves: exponential 3>"
    frame = curves.to_dataframe()
    assert frame.shape == (3, 28)
    assert frame["family"].tolist() == ["exponential"] * 3
    text = curves.summary(rows=2)
    assert "3 instruments, 36 points: exponential 3" in text
    assert "… and 1 more" in text
    mixed = fit(["A", "B"], [[1.0, 2.0, 3.0], [1.0]], [[0.9, 0.8, 0.75], [0.5]])
    assert "no curve: too few distinct capitals" in mixed.summary()


def test_curves_without_data_predict_without_bounds() -> None:
    p = CurveSet.from_params(["A"], "linear", [[-0.1, 1.0]]).predict([1.0, 2.0])
    assert p.efficiency.tolist() == [0.9, 0.8]
    assert (p.low.tolist(), p.high.tolist(), p.confidence.tolist()) == ([0.0, 0.0], [1.0, 1.0], [0.0, 0.0])
    assert p.extrapolated.all()


def test_aliases_and_codes() -> None:
    curves = CurveSet.from_params(["A"], "polynomial", [[0.0, -0.1, 1.0]])
    assert curves.family.tolist() == [Family.QUADRATIC]
    assert curves.family_names == ["quadratic"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["A", "A"], "linear", [[1, 1], [1, 1]]), r"symbols must differ, but symbols\[0\] and symbols\[1\] are both 'A'"),
        (([""], "linear", [[1, 1]]), r"symbols must be text that is not empty, but symbols\[0\] = ''"),
        ((["A"], "cubic", [[1, 1]]), "family must be one of linear, quadratic, .*, polynomial, not 'cubic'"),
        ((["A"], ["linear", "sqrt"], [[1, 1]]), "families has 2 entries for 1 symbols"),
        ((["A"], "linear", [[1, 1], [2, 2]]), r"params of shape \(2, 2\) must be of shape \(1, 2\), \(1, 3\) or \(1, 4\)"),
        ((["A"], "quadratic", [[1, 1]]), r"params\[0\] has 2 coefficients, a quadratic curve has 3"),
        ((["A", "B"], "exponential", [[1, 1, 0], [1, -1, 0]]), r"b of an exponential must be positive, but params\[1, 1\] = -1.0"),
        ((["A"], "linear", [[1, 1, 3]]), r"a linear curve has 2 coefficients, but params\[0, 2\] = 3.0"),
        ((["A"], "linear", [[1, math.nan]]), r"params must be in \(-inf, inf\), but params\[0, 1\] = nan"),
    ],
)  # fmt: skip
def test_bad_curves_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(CurveError, match=f"^{message}"):
        CurveSet.from_params(*arguments)


def test_bad_arguments_are_refused() -> None:
    curves = CurveSet.from_params(["A", "B"], "linear", [[-0.1, 1.0], [-0.2, 0.9]])
    cases: list[tuple[Any, str]] = [
        (lambda: curves.efficiency([1.0, -1.0]), r"capital must be in \[0, inf\), but capital\[1\] = -1.0"),
        (lambda: curves.utility([[1.0, math.nan]]), r"capital must be in \[0, inf\), but capital\[0, 1\] = nan"),
        (lambda: curves.predict(math.inf), r"capital must be in \[0, inf\), but capital.* = inf"),
        (lambda: curves.efficiency("many"), "capital must be real numbers"),
        (lambda: curves.predict(1.0, level=1.0), r"level must be in \(0, 1\), but level = 1.0"),
        (lambda: curves.predict(1.0, tolerance=-0.1), r"tolerance must be in \[0, inf\), but tolerance = -0.1"),
        (lambda: curves.saturation(0.0), r"drop must be in \(0, 1\], but drop = 0.0"),
        (lambda: curves.saturation([0.1, 0.2, 0.3]), r"drop of shape \(3,\) must be a number or of shape \(2,\)"),
        (lambda: curves.threshold(math.nan), r"min_efficiency must be in \(-inf, inf\), but min_efficiency = nan"),
        (lambda: CurveSet.from_params(["A"], "linear", [[1, 1]], trusted_to=0.0), r"trusted_to must be in \(0, inf\], but trusted_to = 0.0"),
    ]  # fmt: skip
    for call, message in cases:
        with pytest.raises(CurveError, match=f"^{message}"):
            call()
    two: Any = np.ones(2)
    with pytest.raises(CurveError, match=r"level must be one number, not of shape \(2,\)"):
        curves.predict(1.0, level=two)
