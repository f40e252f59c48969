"""fit: reference values, the plain-Python twin, the global optimum, invariances, weights, forms of input, bad input."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escala import CurveError, CurveSet, Family, FitError, FitStatus, InputError, RecordError, allocate, fit
from escala.curves import grouping
from escala.curves.families import family_code
from escala.kernels.fitting import fit as kernels
from escala.kernels.fitting.rows import work_size
from escala.tables import FIT_STATS, PARAMS, names
from tests.naive import curves as naive_curves
from tests.places import DATA

Floats = npt.NDArray[np.float64]
GOLDEN = json.loads((DATA / "curve_fits.json").read_text())
EVEN = 2**62  # no points have local weights
HOUR = datetime.timedelta(hours=1)
NAMES = ("linear", "quadratic", "exponential", "sqrt", "auto", "hill", "depth", "power", "ladder")

#: Instruments that are compared with the twin, where it is slow.
MANY = {"hill": 12, "depth": 40, "power": 40, "auto": 40, "ladder": 60}


def digits(value: float, reference: Any) -> float:
    return -math.log10(abs(value / float(reference) - 1.0) + 1e-17)


def raw_fit(
    capital: list[Floats], efficiency: list[Floats], family: str, weights: list[Floats] | None = None
) -> CurveSet:
    names = [f"i{k}" for k in range(len(capital))]
    return fit(names, capital, efficiency, family=family, weights=weights, noise="even", loss="squares")


# --- reference values --------------------------------------------------------------------------------------------


def kernel_fit(x: list[float], y: list[float], family: Family) -> tuple[list[float], list[float], dict[str, float]]:
    """The kernel itself: the reference data are no efficiencies."""
    n = len(x)
    params, root, covariance = np.empty((1, PARAMS)), np.empty((1, 6)), np.empty((1, PARAMS * PARAMS))
    stats = np.empty((1, len(FIT_STATS)))
    kernels.fit(
        np.zeros(1, np.int64), np.array([0, n]), np.array([family], np.int8), np.array(x, float), np.array(y, float),
        np.empty(0), EVEN, np.zeros(2, np.int64), np.empty(1, np.int8), np.empty(1, np.int8), np.empty(1, np.int64),
        params, np.empty(1), root, covariance, stats, np.empty(1, np.int64), np.empty(0), np.empty(work_size(n)),
        np.empty(6 * n), 0, 1,
    )  # fmt: skip
    deviations = np.sqrt(covariance.reshape(PARAMS, PARAMS).diagonal())
    return params[0].tolist(), deviations.tolist(), dict(zip(names(FIT_STATS), stats[0].tolist(), strict=True))


def test_nist_norris() -> None:
    known = GOLDEN["linear_norris"]
    (a, b, *_), (sd_a, sd_b, *_), figures = kernel_fit(known["x"], known["y"], Family.LINEAR)
    got = {"a": a, "b": b, "sd_a": sd_a, "sd_b": sd_b, "residual_sd": figures["residual_sd"], "r_squared": figures["r_squared"]}  # fmt: skip
    assert {name: digits(value, known[name]) >= 11.0 for name, value in got.items()} == dict.fromkeys(got, True)


def test_nist_pontius() -> None:
    known = GOLDEN["quadratic_pontius"]
    (a, b, c, _), (sd_a, sd_b, sd_c, _), figures = kernel_fit(known["x"], known["y"], Family.QUADRATIC)
    got = {
        "a": a, "b": b, "c": c, "sd_a": sd_a, "sd_b": sd_b, "sd_c": sd_c,
        "residual_sd": figures["residual_sd"], "r_squared": figures["r_squared"],
    }  # fmt: skip
    assert {name: digits(value, known[name]) >= 11.0 for name, value in got.items()} == dict.fromkeys(got, True)


@pytest.mark.parametrize("symbol", sorted(GOLDEN["exponential"]))
def test_exponentials_to_ten_digits(symbol: str) -> None:
    known = GOLDEN["exponential"][symbol]
    curve = fit([symbol], [known["x"]], [known["y"]], family="exponential")
    a, b, c, _ = curve.params[0]
    rss = curve.rmse[0] ** 2 * len(known["x"])
    got = {"a": a * math.exp(b * curve.origin[0]), "b": b, "c": c, "rss": rss}
    assert {name: digits(value, known[name]) >= 10.0 for name, value in got.items()} == dict.fromkeys(got, True)


# --- the plain-Python twin ---------------------------------------------------------------------------------------


def drawn_instrument(rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Records of any shape: spread, clustered or repeated capitals, all kinds of curves, little or much noise."""
    n = int(rng.choice([0, 1, 2, 3, 4, 16, 17, 128, 129, 200])) if rng.random() < 0.3 else int(rng.integers(1, 40))
    kind = rng.integers(0, 4)
    x = rng.uniform(0, 1, n) if kind < 2 else 10.0 ** rng.uniform(-6, 0, n)
    if kind == 1 and n:
        x = rng.choice(x, n)
    rate = 10.0 ** rng.uniform(-2, 3)
    y = (
        0.9 - 0.5 * x, 0.9 - 0.7 * x + 0.4 * x * x, 0.4 * np.exp(-rate * x) + 0.5,
        0.9 - 0.6 * np.sqrt(x), np.full(n, 0.7), 0.9 - 0.4 * np.exp(-rate * x),
    )[rng.integers(0, 6)]  # fmt: skip
    if rng.random() < 0.8:
        y = y + rng.normal(0, 10.0 ** rng.uniform(-8, -1), n)
    weights = rng.integers(0, 4, n).astype(float) if rng.random() < 0.5 else rng.uniform(0, 1, n)
    return 10.0 ** rng.uniform(-3, 6) + 10.0 ** rng.uniform(-3, 9) * x, np.clip(y, 0.0, 1.0), weights


def same(a: Any, b: Any) -> bool:
    return bool(np.array_equal(np.asarray(a, float), np.asarray(b, float), equal_nan=True))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("family", NAMES)
def test_every_number_equals_the_twin(family: str, weighted: bool) -> None:
    rng = np.random.default_rng([11, NAMES.index(family), weighted])
    drawn = [drawn_instrument(rng) for _ in range(MANY.get(family, 150))]
    curves = raw_fit([d[0] for d in drawn], [d[1] for d in drawn], family, [d[2] for d in drawn] if weighted else None)
    for i, (capital, efficiency, weight) in enumerate(drawn):
        twin = naive_curves.NaiveFit(capital.tolist(), efficiency.tolist(), weight.tolist() if weighted else None).run(
            family_code(family, wish=True)
        )
        assert (curves.family[i], curves.status[i], curves.n_points[i]) == (twin.family, twin.status, twin.n_points)
        assert same(curves.params[i], twin.params)
        assert same(curves._steps.row(i), twin.steps)
        assert curves.origin[i] == twin.origin
        if twin.status == FitStatus.OK:
            assert same(curves._root[i], twin.root)
        moments = dict(zip(("neumann", "neumann_mean", "neumann_variance"), curves._neumann[i], strict=True))
        for name, value in twin.figures.items():
            if name.startswith("neumann_"):
                assert math.isclose(moments[name], value, rel_tol=1e-7, abs_tol=1e-9)
            else:
                assert same(moments[name] if name == "neumann" else getattr(curves, name)[i], value), name


@pytest.mark.nojit
def test_plain_python_kernels_give_the_same_bits() -> None:
    rng = np.random.default_rng(3)
    drawn = [drawn_instrument(rng) for _ in range(3)]
    curves = raw_fit([d[0] for d in drawn], [d[1] for d in drawn], "auto")
    for i, (capital, efficiency, _) in enumerate(drawn):
        twin = naive_curves.NaiveFit(capital.tolist(), efficiency.tolist()).run(naive_curves.AUTO)
        assert (curves.family[i], curves.status[i]) == (twin.family, twin.status)
        assert same(curves.params[i], twin.params)


@given(st.integers(0, 2**32), st.sampled_from(NAMES[:5]))
def test_drawn_batches_equal_the_twin(seed: int, family: str) -> None:
    rng = np.random.default_rng(seed)
    drawn = [drawn_instrument(rng) for _ in range(int(rng.integers(1, 20)))]
    curves = raw_fit([d[0] for d in drawn], [d[1] for d in drawn], family)
    for i in (0, len(drawn) - 1):
        twin = naive_curves.NaiveFit(drawn[i][0].tolist(), drawn[i][1].tolist()).run(family_code(family, wish=True))
        assert (curves.family[i], curves.status[i]) == (twin.family, twin.status)
        assert same(curves.params[i], twin.params)


# --- the global optimum ------------------------------------------------------------------------------------------


def dense_scan(capital: Floats, efficiency: Floats) -> tuple[Floats, Floats, Floats]:
    """Lowest squared error over 64 rates an octave, refined by golden section; that of both borders."""
    low = capital.min(1, keepdims=True)
    x = (capital - low) / (capital.max(1, keepdims=True) - low)
    y = efficiency - efficiency.mean(1, keepdims=True)

    def error(log_rate: Floats) -> Floats:
        h = np.expm1(-np.exp2(log_rate)[:, None] * x)
        h -= h.mean(1, keepdims=True)
        norm = (h * h).sum(1)
        a = np.divide((h * y).sum(1), norm, out=np.zeros_like(norm), where=norm > 0.0)
        r = y - a[:, None] * h
        return np.asarray((r * r).sum(1))

    grid = np.linspace(-8.0, 12.0, 20 * 64 + 1)
    best, at = np.full(len(x), np.inf), np.zeros(len(x))
    for value in grid:
        here = error(np.full(len(x), value))
        at = np.where(here < best, value, at)
        best = np.minimum(here, best)
    left, right = np.maximum(at - 1 / 64, -8.0), np.minimum(at + 1 / 64, 12.0)
    share = (math.sqrt(5.0) - 1.0) / 2.0
    for _ in range(45):
        a, b = right - share * (right - left), left + share * (right - left)
        lower = error(a) < error(b)
        left, right = np.where(lower, left, a), np.where(lower, b, right)
    best = np.minimum(best, error(0.5 * (left + right)))
    return best, np.minimum(error(np.full(len(x), -8.0)), error(np.full(len(x), 12.0))), (y * y).sum(1)


def drawn_exponentials(n: int, m: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    span = 10.0 ** rng.uniform(-3, 12, (n, 1))
    x = np.where(rng.random((n, 1)) < 0.5, rng.uniform(0, 1, (n, m)), 10.0 ** rng.uniform(-4, 0, (n, m)))
    drop = rng.uniform(0.1, 0.5, (n, 1)) * rng.choice([-1.0, 1.0], (n, 1))
    noise = np.where(rng.random((n, 1)) < 0.1, 0.0, rng.uniform(0.0, 0.2, (n, 1)))
    y = 0.5 + drop * (np.exp(-(10.0 ** rng.uniform(-1.5, 2.5, (n, 1))) * x) - 0.5)
    y += noise * np.abs(drop) * rng.standard_normal((n, m))
    return span * (x + rng.uniform(0.001, 0.5, (n, 1))), np.clip(y, 0.0, 1.0)


def test_exponentials_reach_the_global_optimum() -> None:
    rng = np.random.default_rng(2024)
    checked = degenerate = 0
    for m in (3, 4, 5, 6, 8, 10, 13, 17, 22, 28, 35, 43, 51, 60):
        capital, efficiency = drawn_exponentials(720, m, rng)
        curves = fit([str(i) for i in range(720)], capital, efficiency, family="exponential", noise="even")
        best, border, total = dense_scan(capital, efficiency)
        ours = curves.rmse**2 * curves.n_points
        ok = curves.status == FitStatus.OK
        rounding = 64.0 * (m * 2.0**-52 * efficiency.max(1)) ** 2  # what the efficiencies' own last bits may leave
        slack = 1e-8 * best + 1e-14 * total + rounding
        assert np.all(ours[ok] <= best[ok] + slack[ok])
        assert np.all(ours[ok] < border[ok] + rounding[ok])
        # Without a curve, nothing inside may lie clearly below the borders.
        without = curves.status == FitStatus.DEGENERATE
        assert np.all(best[without] >= border[without] * (1.0 - 1e-9) - slack[without])
        checked += 720
        degenerate += int(without.sum())
    assert checked >= 10_000
    assert 0 < degenerate < checked // 2


def test_what_is_no_decay_is_degenerate() -> None:
    x = np.linspace(1e3, 1e6, 12)
    line, concave = 0.9 - 5e-7 * x, 0.9 - 4e-13 * x * x
    step = np.where(x == 1e3, 0.9, 0.5)
    curves = fit(["line", "concave", "step"], x, [line, concave, step], family="exponential")
    assert curves.status.tolist() == [FitStatus.DEGENERATE] * 3
    assert np.isnan(curves.params).all()
    assert np.isnan(curves.efficiency(1e5)).all()


# --- invariances -------------------------------------------------------------------------------------------------


def market(n: int, m: int, seed: int) -> tuple[list[str], Floats, Floats]:
    rng = np.random.default_rng(seed)
    capital = 10.0 ** rng.uniform(3, 6, (n, m))
    x = capital / 1e6
    shapes = np.stack([1 - 0.3 * x, 1 - 0.5 * x + 0.15 * x * x, 0.6 + 0.4 * np.exp(-5 * x), 1 - 0.4 * np.sqrt(x)])
    efficiency = np.clip(shapes[rng.integers(0, 4, n), np.arange(n)] - 0.05 + rng.normal(0, 0.01, (n, m)), 0, 1)
    return [f"S{i}" for i in range(n)], capital, efficiency


@pytest.mark.parametrize("family", NAMES)
@pytest.mark.parametrize("factor", [1e-9, 1e-3, 0.37, 86_400.0, 1e9])
def test_another_currency_changes_nothing(family: str, factor: float) -> None:
    symbols, capital, efficiency = market(400, 15, 8)
    one, other = (
        fit(symbols, capital, efficiency, family=family),
        fit(symbols, capital * factor, efficiency, family=family),
    )
    assert np.array_equal(one.family, other.family)
    assert np.array_equal(one.status, other.status)
    inside = np.linspace(capital.min(1), capital.max(1), 30).T
    # where errors of the fit differ by rounding, a search by their values ends
    least = 1e-8 if family == "hill" else 1e-10
    assert np.allclose(one.efficiency(inside), other.efficiency(inside * factor), rtol=0, atol=least, equal_nan=True)
    far = 2.0 * capital.max(1)
    assert np.allclose(
        one.efficiency(far), other.efficiency(far * factor), rtol=0, atol=max(1e-8, 10 * least), equal_nan=True
    )
    assert np.allclose(one.saturation().capacity * factor, other.saturation().capacity, rtol=1e-6, equal_nan=True)


@pytest.mark.parametrize("family", NAMES)
@pytest.mark.parametrize("factor", [4.0**-15, 0.25, 4.0**14])
def test_a_power_of_four_changes_no_bit(family: str, factor: float) -> None:
    symbols, capital, efficiency = market(200, 15, 9)
    one, other = (
        fit(symbols, capital, efficiency, family=family),
        fit(symbols, capital * factor, efficiency, family=family),
    )
    points = np.linspace(0.0, 2e6, 40)[None, :]
    assert np.array_equal(one.efficiency(points), other.efficiency(points * factor), equal_nan=True)
    for name in ("family", "status", "residual_sd", "r_squared", "aicc", "max_error", "lack_of_fit"):
        assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True), name
    a, b = one.predict(points), other.predict(points * factor)
    assert np.array_equal(a.low, b.low)
    assert np.array_equal(a.confidence, b.confidence)


def arrays_of(curves: CurveSet) -> dict[str, npt.NDArray[Any]]:
    return {name: value for name, value in vars(curves).items() if isinstance(value, np.ndarray) and name != "symbols"}


def assert_same_bits(one: CurveSet, other: CurveSet) -> None:
    assert one.symbols.tolist() == other.symbols.tolist()
    for name, value in arrays_of(one).items():
        assert np.array_equal(value, getattr(other, name), equal_nan=True), name


def ragged(seed: int, n: int = 60) -> tuple[list[str], list[Floats], list[Floats], list[Floats]]:
    rng = np.random.default_rng(seed)
    drawn = [drawn_instrument(rng) for _ in range(n)]
    return [f"S{i}" for i in range(n)], [d[0] for d in drawn], [d[1] for d in drawn], [d[2] for d in drawn]


@pytest.mark.parametrize("weighted", [False, True])
def test_the_order_of_records_changes_no_bit(weighted: bool) -> None:
    symbols, capital, efficiency, weights = ragged(4)
    keep = [i for i, part in enumerate(capital) if part.size]
    long_symbols = np.repeat([symbols[i] for i in keep], [capital[i].size for i in keep])
    columns = [np.concatenate([part[i] for i in keep]) for part in (capital, efficiency, weights)]
    one = fit(long_symbols, columns[0], columns[1], weights=columns[2] if weighted else None)
    order = np.random.default_rng(1).permutation(long_symbols.size)
    shuffled = columns[2][order] if weighted else None
    other = fit(long_symbols[order], columns[0][order], columns[1][order], weights=shuffled)
    assert_same_bits(one, other[one.symbols])
    apart = fit(
        [symbols[i] for i in keep], [capital[i] for i in keep], [efficiency[i] for i in keep],
        weights=[weights[i] for i in keep] if weighted else None,
    )  # fmt: skip
    assert_same_bits(one, apart)


def test_neighbours_threads_and_chunks_change_no_bit() -> None:
    symbols, capital, efficiency, weights = ragged(6, 500)
    one = fit(symbols, capital, efficiency, weights=weights, threads=1)
    for threads in (2, 5):
        assert_same_bits(one, fit(symbols, capital, efficiency, weights=weights, threads=threads))
    for i in range(0, 500, 7):
        alone = fit([symbols[i]], [capital[i]], [efficiency[i]], weights=[weights[i]])
        assert_same_bits(one[i], alone)


def test_a_bad_instrument_leaves_thousands_alone() -> None:
    symbols, capital, efficiency = market(3000, 12, 5)
    clean = fit(symbols, capital, efficiency)
    capital[1234] = 5e5
    spoiled = fit(symbols, capital, efficiency)
    assert spoiled.status[1234] == FitStatus.TOO_FEW_POINTS
    assert_same_bits(clean[np.arange(3000) != 1234], spoiled[np.arange(3000) != 1234])


# --- what a fit means --------------------------------------------------------------------------------------------


def test_least_squares_by_a_library() -> None:
    symbols, capital, efficiency = market(50, 20, 12)
    designs: tuple[tuple[str, Callable[[Floats], Floats]], ...] = (
        ("linear", lambda c: np.stack([c, np.ones_like(c)], 1)),
        ("sqrt", lambda c: np.stack([np.sqrt(c), np.ones_like(c)], 1)),
        ("quadratic", lambda c: np.stack([c * c, c, np.ones_like(c)], 1)),
    )
    for family, design in designs:
        curves = fit(symbols, capital, efficiency, family=family)
        for i in range(50):
            X = design(capital[i])
            scale = np.linalg.norm(X, axis=0)
            inverse = np.linalg.inv((X / scale).T @ (X / scale)) / np.outer(scale, scale)
            theta, (sse,), *_ = np.linalg.lstsq(X / scale, efficiency[i], rcond=None)
            p = X.shape[1]
            assert np.allclose(curves.params[i, :p], theta / scale, rtol=1e-8)
            assert math.isclose(curves.residual_sd[i], math.sqrt(sse / (20 - p)), rel_tol=1e-10)
            expected = inverse * sse / (20 - p)
            assert np.allclose(curves.covariance[i, :p, :p], expected, rtol=1e-6, atol=1e-9 * np.abs(expected).min())
            residuals = np.abs(efficiency[i] - X @ (theta / scale))
            assert math.isclose(curves.mean_error[i], residuals.mean(), rel_tol=1e-8)
            assert math.isclose(curves.max_error[i], residuals.max(), rel_tol=1e-8)
            sst = ((efficiency[i] - efficiency[i].mean()) ** 2).sum()
            assert math.isclose(curves.r_squared[i], 1.0 - sse / sst, rel_tol=1e-9)
            aicc = 20 * math.log(sse / 20) + 2 * p + 2 * p * (p + 1) / (20 - p - 1)
            assert math.isclose(curves.aicc[i], aicc, rel_tol=1e-9)


def test_exponential_covariance_by_a_library() -> None:
    from scipy.optimize import curve_fit

    symbols, capital, efficiency = market(60, 20, 13)
    curves = fit(symbols, capital, efficiency, family="exponential")
    checked = 0
    for i in np.flatnonzero(curves.status == FitStatus.OK):
        scale = capital[i].max()
        a, b, c = curves.params[i, :3]
        if not 0.1 < b * scale < 50 or curves.r_squared[i] < 0.9:
            continue
        origin = curves.origin[i] / scale
        theta, covariance = curve_fit(
            lambda x, a, b, c, o=origin: a * np.exp(-b * (x - o)) + c,
            capital[i] / scale, efficiency[i], p0=(a, b * scale, c), xtol=1e-14, ftol=1e-14, gtol=1e-14,
        )  # fmt: skip
        units = np.array([1.0, 1.0 / scale, 1.0])
        assert np.allclose(curves.params[i, :3], theta * units, rtol=1e-5)
        assert np.allclose(curves.covariance[i, :3, :3], covariance * np.outer(units, units), rtol=1e-3, atol=0)
        checked += 1
    assert checked > 15


@pytest.mark.parametrize("family", NAMES[:4])
def test_weight_two_is_the_point_twice(family: str) -> None:
    _, capital, efficiency = market(1, 14, 20)
    weights = np.array([2.0, 1.0] * 7)
    once = fit(["A"], capital, efficiency, weights=weights[None, :], family=family)
    counts = weights.astype(int)
    twice = fit(["A"], np.repeat(capital, counts, 1), np.repeat(efficiency, counts, 1), family=family)
    assert np.allclose(once.params, twice.params, rtol=1e-9)
    assert np.allclose(once.r_squared, twice.r_squared, rtol=1e-12)
    assert np.allclose(once.mean_error, twice.mean_error)
    effective = weights.sum() ** 2 / (weights**2).sum()
    p = 3 if family in ("quadratic", "exponential") else 2
    assert math.isclose(once.df_resid[0], effective - p)
    assert math.isclose(once.residual_sd[0], once.rmse[0] * math.sqrt(effective / (effective - p)))


def test_weights_are_relative_and_zero_means_absent() -> None:
    _, capital, efficiency = market(1, 12, 21)
    weights = np.linspace(0.5, 2.0, 12)[None, :]
    one = fit(["A"], capital, efficiency, weights=weights)
    assert_same_bits(one, fit(["A"], capital, efficiency, weights=weights * 2.0**900))
    assert_same_bits(fit(["A"], capital, efficiency), fit(["A"], capital, efficiency, weights=np.full((1, 12), 0.3)))
    weights[0, 3] = 0.0
    without = fit(["A"], np.delete(capital, 3, 1), np.delete(efficiency, 3, 1), weights=np.delete(weights, 3, 1))
    assert_same_bits(fit(["A"], capital, efficiency, weights=weights), without)
    nothing = fit(["A"], capital, efficiency, weights=np.zeros((1, 12)))
    assert (nothing.status[0], nothing.n_points[0]) == (FitStatus.TOO_FEW_POINTS, 0)


def test_half_life_halves_weights() -> None:
    _, capital, efficiency = market(2, 10, 22)
    age = np.arange(10.0)[None, :] * np.array([[1.0], [3.0]])
    decayed = fit(["A", "B"], capital, efficiency, observed_at=1e9 - age, half_life=2.0)
    by_hand = fit(["A", "B"], capital, efficiency, weights=0.5 ** (age / 2.0))
    assert np.allclose(decayed.params, by_hand.params, rtol=1e-9)
    assert np.allclose(decayed.df_resid, by_hand.df_resid)
    # age counts from the instrument's own newest record, however old that is
    old = fit(["A", "B"], capital, efficiency, observed_at=1e9 - age - np.array([[0.0], [1e6]]), half_life=2.0)
    assert np.allclose(decayed.params, old.params, rtol=1e-9)


def test_times_may_be_dates() -> None:
    _, capital, efficiency = market(1, 6, 23)
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    dates = [start + datetime.timedelta(hours=7 * k) for k in range(6)]
    numbers = fit(["A"] * 6, capital[0], efficiency[0], observed_at=np.arange(6) * 7.0, half_life=24.0)
    for times in (dates, np.array([d.replace(tzinfo=None) for d in dates], dtype="datetime64[s]")):
        for half_life in (datetime.timedelta(days=1), np.timedelta64(1, "D")):
            dated = fit(["A"] * 6, capital[0], efficiency[0], observed_at=times, half_life=half_life)
            assert np.allclose(dated.params, numbers.params, rtol=1e-9)


def test_dates_without_a_zone_are_utc_and_come_ragged_too() -> None:
    _, capital, efficiency = market(1, 6, 23)
    naive = [datetime.datetime(2024, 3, 10, hour) for hour in range(6)]
    aware = [time.replace(tzinfo=datetime.UTC) for time in naive]
    one = fit(["A"], capital, efficiency, observed_at=np.array([aware]), half_life=HOUR)
    for times in ([naive], [aware], [np.array(naive, dtype="datetime64[us]")]):
        assert_same_bits(one, fit(["A"], list(capital), list(efficiency), observed_at=times, half_life=HOUR))


def test_a_record_without_weight_is_absent_whatever_its_time() -> None:
    t = np.arange(12.0)
    capital, efficiency = np.linspace(1e4, 9e4, 12), 0.9 - 0.05 * t
    one = fit(["A"], [capital], [efficiency], observed_at=[t], half_life=7.0)
    other = fit(
        ["A"], [np.append(capital, 5e4)], [np.append(efficiency, 0.5)],
        observed_at=[np.append(t, 1e6)], half_life=7.0, weights=[np.append(np.ones(12), 0.0)],
    )  # fmt: skip
    assert_same_bits(one, other)


@pytest.mark.parametrize("weight", [1e-14, 1e-16, 1e-20, 1e-40, 1e-200])
def test_a_record_that_hardly_weighs_spoils_nothing(weight: float) -> None:
    rng = np.random.default_rng(0)
    capital = np.append(1000.0, 2000 + 2e4 * rng.random(20))
    efficiency = np.append(0.95, 0.3 + 0.6 * np.exp(-capital[1:] / 8e3) + 0.01 * rng.standard_normal(20))
    without = fit(["A"], [capital[1:]], [efficiency[1:]], family="exponential")
    curve = fit(["A"], [capital], [efficiency], weights=[np.append(weight, np.ones(20))], family="exponential")
    assert curve.status[0] == FitStatus.OK
    assert np.allclose(curve.efficiency(capital[1:]), without.efficiency(capital[1:]), atol=1e-6)


def test_rounding_does_not_decide_the_status_of_nearly_exact_records() -> None:
    capital = np.array(
        [6440202085.101589, 18364049727.99156, 2299264494.233211, 16149391921.758875, 17092937710.426342]
    )
    efficiency = [0.26162829936402465, 0.2617800444078804, 0.36891205885407485, 0.2618246513460207, 0.26172984714988645]
    for factor in (1.0, 2.3, 7.7, 1e-4, 123.0, 0.01):
        assert fit(["A"], [capital * factor], [efficiency], family="exponential").status[0] == FitStatus.DEGENERATE


@pytest.mark.parametrize("factor", [1.0, 0.1, 7.7, 1e-5, 12_345.0])
def test_a_parabola_that_turns_at_the_edge_is_one_in_every_currency(factor: float) -> None:
    x = np.arange(1.0, 7.0)
    curves = fit(["A"], [x * factor], [0.3 + 0.02 * (x - 6.0) ** 2], family="quadratic")
    assert curves.status[0] == FitStatus.OK
    assert curves.trusted_to[0] == pytest.approx(6.0 * factor, rel=1e-8)


def test_auto_finds_the_family() -> None:
    rng = np.random.default_rng(30)
    x = np.linspace(1e4, 1e6, 25)
    shapes = {
        "linear": 0.95 - 4e-7 * x,
        "sqrt": 0.95 - 4e-4 * np.sqrt(x),
        "power": 0.95 - 0.4 * (x / 1e6) ** 2.5,
        "depth": 0.95 * (1.0 + (x / 3e5) ** 3) ** (-1.0 / 3.0),
    }
    noisy = [y + rng.normal(0, 1e-3, 25) for y in shapes.values()]
    assert fit(list(shapes), x, noisy).family_names == list(shapes)


def test_auto_takes_no_parabola_that_turns_inside_the_data() -> None:
    x = np.linspace(1.0, 11.0, 15)
    y = 0.5 + 0.01 * (x - 7.0) ** 2
    curves = fit(["A", "A quadratic"], x, [y, y], family=["auto", "quadratic"])
    assert curves.family[0] != Family.QUADRATIC
    assert curves.status[1] == FitStatus.OK
    assert curves.trusted_to[1] == 11.0
    within = fit(["B"], x, [0.5 + 0.002 * (x - 15.0) ** 2], family="quadratic")
    assert within.trusted_to[0] == 11.0  # the minimum lies within twice the largest capital
    beyond = fit(["C"], x, [0.1 + 0.001 * (x - 25.0) ** 2], family="quadratic")
    assert beyond.trusted_to[0] == 22.0


def test_no_trust_reaches_the_floor_of_an_exponential_beyond_the_records() -> None:
    """Utility falls from 1/b on and rises again where only the floor is left: that is no more than the formula's."""
    x = np.linspace(0.5, 10.0, 20)
    on_floor, falling, never = fit(
        ["A", "B", "C"], x,
        [0.9 * np.exp(-x) + 0.02, 0.9 * np.exp(-0.3 * x) + 1e-4, 0.5 * np.exp(-x) + 0.4], family="exponential",
    )  # fmt: skip
    assert on_floor.trusted_to[0] == 10.0
    assert falling.trusted_to[0] == 20.0
    assert never.trusted_to[0] == 20.0
    assert abs(on_floor.saturation().capacity[0] - 1.0) < 0.1
    assert allocate(on_floor, 1e6).unallocated >= 1e6 - 10.0


def test_status_and_freedom() -> None:
    curves = fit(
        ["none", "one", "same capital", "two", "constant", "three"],
        [[], [5.0], [5.0, 5.0, 5.0], [1.0, 2.0], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 4.0]],
        [[], [0.5], [0.5, 0.6, 0.7], [0.9, 0.8], [0.3] * 4, [0.9, 0.8, 0.75]],
        family=["auto", "linear", "auto", "auto", "auto", "exponential"],
    )
    few, ok, constant = FitStatus.TOO_FEW_POINTS, FitStatus.OK, FitStatus.CONSTANT
    assert curves.status.tolist() == [few, few, few, ok, constant, ok]
    assert curves.df_resid.tolist() == [0.0, 0.0, 0.0, 0.0, 2.0, 0.0]
    assert np.isnan(curves.residual_sd[:4]).all()
    assert curves.residual_sd[4] == 0.0
    p = curves.predict(2.0)
    assert p.low.tolist() == [0.0, 0.0, 0.0, 0.0, 0.3, 0.0]
    assert p.high.tolist() == [1.0, 1.0, 1.0, 1.0, 0.3, 1.0]
    assert p.confidence.tolist() == [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    assert np.allclose(p.efficiency[3:], [0.8, 0.3, 0.8])
    for family in NAMES[:4]:
        flat = fit(["A"], [[1.0, 2.0, 3.0, 4.0]], [[0.3] * 4], family=family)
        assert (flat.status[0], flat.r_squared[0]) == (constant, 0.0)
        assert flat.efficiency([0.0, 2.5, 8.0]).tolist() == [0.3, 0.3, 0.3]
    with pytest.raises(
        FitError,
        match=r"no curve for none: too few distinct capitals \(0 points\); one: too few distinct capitals \(1 point\)",
    ):
        fit(["none", "one"], [[], [5.0]], [[], [0.5]], on_error="raise")


def test_lack_of_fit_is_calibrated_and_sees_patterns() -> None:
    rng = np.random.default_rng(40)
    x = np.sort(rng.uniform(1e3, 1e6, (8000, 15)), 1)
    x[:, 3] = x[:, 4]  # a repeated capital
    y = 0.9 - 3e-7 * x + rng.normal(0, 0.01, x.shape)
    for family in ("linear", "quadratic"):
        p = fit([str(i) for i in range(8000)], x, y, family=family).lack_of_fit
        for level in (0.05, 0.2, 0.5):
            assert abs(np.mean(p < level) - level) < 4.0 * math.sqrt(level * (1 - level) / 8000)
    wave = fit(["A"], x[:1], 0.5 + 0.1 * np.sin(x[:1] / 1e5), family="linear")
    assert wave.lack_of_fit[0] < 0.01
    exact = fit(["A"], x[:1], 0.9 - 3e-7 * x[:1], family="linear")
    assert exact.lack_of_fit[0] == 1.0
    assert np.isnan(fit(["A"], [[1.0, 2.0, 3.0]], [[0.5, 0.4, 0.35]], family="linear").lack_of_fit[0])


# --- forms of input ----------------------------------------------------------------------------------------------


def test_forms_of_input_agree() -> None:
    import pandas

    symbols, capital, efficiency = market(4, 6, 50)
    one = fit(symbols, capital, efficiency)
    columns = {"symbol": np.repeat(symbols, 6), "capital": capital.ravel(), "efficiency": efficiency.ravel()}
    assert_same_bits(one, fit(columns["symbol"], columns["capital"], columns["efficiency"]))
    assert_same_bits(one, fit(list(columns["symbol"]), list(columns["capital"]), list(columns["efficiency"])))
    assert_same_bits(one, fit(columns))
    assert_same_bits(one, fit(pandas.DataFrame(columns)))
    assert_same_bits(one, fit(pandas.DataFrame(columns).astype({"symbol": "category"})))
    assert_same_bits(one, fit(symbols, list(capital), list(efficiency)))
    assert_same_bits(one, fit(symbols, capital.tolist(), efficiency.tolist()))
    shared = [efficiency[:, ::-1].tolist(), capital[0].tolist()]
    assert_same_bits(fit(symbols, capital[0], efficiency[:, ::-1]), fit(symbols, shared[1], shared[0]))
    weighted = fit(columns | {"weight": np.arange(1.0, 25.0)})
    assert_same_bits(weighted, fit(symbols, capital, efficiency, weights=np.arange(1.0, 25.0).reshape(4, 6)))
    timed = fit(columns | {"time": np.arange(24.0)}, half_life=3.0)
    assert_same_bits(timed, fit(symbols, capital, efficiency, observed_at=np.arange(24.0).reshape(4, 6), half_life=3.0))


def coded_forms(names: list[str], codes: npt.NDArray[np.int64]) -> dict[str, Any]:
    import pandas
    import polars
    import pyarrow

    texts = [names[code] for code in codes]
    table = pyarrow.array(texts).dictionary_encode()
    return {
        "list": texts,
        "fresh texts": ["".join(list(text)) for text in texts],
        "tuple": tuple(texts),
        "object": np.array(texts, dtype=object),
        "strings": np.array(texts),
        "new strings": np.array(texts, dtype=np.dtypes.StringDType()),
        "pandas": pandas.Series(texts, index=range(5, 5 + len(texts))),
        "pandas object": pandas.Series(texts, dtype=object),
        "index": pandas.Index(texts),
        "categorical": pandas.Categorical(texts),
        "categories in another order": pandas.Categorical(texts, categories=sorted(names, reverse=True)),
        "categorical series": pandas.Series(texts, dtype="category"),
        "polars": polars.Series(texts),
        "polars categorical": polars.Series(texts, dtype=polars.Categorical),
        "polars enum": polars.Series(texts, dtype=polars.Enum([*names, "unused"])),
        "arrow": pyarrow.array(texts),
        "arrow chunks": pyarrow.chunked_array([texts[:5], [], texts[5:]]),
        "dictionary": table,
        "dictionary in chunks": pyarrow.chunked_array([table[:3], pyarrow.array(texts[3:]).dictionary_encode()]),
        "dictionary that says a text twice": pyarrow.DictionaryArray.from_arrays(
            np.where(np.arange(codes.size) % 2, codes, codes + len(names)), names * 2
        ),
        "codes and names": (codes, names),
        "large codes and names": (codes.astype(np.uint64), np.array(names)),
        "factorized": pandas.factorize(np.array(texts, dtype=object)),
    }


@pytest.mark.parametrize("how", ["together", "in runs", "mixed"])
def test_symbols_of_any_form_give_the_same_curves(how: str) -> None:
    names, m = ["Z/USD", "A/USD", "Müller", "B/USD", "C"], 24
    together = np.repeat(np.arange(5), m)
    codes = {"together": together, "in runs": np.tile(np.repeat(np.arange(5), m // 3), 3)}.get(
        how, np.random.default_rng(3).permutation(together)
    )
    rng = np.random.default_rng(4)
    capital, efficiency = rng.uniform(1.0, 9.0, codes.size), rng.uniform(0.1, 0.9, codes.size)
    order = list(dict.fromkeys(names[code] for code in codes))
    parts = [np.flatnonzero(codes == names.index(name)) for name in order]
    expected = fit(order, [capital[part] for part in parts], [efficiency[part] for part in parts], family="quadratic")
    for form, symbols in coded_forms(names, codes).items():
        found = fit(symbols, capital, efficiency, family="quadratic")
        assert found.symbols.tolist() == order, form
        assert all(type(symbol) is str for symbol in found.symbols), form
        assert_same_bits(found, expected)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60))
def test_groups_are_those_of_the_twin(codes: list[int]) -> None:
    names = [f"S{code}" for code in range(7)]
    texts = [names[code] for code in codes]
    expected, offsets, order = naive_curves.grouped(texts)
    for symbols in (texts, np.array(texts), (np.array(codes), names)):
        found = grouping.grouped(symbols, {})
        assert found.names.tolist() == expected
        assert found.offsets.tolist() == offsets
        assert (order if found.order is not None else list(range(len(texts)))) == order
        assert found.order is None or found.order.tolist() == order


def test_symbols_that_are_missing_are_named_in_any_form() -> None:
    import pandas
    import polars
    import pyarrow

    texts = ["A", "A", "A", "B", "B", None]
    for symbols in (
        texts,
        np.array(texts, dtype=object),
        pandas.Categorical(texts),
        pandas.Series(texts),
        pandas.Series(texts, dtype="category"),
        polars.Series(texts),
        polars.Series(texts, dtype=polars.Categorical),
        pyarrow.array(texts),
        pyarrow.array(texts).dictionary_encode(),
    ):
        with pytest.raises(RecordError, match=r"symbols must be text that is not empty, but symbols\[5\] = "):
            fit(symbols, np.arange(1.0, 7.0), np.full(6, 0.5))
    for empty in (["A", "A", "", "B"], pandas.Categorical(["A", "A", "", "B"]), ([0, 0, 1, 2], ["A", "", "B"])):
        given = (np.array(empty[0]), empty[1]) if isinstance(empty, tuple) else empty
        with pytest.raises(RecordError, match=r"symbols\[2\] = ''"):
            fit(given, np.arange(1.0, 5.0), np.full(4, 0.5))
    numbers = pandas.Categorical([7, 7, 8, 8])
    with pytest.raises(RecordError, match=r"symbols\[0\] = 7"):
        fit(numbers, np.arange(1.0, 5.0), np.full(4, 0.5))


def test_codes_of_symbols_are_places_among_the_names() -> None:
    four = np.arange(1.0, 5.0), np.full(4, 0.5)
    for codes, bad in (([0, 1, 2, 0], "2"), ([0, -1, 0, 0], "-1")):
        with pytest.raises(RecordError, match=rf"places among 2 names, but symbols\[0\]\[\d\] = {bad}"):
            fit((np.array(codes), ["A", "B"]), *four)
    with pytest.raises(RecordError, match=r"codes of symbols of shape \(2, 2\) must be in a row"):
        fit((np.zeros((2, 2), dtype=int), ["A", "B"]), *four)
    with pytest.raises(RecordError, match=r"capital of shape \(4,\) does not go with 3 symbols"):
        fit((np.zeros(3, dtype=int), ["A"]), *four)
    assert fit((np.array([0, 1, 0, 1]), ["A", "A"]), *four).symbols.tolist() == ["A"]
    assert fit(("A", "B"), [1.0, 2.0], [0.9, 0.8]).symbols.tolist() == ["A", "B"]


def test_arrays_of_any_kind_may_be_ragged() -> None:
    capital = [np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 3.0, 4.0])]
    efficiency = [np.array([0.9, 0.8, 0.75, 0.6]), np.array([0.9, 0.8, 0.7])]
    one = fit(["A", "B"], capital, efficiency)
    every_other = [np.repeat(part, 2)[::2] for part in capital]
    for other in (every_other, [part.astype(int) for part in capital], [part.astype(">f8") for part in capital]):
        assert_same_bits(one, fit(["A", "B"], other, efficiency))
    with pytest.raises(RecordError, match="masked"):
        fit(["A", "B"], capital, [np.ma.masked_greater(part, 0.85) for part in efficiency])
    with pytest.raises(RecordError, match=r"capital\[1\] of shape \(3, 2\) must be one-dimensional"):
        fit(["A", "B"], [capital[0], np.ones((3, 2))], efficiency)


def test_inputs_are_left_alone() -> None:
    symbols, capital, efficiency = market(4, 6, 51)
    for array in (capital, efficiency):
        array.flags.writeable = False
    before = efficiency.copy()
    fit(symbols, capital, efficiency + 0.0, clip=True)
    fit(symbols, capital, efficiency)
    assert np.array_equal(before, efficiency)


def test_nothing_gives_nothing() -> None:
    for curves in (
        fit([], [], []),
        fit([], np.empty((0, 5)), np.empty((0, 5))),
        fit({"symbol": [], "capital": [], "efficiency": []}),
    ):
        assert len(curves) == 0
        assert curves.efficiency(5.0).shape == (0,)
        assert curves.predict(5.0).low.shape == (0,)
        assert curves.saturation().capacity.shape == (0,)
        assert curves.summary() == "0 instruments, 0 points: empty"


def test_clipping_is_counted() -> None:
    symbols = ["B", "A", "B", "A", "B"] * 3
    efficiency = [1.2, 0.5, 0.9, -0.1, 1.01, *[0.8] * 10]
    curves = fit(symbols, np.arange(1.0, 16.0), efficiency, clip=True)
    assert dict(zip(curves.symbols, curves.clipped.tolist(), strict=True)) == {"B": 2, "A": 1}
    assert "3 efficiencies were clipped" in curves.summary()


SHARPE = [2.4, 2.31, 2.2, 2.05, 1.9, 1.71, 1.55, 1.4, 1.2, 1.05, 0.9]


def test_what_is_no_efficiency_is_not_clipped_to_one() -> None:
    capital = np.arange(1.0, 12.0) * 1e5
    message = (
        r"clip would change 10 of 11 efficiencies, which go from 0.9 to 2.4, and at most 20% may be outside \[0, 1\]: "
        "no shares of an ideal value; divide by the value at small size, as normalise=True does"
    )
    for symbols in (["S"] * 11, ["S"]):
        shape = (len(symbols), -1) if len(symbols) == 1 else (-1,)
        with pytest.raises(RecordError, match=message):
            fit(symbols, capital.reshape(shape), np.reshape(SHARPE, shape), clip=True)
    assert fit(["S"] * 5, capital[:5], [1.01, 0.9, 0.8, 0.7, 0.6], clip=True).clipped.tolist() == [1]


def test_returns_by_size_are_divided_by_their_value_at_small_size() -> None:
    capital = np.arange(1.0, 12.0) * 1e5
    two, twice = np.tile(capital, 2), np.concatenate([SHARPE, np.multiply(3.0, SHARPE)])
    told = "efficiencies were divided by their value at the smallest capital: 2.4 of S, 7.2 of T"
    with pytest.warns(UserWarning, match=told):
        curves = fit(np.repeat(["S", "T"], 11), two, twice, normalise=True)
    assert_same_bits(curves[["S"]], fit(["S"], [capital], [np.divide(SHARPE, 2.4)]))
    assert np.allclose(curves.efficiency(5e5), 1.9 / 2.4, atol=0.02)
    with pytest.warns(UserWarning, match="2 of S"):  # the mean of two records at the smallest capital
        mean = fit(["S"] * 6, [1.0, 1.0, 2.0, 3.0, 4.0, 5.0], [1.9, 2.1, 1.8, 1.6, 1.4, 1.2], normalise=True)
    assert mean.clipped.tolist() == [1]
    with pytest.raises(RecordError, match=r"which must be positive, but S has -0\.5 at 1"):
        fit(["S"] * 3, [2.0, 1.0, 3.0], [1.0, -0.5, 0.2], normalise=True)
    with (
        pytest.warns(UserWarning, match="1 of S"),
        pytest.raises(RecordError, match=r"2 of 3 normalised efficiencies, .* they do not fall"),
    ):
        fit(["S"] * 3, [1.0, 2.0, 3.0], [1.0, 1.5, 2.0], normalise=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["A", "A"], [1.0, -2.0], [0.5, 0.5]), r"capital must be in \[1e-100, .*\], but capital\[1\] = -2.0"),
        ((["A", "A"], [1.0, math.nan], [0.5, 0.5]), r"capital must be .*, but capital\[1\] = nan"),
        ((["A", "A", "A"], [1, 2, 3], [0.5, 1.5, math.inf]), r"efficiency must be in \[0, 1\], but efficiency\[1\] = 1.5; efficiency\[2\] = inf"),
        ((["A", ""], [1, 2], [0.5, 0.5]), r"symbols must be text that is not empty, but symbols\[1\] = ''"),
        ((["A", None], [1, 2], [0.5, 0.5]), r"symbols must be text that is not empty, but symbols\[1\] = None"),
        (([1, 2], [1, 2], [0.5, 0.5]), r"symbols must be text that is not empty, but symbols\[0\] = 1"),
        ((["A"], [1, 2], [0.5, 0.5]), r"capital of shape \(2,\) does not go with 1 symbols"),
        ((["A", "B"], [[1, 2]], [[0.5, 0.5]]), r"capital has 1 arrays for 2 symbols"),
        ((["A", "A"], [[1, 2], [1, 2]], [[0.5, 0.5], [1, 1]]), "symbols must differ when every instrument comes with its own row"),
        ((["A", "B"], [[1, 2], [1, -1]], [[0.5, 0.5], [1, 1]]), r"capital\[1\] must be in .*, but capital\[1\]\[1\] = -1.0"),
        ((["A", math.nan], [1, 2], [0.5, 0.5]), r"symbols must be text that is not empty, but symbols\[1\] = nan"),
        ((["A", True], [1, 2], [0.5, 0.5]), r"symbols must be text that is not empty, but symbols\[1\] = True"),
        ((["A", []], [1, 2], [0.5, 0.5]), r"symbols must be text that is not empty, but symbols\[1\] = \[\]"),
        (("AB", [1, 2], [0.5, 0.5]), "symbols must be a sequence, not the one text 'AB'"),
        ((["A", "B"], [[1, 2], [1]], [[0.5, 0.5], [1, 1]]), r"efficiency\[1\] has 2 values, capital\[1\] has 1"),
        ((["A"], np.ones((1, 3)), np.ones((2, 3))), r"efficiency of shape \(2, 3\) does not go with 1 symbols"),
        ((["A"], np.ones((1, 2)), np.ones((1, 3))), r"capital of shape \(1, 2\) does not go with efficiency of shape \(1, 3\)"),
        ((["A"], ["many"], [0.5]), "capital must be real numbers, not"),
        (({"symbol": [], "capital": []},), "records need columns symbol, capital and efficiency: it has symbol, capital"),
        ((5,), "records need columns symbol, capital and efficiency: there are none"),
        ((["A"], [1.0]), "fit needs symbols, capital and efficiency, or a data frame or mapping alone"),
    ],
)  # fmt: skip
def test_bad_records_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(RecordError, match=f"^{message}"):
        fit(*arguments)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"weights": [1.0, -1.0]}, RecordError, r"weights must be in \[0, inf\), but weights\[1\] = -1.0"),
        ({"weights": [1.0]}, RecordError, r"weights of shape \(1,\) does not go with 2 symbols"),
        ({"half_life": 5.0}, RecordError, "half_life needs observed_at"),
        ({"half_life": 0.0, "observed_at": [1, 2]}, RecordError, r"half_life must be in \(0, inf\), but half_life = 0.0"),
        ({"half_life": 1.0, "observed_at": [1, math.nan]}, RecordError, r"observed_at must be in \(-inf, inf\), but observed_at\[1\] = nan"),
        ({"family": "cubic"}, CurveError, "family must be one of linear, quadratic, exponential, sqrt, hill, depth, power, ladder, auto, polynomial, not 'cubic'"),
        ({"family": ["auto", "auto"]}, CurveError, "family has 2 entries for 1 instruments"),
        ({"family": None}, CurveError, "family must be one of linear, .* not None"),
        ({"half_life": np.timedelta64(1, "M"), "observed_at": np.array(["2026-01-01", "2026-01-02"], "M8[s]")}, RecordError, "half_life must have a fixed length"),
        ({"half_life": HOUR, "observed_at": [datetime.datetime(2026, 1, 1), 5]}, RecordError, "observed_at must be dates with times or numbers, but holds 5"),
        ({"half_life": 1.0, "observed_at": np.array(["2026-01-01"] * 2, "M8[s]")}, RecordError, "observed_at holds dates: half_life must be a timedelta, not 1.0"),
        ({"half_life": HOUR, "observed_at": [1, 2]}, RecordError, "observed_at holds numbers: half_life must be one too, not datetime.timedelta"),
        ({"half_life": HOUR, "observed_at": np.array(["2026-01-01", "NaT"], "M8[s]")}, RecordError, r"observed_at must be .*, but observed_at\[1\] = nan$"),
        ({"on_error": "ignore"}, RecordError, "on_error must be 'mark' or 'raise', not 'ignore'"),
        ({"threads": 0}, RecordError, "threads must be an integer of at least 1, not 0"),
    ],
)  # fmt: skip
def test_bad_options_are_refused(options: dict[str, Any], error: type[InputError], message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        fit(["A", "A"], [1.0, 2.0], [0.5, 0.5], **options)


def test_errors_carry_argument_and_indexes() -> None:
    with pytest.raises(RecordError) as caught:
        fit(["A"] * 3, [1.0, 2.0, 3.0], [0.5, -1.0, 2.0])
    assert caught.value.arguments == ("efficiency",)
    assert caught.value.indexes == ((1,), (2,))
