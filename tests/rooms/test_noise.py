"""Noise along capital, scores and intervals: reference values, the plain-Python twin, groups, time, bad input."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escala import CurveError, CurveSet, Family, FitStatus, RecordError, fit
from escala.curves import noise as curve_noise
from escala.demo.curves import load_quotes
from escala.kernels.layout import COVARIANCE, FIT_STATS, PARAMS, ROOT
from escala.kernels.noise import intervals, scores
from escala.kernels.noise.rows import BINS, WINDOW, WINDOWS, WORK_SIZE, kept, noise, point, tag
from escala.kernels.noise.weights import FEWEST, USUAL
from tests.naive import noise as naive
from tests.naive.curves import naive_log
from tests.places import DATA
from tests.properties import examples

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
GOLDEN = json.loads((DATA / "depth_power_ladder.json").read_text())["noise"]["cases"]
SMOOTH = ("depth", "power", "linear", "sqrt")
NONE = np.empty(0, dtype=np.int64)


class Ladder:
    """Scores of a ladder over the knots of the rule, by the kernel itself."""

    def __init__(self, c: Floats, y: Floats, w: Floats | None = None, group: Integers = NONE, block: Integers = NONE):
        n = c.size
        self.smallest = c.min()
        self.levels, self.misfit = np.empty((1, noise.END)), np.empty(1)
        bins, windows, z, forward = np.empty((1, BINS)), np.empty((1, WINDOWS)), np.empty(n), np.empty(n)
        counts, work = np.empty((1, kept.END), dtype=np.int64), np.empty(WORK_SIZE)
        scores.score(
            np.zeros(1, np.int64), np.array([0, n]), c, y, np.empty(0) if w is None else w, group, block, USUAL,
            np.array([Family.LADDER], np.int8), np.zeros(1, np.int8), np.zeros((1, PARAMS)), np.zeros(1),
            np.ones((1, ROOT)), np.zeros((1, COVARIANCE)), np.ones((1, FIT_STATS)), self.levels, self.misfit,
            bins, windows, z, forward, counts, work, np.empty(3 * n), np.empty((point.END, n)),
            np.empty((tag.END, n), dtype=np.int64), 0, 1,
        )  # fmt: skip
        many = counts[0]
        self.z, self.forward = z[: many[kept.SCORES]], forward[: many[kept.FORWARD]]
        self.bins, self.windows = bins[0, : many[kept.BINS]].copy(), windows[0, : many[kept.WINDOWS]].copy()

    def reach(
        self, steps: Floats, capital: Floats, level: float, within: float, *, ahead: bool
    ) -> tuple[Floats, Floats]:
        """How far intervals reach, and how sure a distance is."""
        out = np.empty((2, 1, capital.size))
        z = self.forward if ahead else self.z
        places = [np.array([0, part.size]) for part in (self.bins, self.windows, z)]
        params = np.array([[1.0, 1.0, steps.size // 3, 0.0]])
        ranked, whole, local = np.empty(z.size), np.empty(1), np.empty((1, WINDOWS))
        intervals.rank(places[2], z, level, int(ahead), ranked, whole, local, np.empty(WINDOW), 0, 1)
        intervals.reach(
            np.array([Family.LADDER], np.int8), params, np.zeros(1), steps, np.array([self.smallest]), self.levels,
            places[0], self.bins, places[1], self.windows, places[2], ranked, whole, local, level, int(ahead),
            np.array([within]), capital.reshape(1, -1), out[0], out[1], 0, 1,
        )  # fmt: skip
        return out[0, 0], out[1, 0]


def twin_of(curves: CurveSet, i: int, records: list[naive.Record], root: Floats | None = None) -> naive.NaiveScores:
    form = naive.NaiveForm(int(curves.family[i]), tuple(curves.params[i].tolist()), float(curves.origin[i]))
    found = naive.NaiveScores(form, (curves._root[i] if root is None else root).tolist(), records)
    found.run()
    return found


def twin_of_ladder(records: list[naive.Record]) -> naive.NaiveScores:
    found = naive.NaiveScores(naive.NaiveForm(naive.LADDER, (1.0, 1.0, 1.0, 0.0)), [1.0] * 6, records)
    found.run()
    return found


def quotes_of(symbol: str) -> tuple[Floats, Floats]:
    quotes = load_quotes()
    there = np.array(quotes.symbol) == symbol
    capital, efficiency = quotes.capital[there], quotes.efficiency[there]
    order = np.argsort(capital, kind="stable")
    return capital[order], efficiency[order]


def drawn(rng: np.random.Generator, n: int, kind: str = "") -> tuple[Floats, Floats]:
    """Records of a market that ends at a depth, with noise that grows."""
    c = 10.0 ** rng.uniform(2, 8, n) * 10.0 ** rng.uniform(-6, 6)
    if kind == "ties":
        c[: n // 2] = rng.choice(c[n // 2 :], n // 2)
    depth, h = c.max() * 10.0 ** rng.uniform(-2, 1), rng.uniform(0.5, 8)
    eta = rng.uniform(0.9, 1.0) * (1.0 + (c / depth) ** h) ** (-1.0 / h)
    sd = 10.0 ** rng.uniform(-4, -2) * (c / c.min()) ** 0.15
    return c, np.clip(eta + sd * rng.standard_normal(n), 0.0, 1.0)


def same(a: Any, b: Any) -> bool:
    return bool(np.array_equal(np.asarray(a, float), np.asarray(b, float), equal_nan=True))


# --- reference values -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: str(case["data"]))
def test_ladders_of_real_quotes_have_the_scale_and_reach_of_the_definition(case: dict[str, Any]) -> None:
    capital, efficiency = (column[:: case["every"]] for column in quotes_of(case["data"]))
    capital, efficiency = np.ascontiguousarray(capital), np.ascontiguousarray(efficiency)
    found = Ladder(capital, efficiency)
    assert found.misfit[0] ** 2 * capital.size == pytest.approx(case["sse"], rel=1e-10)
    at = np.array([float(key) for key in case["scale"]])
    records = [naive.Record(c, y, 1.0) for c, y in zip(capital.tolist(), efficiency.tolist(), strict=True)]
    steps = np.concatenate(twin_of_ladder(records).form.steps)
    reach, _ = found.reach(steps, at, 0.95, 0.05, ahead=False)
    largest = [max(case["reach_all_95"], window) for window in case["window_reach_95"].values()]
    # In one case the cover of noise and depth is fitted to depths of some roundings.
    assert reach == pytest.approx(np.array(list(case["scale"].values())) * largest, rel=1e-8)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: str(case["data"]))
def test_the_variance_along_capital_is_that_of_the_definition(case: dict[str, Any]) -> None:
    capital, efficiency = (column[:: case["every"]] for column in quotes_of(case["data"]))
    x = [naive_log(c) for c in capital.tolist()]
    found = naive.node_variances(x, efficiency.tolist(), [1.0] * len(x))
    assert found == pytest.approx(case["weights"]["ln_variance"], rel=1e-12)


# --- the plain-Python twin --------------------------------------------------------------------------------------------


def assert_equal_to_twin(curves: CurveSet, i: int, twin: naive.NaiveScores) -> None:
    assert same(curves._noise[i], (twin.level, twin.depth))
    assert same(curves._scores.row(i), twin.z)
    assert same(curves._bins.row(i), [*twin.bins[0], *twin.bins[1]])
    assert same(curves._windows.row(i), twin.windows)
    assert curves.misfit[i] == twin.misfit


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("family", SMOOTH)
def test_scores_of_smooth_curves_equal_the_twin(family: str, weighted: bool) -> None:
    rng = np.random.default_rng([1, SMOOTH.index(family), weighted])
    sizes = (40, 41, 47, 60, 100, 101, 130)
    sets = [drawn(rng, n, "ties" if k == 4 else "") for k, n in enumerate(sizes)]
    weights = [rng.choice([0.0, 0.5, 1.0, 2.0], c.size, p=[0.1, 0.3, 0.3, 0.3]) for c, _ in sets]
    symbols = [f"i{n}" for n in sizes]
    curves = fit(
        symbols, [c for c, _ in sets], [y for _, y in sets], family=family, weights=weights if weighted else None
    )
    scored = 0
    for i, ((c, y), w) in enumerate(zip(sets, weights, strict=True)):
        u = w if weighted else np.ones(c.size)
        if curves.status[i] != FitStatus.OK or np.unique(c[u > 0]).size < USUAL:
            assert curves._scores.sizes[i] == 0
            continue
        records = [
            naive.Record(*record) for record in zip(c.tolist(), y.tolist(), u.tolist(), strict=True) if record[2]
        ]
        assert_equal_to_twin(curves, i, twin_of(curves, i, records))
        scored += 1
    assert scored >= 3


@pytest.mark.parametrize("n", [40, 90, 150])
def test_scores_of_ladders_equal_the_twin(n: int) -> None:
    c, y = drawn(np.random.default_rng(n), n)
    group = np.random.default_rng(n).integers(0, 9, n)
    block = group // 2
    found = Ladder(c, y, None, group, block)
    twin = twin_of_ladder([naive.Record(*r) for r in zip(c.tolist(), y.tolist(), [1.0] * n, group.tolist(), block.tolist(), strict=True)])  # fmt: skip
    assert same(found.z, twin.z)
    assert same(found.bins, [*twin.bins[0], *twin.bins[1]])
    assert same(found.forward, twin.forward(USUAL))
    steps = np.concatenate(twin.form.steps)
    at = np.geomspace(0.5 * c.min(), 2.0 * c.max(), 9)
    for level in (0.5, 0.95, 0.995):
        reach, sure = found.reach(steps, at, level, 0.01, ahead=False)
        assert same([reach, sure], np.transpose([twin.reach(one, level, 0.01) for one in at.tolist()]))


@pytest.mark.parametrize("family", SMOOTH)
def test_predictions_and_forward_scores_equal_the_twin(family: str) -> None:
    rng = np.random.default_rng([2, SMOOTH.index(family)])
    c, y = drawn(rng, 120)
    times = rng.integers(0, 7, 120).astype(float)
    curves = fit(["A"], [c], [y], family=family, observed_at=[times])
    records = [naive.Record(*r) for r in zip(c.tolist(), y.tolist(), [1.0] * 120, [-1] * 120, times.astype(int).tolist(), strict=True)]  # fmt: skip
    twin = twin_of(curves, 0, records)
    assert same(curves._forward.row(0), twin.forward(USUAL))
    at = np.geomspace(c.min(), c.max(), 7)
    for level in (0.8, 0.95):
        p = curves.predict(at, level=level, tolerance=0.01)
        for k, one in enumerate(at.tolist()):
            reach, sure = twin.reach(one, level, 0.01)
            eta = twin.form.value(one)
            assert (p.low[k], p.high[k], p.confidence[k]) == (*np.clip([eta - reach, eta + reach], 0.0, 1.0), sure)


@pytest.mark.nojit
def test_plain_python_scores_are_the_same_bits() -> None:
    c, y = drawn(np.random.default_rng(5), 60)
    twin = twin_of_ladder([naive.Record(*r) for r in zip(c.tolist(), y.tolist(), [1.0] * 60, strict=True)])
    assert same(Ladder(c, y).z, twin.z)


# --- what must not matter ---------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32))
@examples(10)
def test_threads_order_neighbours_and_currency_change_no_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sets = [drawn(rng, int(rng.integers(40, 120))) for _ in range(5)]
    names = [f"i{k}" for k in range(5)]
    groups = [rng.integers(0, 12, c.size) for c, _ in sets]
    curves = fit(names, [c for c, _ in sets], [y for _, y in sets], group=groups, threads=1)
    shuffled = [rng.permutation(c.size) for c, _ in sets]
    again = fit(
        names[::-1],
        [64.0 * c[o] for (c, _), o in zip(sets, shuffled, strict=True)][::-1],
        [y[o] for (_, y), o in zip(sets, shuffled, strict=True)][::-1],
        group=[g[o] for g, o in zip(groups, shuffled, strict=True)][::-1],
        threads=3,
    )
    alone = fit(names[:1], [sets[0][0]], [sets[0][1]], group=groups[:1])
    for i, name in enumerate(names):
        j = again.index(name)
        for field in ("_scores", "_bins", "_windows", "_forward"):
            assert same(getattr(curves, field).row(i), getattr(again, field).row(j)), field
        assert same(curves._noise[i], again._noise[j])
        assert curves.misfit[i] == again.misfit[j] or math.isnan(curves.misfit[i])
    assert same(alone._scores.row(0), curves._scores.row(0))
    at = np.geomspace(1e-3, 1e9, 12).reshape(1, -1)
    first, other = curves.predict(at), again.predict(64.0 * at)
    assert same(first.low, other.low[::-1])
    assert same(first.marginal_low, other.marginal_low[::-1])


# --- degenerate records -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["linear", "quadratic", "exponential", "sqrt", "hill", "depth", "power", "auto"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_equal_efficiencies_leave_an_interval_without_width(family: str, value: float) -> None:
    curves = fit(["A"], [np.arange(1.0, 61.0)], [np.full(60, value)], family=family)
    if curves.status[0] != FitStatus.CONSTANT:
        assert not curves.has_curve[0]
        return
    p = curves.predict(30.0)
    assert (p.low[0], p.high[0]) == (value, value)
    assert not curves.marked[0]


@pytest.mark.parametrize(("distinct", "known"), [(39, False), (40, True), (41, True)])
def test_distinct_capitals_decide_and_not_records(distinct: int, known: bool) -> None:
    c = np.concatenate([np.arange(1.0, distinct + 1.0), np.full(20, 5.0)])
    y = 0.9 - 0.001 * c + 0.001 * np.sin(7.0 * np.arange(c.size))
    curves = fit(["A"], [c], [y], family="linear")
    assert (curves._scores.sizes[0] > 0) == known
    assert np.isnan(curves.misfit[0]) != known
    assert curves.predict(5.0).method[0] == ("conformal" if known else "student")


def test_even_noise_gives_the_intervals_of_before_and_local_noise_comes_early() -> None:
    c, y = drawn(np.random.default_rng(8), 60)
    even, local = (fit(["A"], [c], [y], family="depth", noise=choice) for choice in ("even", "local"))
    assert even.predict(c[:3]).method.tolist() == ["student"]
    assert np.isnan(even.misfit[0])
    assert same(local._scores.row(0), fit(["A"], [c], [y], family="depth")._scores.row(0))
    early = fit(["A"], [c[:FEWEST]], [y[:FEWEST]], family="power", noise="local")
    assert early._scores.sizes[0] == FEWEST
    assert fit(["A"], [c[: FEWEST - 1]], [y[: FEWEST - 1]], family="power", noise="local")._scores.sizes[0] == 0


@pytest.mark.parametrize("family", ["linear", "sqrt", "quadratic", "exponential", "hill", "depth", "power"])
@pytest.mark.parametrize("shape", ["zeros behind", "two clusters", "one outlier", "weights of 0"])
def test_awkward_records_give_finite_intervals(family: str, shape: str) -> None:
    rng = np.random.default_rng(3)
    c, y = drawn(rng, 80)
    weights = np.ones(80)
    if shape == "zeros behind":
        y[c > np.median(c)] = 0.0
    elif shape == "two clusters":
        c = np.concatenate([1e3 + rng.uniform(0, 1, 40), 1e9 + rng.uniform(0, 1, 40)])
    elif shape == "one outlier":
        y[10] = 0.01
    else:
        weights[::4] = 0.0
    curves = fit(["A"], [c], [y], family=family, weights=[weights])
    if not curves.has_curve[0]:
        return
    p = curves.predict(np.geomspace(c.min(), c.max(), 20).reshape(1, -1))
    assert np.isfinite([p.low, p.high, p.confidence, p.marginal_low, p.marginal_high]).all()
    assert ((p.low <= p.efficiency) & (p.efficiency <= p.high)).all()
    assert (curves._scores.row(0) >= 0.0).all()
    assert curves._scores.sizes[0] == np.count_nonzero(weights) - curves.set_aside[0]
    assert curves.set_aside[0] == (shape == "one outlier")


# --- groups -----------------------------------------------------------------------------------------------------------


def clustered(rng: np.random.Generator, n: int, groups: int) -> tuple[Floats, Floats, Integers]:
    c = rng.uniform(1e3, 1e6, n)
    g = np.arange(n) % groups
    y = 0.95 - 2e-7 * c + rng.normal(0, 0.01, groups)[g] + rng.normal(0, 0.003, n)
    return c, y, g


@pytest.mark.parametrize("n", [30, 60])
def test_the_covariance_counts_groups(n: int) -> None:
    c, y, g = clustered(np.random.default_rng(n), n, 6)
    plain = fit(["A"], [c], [y], family="linear", noise="even")
    robust = fit(["A"], [c], [y], family="linear", noise="even", group=[g])
    x = np.stack([c, np.ones(n)], axis=1)
    r = y - x @ plain.params[0, :2]
    bread = np.linalg.inv(x.T @ x)
    pulls = np.stack([(x[g == k] * r[g == k, None]).sum(0) for k in range(6)])
    expected = 6 / 5 * (n - 1) / (n - 2) * bread @ (pulls.T @ pulls) @ bread
    assert robust.covariance[0, :2, :2] == pytest.approx(expected, rel=1e-9)
    assert robust.df_resid[0] == 5.0
    assert same(robust.params, plain.params)
    p = robust.predict(5e5)
    slope = np.array([2.0 * 5e5, 1.0])
    sd = math.sqrt(slope @ expected @ slope)
    assert p.marginal_high[0] - p.marginal[0] == pytest.approx(2.5705818 * sd, rel=1e-6)


@pytest.mark.parametrize("family", ["depth", "power", "quadratic", "exponential"])
def test_the_covariance_of_curves_of_three_coefficients_counts_groups_too(family: str) -> None:
    rng = np.random.default_rng(4)
    c = np.sort(rng.uniform(1e3, 1e6, 60))
    g = np.arange(60) % 8
    y = 0.97 / (1.0 + c / 3e6) ** 0.8 + rng.normal(0, 0.004, 8)[g] + rng.normal(0, 0.001, 60)
    curve = fit(["A"], [c], [y], family=family, noise="even", group=[g])
    plain = fit(["A"], [c], [y], family=family, noise="even")
    assert curve.status[0] == FitStatus.OK
    change = 1e-5 * np.abs(plain.params[0, :3])

    def at(k: int, sign: float) -> Floats:
        moved = plain.params.copy()
        moved[0, k] += sign * change[k]
        made = CurveSet.from_params(["A"], family, moved, origin=plain.origin)
        found: Floats = made.efficiency(c.reshape(1, -1))[0]
        return found

    x = np.stack([(at(k, 1.0) - at(k, -1.0)) / (2.0 * change[k]) for k in range(3)], axis=1)
    size = np.linalg.norm(x, axis=0)
    bread = np.linalg.inv((x / size).T @ (x / size)) / np.outer(size, size)
    r = y - plain.efficiency(c.reshape(1, -1))[0]
    pulls = np.stack([(x[g == k] * r[g == k, None]).sum(0) for k in range(8)])
    expected = 8 / 7 * 59 / 57 * bread @ (pulls.T @ pulls) @ bread
    assert curve.covariance[0, :3, :3] == pytest.approx(expected, rel=1e-3)


def test_one_group_says_nothing_of_errors() -> None:
    c, y, _ = clustered(np.random.default_rng(1), 20, 4)
    curve = fit(["A"], [c], [y], family="linear", group=[["all"] * 20])
    assert curve.df_resid[0] == 0.0
    assert np.isnan(curve.covariance[0]).all()
    assert (curve.predict(1e5).low[0], curve.predict(1e5).high[0]) == (0.0, 1.0)


def test_a_group_is_left_out_whole() -> None:
    rng = np.random.default_rng(6)
    c, y, g = clustered(rng, 200, 10)
    alone, together = fit(["A"], [c], [y], family="linear"), fit(["A"], [c], [y], family="linear", group=[g])
    assert not same(alone._scores.row(0), together._scores.row(0))
    labels = [f"sweep {k}" for k in g.tolist()]
    assert same(fit(["A"], [c], [y], family="linear", group=[labels])._scores.row(0), together._scores.row(0))
    table = {"symbol": ["A"] * 200, "capital": c, "efficiency": y, "group": labels}
    assert same(fit(table, family="linear")._scores.row(0), together._scores.row(0))


# --- time -------------------------------------------------------------------------------------------------------------


def test_forward_intervals_are_wider_where_levels_drift() -> None:
    rng = np.random.default_rng(7)
    c = rng.uniform(1e3, 1e6, 300)
    hour = np.repeat(np.arange(15), 20)
    y = 0.9 - 1e-7 * c - 0.004 * hour + rng.normal(0, 0.001, 300)
    curves = fit(["A"], [c], [y], family="linear", observed_at=[hour.astype(float)])
    same_period, ahead = curves.predict(5e5), curves.predict(5e5, interval="forward")
    assert ahead.method.tolist() == ["forward"]
    assert ahead.high[0] - ahead.low[0] > 1.2 * (same_period.high[0] - same_period.low[0])
    assert curves._forward.sizes[0] == 200  # behind the first five of fifteen
    by_group = fit(["A"], [c], [y], family="linear", group=[hour])
    assert by_group._forward.sizes[0] == 200


def test_many_times_are_joined_to_blocks() -> None:
    offsets = np.array([0, 100, 100, 103])
    found = curve_noise.blocks(offsets, NONE, np.concatenate([np.arange(100.0)[::-1], [3.0, 3.0, 1.0]]))
    assert found[:100].max() == curve_noise.MOST_BLOCKS - 1
    assert np.bincount(found[:100]).min() >= 4
    assert found[100:].tolist() == [1, 1, 0]


def test_groups_come_in_order_of_their_earliest_time() -> None:
    offsets = np.array([0, 4])
    group = curve_noise.ranks(offsets, np.array([7.0, 7.0, 2.0, 5.0]))
    assert group.tolist() == [2, 2, 0, 1]
    assert curve_noise.blocks(offsets, group, np.array([9.0, 1.0, 4.0, 2.0])).tolist() == [0, 0, 2, 1]


# --- messages ---------------------------------------------------------------------------------------------------------


def test_a_level_says_how_many_scores_it_needs() -> None:
    c, y = drawn(np.random.default_rng(9), 60)
    curves = fit(["A"], [c], [y], family="depth")
    p = curves.predict(c[:1], level=0.99)
    assert p.note == "an interval of level 0.99 needs 99 scores, and A has 60: theirs is [0, 1]"
    assert p.note in repr(p)
    assert (p.low[0], p.high[0], p.enough.tolist()) == (0.0, 1.0, [False])
    enough = curves.predict(c[:1], level=60 / 61)
    assert enough.note == ""
    assert enough.high[0] - enough.low[0] < 1.0


def test_only_a_pattern_that_exceeds_the_noise_is_marked() -> None:
    rng = np.random.default_rng(10)
    c = np.sort(10.0 ** rng.uniform(3, 6, 400))
    bent = 0.95 - 0.05 * (np.log10(c) - 3.0) ** 2 / 9.0
    little, much = (np.clip(bent + rng.normal(0, sd, 400), 0, 1) for sd in (0.03, 0.001))
    curves = fit(["little", "much", "few"], [c, c, c[::20]], [little, much, bent[::20]], family="linear")
    assert curves.misfit[0] < 1.25 < curves.misfit[1]
    assert curves.marked.tolist() == [False, True, True]
    assert np.isnan(curves.misfit[2])
    assert curves.to_dict()["marked"].tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"loss": "absolute"}, "loss must be 'auto', 'squares' or 'student', not 'absolute'"),
        ({"noise": "loud"}, "noise must be 'auto', 'even' or 'local', not 'loud'"),
        ({"group": [["a", None, "b"]]}, r"group\[0\]\[1\] is missing: every record needs a group"),
        (
            {"group": [np.array(["a", 1, "b"], dtype=object)]},
            r"group\[0\] must hold labels of one kind, not int and str",
        ),
        ({"group": [["a", "b"]]}, "group"),
    ],
)
def test_bad_arguments_of_a_fit_are_named(argument: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        fit(["A"], [[1.0, 2.0, 3.0]], [[0.9, 0.8, 0.7]], **argument)


def test_bad_intervals_are_named() -> None:
    curves = fit(["A"], [[1.0, 2.0, 3.0]], [[0.9, 0.8, 0.7]], family="linear")
    with pytest.raises(CurveError, match="interval must be 'auto' or 'forward', not 'next'"):
        curves.predict(1.0, interval="next")  # type: ignore[arg-type]
    with pytest.raises(
        CurveError, match="interval='forward' needs curves that were fitted with observed_at= or group="
    ):
        curves.predict(1.0, interval="forward")


def test_curves_without_forward_scores_say_so_beside_others_that_have_them() -> None:
    c, y = drawn(np.random.default_rng(11), 90)
    few = np.array([1.0, 2.0, 3.0])
    curves = fit(["A", "B"], [c, few], [y, 0.9 - 0.1 * few], family="linear", group=[np.arange(90) // 10, np.arange(3)])
    p = curves.predict(few.mean(), interval="forward")
    assert p.method.tolist() == ["forward", "none"]
    assert (p.low[1], p.high[1], p.confidence[1]) == (0.0, 1.0, 0.0)


# --- the real quotes --------------------------------------------------------------------------------------------------


def test_intervals_hold_what_they_promise_on_real_quotes() -> None:
    quotes = load_quotes()
    symbol, capital, efficiency = np.array(quotes.symbol), quotes.capital, quotes.efficiency
    fold = np.random.default_rng(1).integers(0, 5, symbol.size)
    hit, width = np.empty(symbol.size), np.empty(symbol.size)
    for k in range(5):
        out = np.flatnonzero(fold == k)
        curves = fit(symbol[fold != k], capital[fold != k], efficiency[fold != k])
        p = curves[np.array([curves.index(name) for name in symbol[out]])].predict(capital[out])
        hit[out] = (p.low <= efficiency[out]) & (efficiency[out] <= p.high)
        width[out] = p.high - p.low
    decade = np.floor(np.log10(capital)).astype(int)
    shares = np.array([hit[decade == d].mean() for d in np.unique(decade)])
    assert (shares > 0.92).all()
    assert (shares < 0.98).all()
    assert width.mean() < 0.02


def test_few_real_pairs_are_marked() -> None:
    quotes = load_quotes()
    curves = fit(quotes.symbol, quotes.capital, quotes.efficiency)
    assert curves.marked.sum() <= 5
