"""Absurd records: which are suspects, which are set aside, what is told of them, and that nothing else changes."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escala import CurveError, CurveSet, RecordError, Store, fit, validate
from escala.curves import robust
from escala.demo.curves import load_quotes
from escala.engine.engine import PredictiveScalingEngine
from escala.kernels.noise.outliers import FEWEST
from escala.ragged import Ragged
from tests.naive import outliers as naive
from tests.places import DATA
from tests.properties import examples

Floats = npt.NDArray[np.float64]
NONE = np.empty(0)
FAMILIES = ("linear", "quadratic", "exponential", "sqrt", "hill", "depth", "power", "ladder", "auto")
GOLDEN = json.loads((DATA / "depth_power_ladder.json").read_text())


def market(n: int, noise: float = 0.002, seed: int = 12) -> tuple[Floats, Floats]:
    """A pool's efficiency at n capitals over three decades."""
    c = np.geomspace(1e3, 1e6, n)
    y = 0.99 / (1.0 + c / 4e6) + np.random.default_rng(seed).normal(0.0, noise, n)
    return c, np.clip(y, 0.0, 1.0)


def suspects(c: Floats, y: Floats, weights: Floats = NONE) -> list[int]:
    found = robust.suspects(np.array([0, c.size]), c, y, weights, 1)
    return [] if found is None else np.flatnonzero(found).tolist()


def same_curves(one: CurveSet, other: CurveSet, *, but: tuple[str, ...] = ()) -> bool:
    """Whether two sets are equal to the bit."""
    for field in fields(CurveSet):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name in but:
            continue
        parts = ((a.values, b.values), (a.offsets, b.offsets)) if isinstance(a, Ragged) else ((a, b),)
        for left, right in parts:
            equal = np.array_equal(left, right) if left.dtype == object else left.tobytes() == right.tobytes()
            if left.shape != right.shape or not equal:
                return False
    return True


# --- suspects ---------------------------------------------------------------------------------------------------------


@pytest.mark.nojit
@examples(100)
@given(st.integers(1, 60), st.integers(0, 1 << 32), st.sampled_from([0.0, 0.001, 0.02, 0.3]), st.booleans())
def test_suspects_are_those_of_the_twin(n: int, seed: int, noise: float, falls: bool) -> None:
    rng = np.random.default_rng(seed)
    c = np.exp(np.cumsum(rng.choice([0.0, 0.01, 0.3, 2.0], n)))
    y = np.clip(0.95 + noise * rng.normal(size=n), 0.0, 1.0) * (np.geomspace(1.0, 0.02, n) if falls else 1.0)
    y[rng.integers(0, n, rng.integers(0, 4))] = rng.choice([0.0, 0.01, 0.3, 1.0])
    weights = rng.choice([0.0, 1.0, 2.0], n)
    for order in (np.arange(n), rng.permutation(n)):
        own = c[order], y[order], weights[order]
        rows = np.stack(own, axis=-1).tolist()  # of records that are alike in everything it does not matter which
        for weight, counts in ((NONE, np.ones(n)), (own[2], own[2])):
            expected = naive.suspects(own[0].tolist(), own[1].tolist(), counts.tolist())
            found = suspects(own[0], own[1], weight)
            assert sorted(rows[k][: 2 + weight.size] for k in found) == sorted(
                rows[k][: 2 + weight.size] for k in expected
            )


@pytest.mark.parametrize("n", [FEWEST, 12, 40])
def test_of_noise_with_heavy_tails_hardly_ever_a_record_is_set_aside(n: int) -> None:
    """Errors of Student's distribution with four degrees of freedom, large enough to be off by half."""
    rng = np.random.default_rng(n)
    sets = 3000
    y = np.clip(0.6 + 0.02 * rng.standard_t(4.0, (sets, n)), 0.0, 1.0)
    curves = fit([str(k) for k in range(sets)], np.geomspace(1e3, 1e6, n), y, family="linear", noise="even")
    assert curves.set_aside.sum() <= 0.002 * sets


@pytest.mark.nojit
@pytest.mark.parametrize("at", [0, 1, 2, 5, 9, 10, 11])
@pytest.mark.parametrize("value", [0.01, 1.0])
def test_a_record_that_no_neighbour_allows_is_a_suspect_and_its_neighbours_are_not(at: int, value: float) -> None:
    c = np.geomspace(1e3, 1e5, 12)
    y = 0.4 / (1.0 + c / 1e6) - 0.001 * (np.arange(12) % 2)
    y[at] = value
    found = suspects(c, y)
    assert at in found or (at == 0 and value == 1.0)  # utility may rise slowly from the first record on
    assert value == 1.0 or found == [at]


@pytest.mark.nojit
@pytest.mark.parametrize("n", [8, 10, 12, 40])
def test_markets_that_go_flat_have_no_suspects(n: int) -> None:
    """Utility stays where it is from some capital on, between two records or at the last one."""
    c = np.geomspace(1e2, 1e8, n)
    for depth in np.geomspace(1e3, 1e9, 25).tolist():
        assert suspects(c, np.minimum(0.999, depth / c)) == []


# --- what is set aside ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_one_absurd_fill_among_forty_moves_no_curve_wherever_it_stands(family: str) -> None:
    c, true = market(40)
    ends = family == "hill"  # of its rise, or of its fall, the last record may be all that is seen
    places = list(range(ends, 40 - ends))
    names = [f"at {k}" for k in places]
    planted = np.tile(true, (len(places), 1))
    planted[np.arange(len(places)), places] = 0.01
    found = fit(names, c, planted, family=family)
    others = [np.delete(np.arange(40), k) for k in places]
    without = fit(names, [c[o] for o in others], [true[o] for o in others], family=family, loss="squares")
    assert found.set_aside.tolist() == [1] * len(places)
    assert same_curves(found, without, but=("_aside",))
    for k, name in zip(places, names, strict=True):
        assert np.concatenate(found.aside(name)).tolist() == [c[k], 0.01]


@pytest.mark.parametrize("n", [8, 12, 25])
@pytest.mark.parametrize("family", ["depth", "auto", "exponential"])
def test_few_records_are_enough_to_tell_an_absurd_one(family: str, n: int) -> None:
    c, true = market(n, noise=0.0005)
    planted = np.tile(true, (n, 1))
    planted[np.arange(n), np.arange(n)] = 0.01
    assert fit([str(k) for k in range(n)], c, planted, family=family).set_aside.tolist() == [1] * n
    short = FEWEST - 1
    assert fit(["A"], [c[:short]], [planted[3, :short]], family=family).set_aside[0] == 0


def test_two_absurd_fills_beside_each_other_are_both_set_aside() -> None:
    c, y = market(40)
    for first in (0, 17, 38):
        planted = y.copy()
        planted[first : first + 2] = [0.01, 0.02]
        found = fit(["A"], [c], [planted], family="depth")
        assert found.aside("A").efficiency.tolist() == [0.01, 0.02]


def test_a_tenth_of_the_records_is_a_market_and_stays() -> None:
    c, y = market(40)
    planted = y.copy()
    planted[3::8] = 0.3
    curves = fit(["A"], [c], [planted], family="depth")
    assert curves.set_aside[0] == 0
    assert same_curves(curves, fit(["A"], [c], [planted], family="depth", loss="squares"))


@pytest.mark.parametrize("family", ["linear", "auto"])
@pytest.mark.parametrize("n", [8, 11, 21])
def test_a_line_that_ends_at_nothing_is_no_absurd_record(family: str, n: int) -> None:
    c = np.linspace(1e6 / n, 1e6, n)
    assert fit(["A"], c, (1.0 - c / 1e6)[None], family=family).set_aside[0] == 0


@pytest.mark.parametrize("steep", [3.0, 8.0])
def test_hills_rise_is_no_absurd_record_but_a_hole_in_it_is(steep: float) -> None:
    c = np.geomspace(1e4, 1e6, 20)
    u = c / 3e4
    y = 0.9 * u ** (steep - 1.0) / (1.0 + u**steep)
    assert fit(["A"], c, y[None], family="hill").set_aside[0] == 0
    y[10] = 0.0
    assert fit(["A"], c, y[None], family="hill").set_aside[0] == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_without_absurd_records_the_default_is_least_squares_to_the_bit(family: str) -> None:
    rng = np.random.default_rng(3)
    sizes = (5, 8, 12, 39, 40, 90)
    parts = [market(n, noise=noise, seed=n) for n in sizes for noise in (0.0, 0.003, 0.03)]
    c, y = [part[0] for part in parts], [part[1] for part in parts]
    names = [str(k) for k in range(len(parts))]
    weights = [rng.choice([0.0, 1.0, 3.0], one.size) for one in c]
    extra: list[dict[str, Any]] = [{}, {"weights": weights}, {"group": [np.arange(one.size) // 4 for one in c]}]
    for more in extra:
        default = fit(names, c, y, family=family, **more)
        assert default.set_aside.sum() == 0
        assert same_curves(default, fit(names, c, y, family=family, loss="squares", **more))


def test_no_golden_set_has_an_absurd_record() -> None:
    for case in GOLDEN["sets"].values():
        curves = fit(["A"], [case["capital"]], [case["efficiency"]], family="depth")
        assert curves.set_aside[0] == 0


def test_what_is_set_aside_depends_on_nothing_but_the_instruments_records() -> None:
    rng = np.random.default_rng(5)
    sets = [market(n, seed=n) for n in (12, 40, 60)]
    for (_, y), at in zip(sets, (0, 20, 59), strict=True):
        y[at] = 0.01
    names = ["A", "B", "C"]
    together = fit(names, [c for c, _ in sets], [y for _, y in sets])
    assert together.set_aside.tolist() == [1, 1, 1]
    for k, (c, y) in enumerate(sets):
        order = rng.permutation(c.size)
        alone = fit([names[k]], [c[order]], [y[order]], threads=3)
        assert same_curves(alone, together[k : k + 1])
        other = fit([names[k]], [4.0**9 * c], [y])
        assert other.aside(names[k]).capital[0] == 4.0**9 * together.aside(names[k]).capital[0]
        assert np.array_equal(other.efficiency(4.0**9 * c), together[k].efficiency(c))


def test_weights_times_and_groups_go_with_the_records_that_stay() -> None:
    c, y = market(60)
    y[30] = 0.01
    more: dict[str, Any] = {
        "weights": np.linspace(0.5, 2.0, 60),
        "group": np.arange(60) // 5,
        "observed_at": np.arange(60.0),
    }
    stay = np.arange(60) != 30
    whole: dict[str, Any] = {name: [one] for name, one in more.items()}
    rest: dict[str, Any] = {name: [one[stay]] for name, one in more.items()}
    found = fit(["A"], [c], [y], **whole)
    without = fit(["A"], [c[stay]], [y[stay]], **rest, loss="squares")
    assert same_curves(found, without, but=("_aside",))
    more["weights"][30] = 0.0  # then it counts for nothing anyhow
    assert fit(["A"], [c], [y], **whole).set_aside[0] == 0


def test_the_youngest_records_may_be_a_market_that_has_changed() -> None:
    """An absurd record is set aside once ten others came since."""
    c, y = market(40)
    y[20] = 0.01
    for later, aside in ((0, 0), (9, 0), (10, 1), (30, 1)):
        times = np.arange(40.0)
        times[20] = 100.0
        times[[k for k in range(40) if k != 20][:later]] = 101.0 + np.arange(later)
        found = fit(["A"], [c], [y], observed_at=[times], family="depth")
        assert found.set_aside[0] == aside
    y[:3] = 0.01  # with the one before four of forty, and the youngest
    times = np.where(y == 0.01, 100.0, np.arange(40.0))
    assert fit(["A"], [c], [y], observed_at=[times], family="depth").set_aside[0] == 0


@pytest.mark.parametrize("n", [9, 12, 40])
def test_records_of_one_time_are_told_as_those_without_and_the_oldest_can_have_changed_nothing(n: int) -> None:
    c, y = market(n)
    y[n // 2] = 0.01
    without = fit(["A"], [c], [y], family="depth")
    assert without.set_aside[0] == 1
    for times in (np.full(n, 7.0), np.where(y == 0.01, 1.0, 2.0)):
        found = fit(["A"], [c], [y], observed_at=[times], family="depth")
        assert found.set_aside[0] == 1
        assert np.array_equal(found.params, without.params)


def test_a_suspect_that_the_curve_without_it_confirms_not_stays() -> None:
    c, y = market(10)
    suspect = np.zeros(10, dtype=bool)
    suspect[4] = True
    assert not robust.confirmed(c, y, suspect, y).any()
    assert not robust.confirmed(c, y, suspect, np.full(10, np.nan)).any()
    assert not robust.confirmed(c, y, np.ones(10, dtype=bool), y).any()
    wrong = y.copy()
    wrong[4] = 0.01
    assert robust.confirmed(c, wrong, suspect, y + 1e-3).tolist() == suspect.tolist()
    wrong[5] = 0.45  # beside one that is off by half as much it does not stand alone
    assert not robust.confirmed(c, wrong, suspect, y).any()


def test_what_a_robust_curve_predicts_is_nearer_to_quotes_held_out() -> None:
    """Real quotes, 40 of each pair with one absurd fill among them, scored on the rest."""
    quotes = load_quotes()
    symbol, rng = np.array(quotes.symbol), np.random.default_rng(5)
    names = list(dict.fromkeys(quotes.symbol))[::2]
    errors = dict.fromkeys(("squares", "auto", "student"), 0.0)
    c, y, held = [], [], []
    for name in names:
        there = np.flatnonzero(symbol == name)
        taken = np.sort(rng.choice(there, 40, replace=False))
        held.append(np.setdiff1d(there, taken))
        own = np.argsort(quotes.capital[taken])
        c.append(quotes.capital[taken][own])
        y.append(quotes.efficiency[taken][own])
        y[-1][rng.integers(0, 30)] = 0.01
    for loss in errors:
        curves = fit(names, c, y, loss=loss)  # type: ignore[arg-type]
        for k, out in enumerate(held):
            off = np.abs(curves[k].efficiency(quotes.capital[out]) - quotes.efficiency[out])
            errors[loss] += float(off.mean()) / len(names)
    assert errors["auto"] < 0.5 * errors["squares"]
    assert errors["student"] < 0.5 * errors["squares"]


# --- what is told -----------------------------------------------------------------------------------------------------


def planted() -> tuple[list[str], list[Floats], list[Floats]]:
    sets = [market(n) for n in (40, 12)]
    sets[0][1][[20, 30]] = 0.01, 0.0
    sets[1][1][0] = 0.01
    return ["A", "B"], [c for c, _ in sets], [y for _, y in sets]


def test_records_set_aside_are_told() -> None:
    curves = fit(*planted(), family="depth")
    assert curves.set_aside.tolist() == [2, 1]
    assert curves.to_dict()["set_aside"].tolist() == [2, 1]
    assert "set aside, far off all that is near them: 3 records, A 0.01 at " in curves.summary()
    assert "set aside, far off all that is near them: 1 record, B 0.01 at 1,000" in curves["B"].summary()
    assert "set aside" not in fit(*planted(), family="depth", loss="squares").summary()
    many = CurveSet.concatenate(
        [curves] + [fit([f"{k}"], *planted()[1:][0:0], *[[p[1]] for p in planted()[1:]]) for k in range(3)]
    )
    assert "6 records" in many.summary()
    assert "and 3 more" in many.summary()
    with pytest.raises(CurveError, match="C"):
        curves.aside("C")


async def test_a_store_keeps_what_was_set_aside(tmp_path: Path) -> None:
    names, c, y = planted()
    async with await Store.open(tmp_path / "s.db") as store:
        for name, capital, efficiency in zip(names, c, y, strict=True):
            await store.add_records([name] * capital.size, capital, efficiency)
    async with await PredictiveScalingEngine.open(tmp_path / "s.db") as engine:
        trained = await engine.curves(names)
        assert (await engine.model_info("A")).set_aside == 2
    async with await PredictiveScalingEngine.open(tmp_path / "s.db") as engine:
        read = await engine.curves(names)
    assert same_curves(trained, read)
    assert read.set_aside.tolist() == [2, 1]


# --- Student's loss ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["depth", "power", "auto"])
@pytest.mark.parametrize("at", [0, 1, 2, 20, 33, 39])
def test_students_loss_withstands_an_absurd_fill_anywhere(family: str, at: int) -> None:
    c, y = market(40)
    true = 0.99 / (1.0 + c / 4e6)
    y[at] = 0.01
    squares, student = (
        np.abs(fit(["A"], [c], [y], family=family, loss=loss).efficiency(c.reshape(1, -1))[0] - true).mean()
        for loss in ("squares", "student")
    )
    assert student < 0.003
    assert squares > 2.0 * student


def test_students_loss_does_not_depend_on_order_nor_on_neighbours() -> None:
    rng = np.random.default_rng(13)
    sets = [market(50, seed=seed) for seed in range(3)]
    for _, y in sets:
        y[25] = 0.8  # not absurd, but of little weight
    together = fit(["A", "B", "C"], [c for c, _ in sets], [y for _, y in sets], family="depth", loss="student")
    order = rng.permutation(50)
    alone = fit(["B"], [sets[1][0][order]], [sets[1][1][order]], family="depth", loss="student")
    assert same_curves(alone, together[1:2])
    assert together.set_aside.sum() == 0


@pytest.mark.nojit
def test_few_records_and_those_without_a_curve_keep_their_weights() -> None:
    residual = np.array([0.0, 0.1, -0.1, 0.5, np.nan, np.nan])
    none = robust.factors(np.array([0, 4, 6]), np.arange(1.0, 7.0), np.ones(6), np.empty(0), residual)
    assert none.tolist() == [1.0] * 6
    many = np.full(20, 0.01)
    many[7] = 1.0
    found = robust.factors(np.array([0, 20]), np.arange(20.0), np.ones(20), np.empty(0), many)
    assert found[7] == pytest.approx(5.0 / (4.0 + (0.6744897501960817 * 100.0) ** 2), rel=1e-12)
    assert found[0] == pytest.approx(5.0 / (4.0 + 0.6744897501960817**2), rel=1e-12)


@pytest.mark.parametrize("ask", [fit, lambda *given, **more: validate(*given, total=1e5, **more)])
def test_a_loss_without_a_name_is_refused(ask: Any) -> None:
    with pytest.raises(RecordError, match="loss must be 'auto', 'squares' or 'student', not 'absolute'"):
        ask(["A"] * 60, np.geomspace(1e3, 1e6, 60), np.linspace(0.99, 0.9, 60), loss="absolute")
