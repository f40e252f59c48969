"""Exact curves: order books and pools; the best split of one order over them, by hand and in closed form."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escala import CurveError, CurveSet, allocate
from escala.sources import order_book
from escala.sources.books import book
from tests.properties import examples

pytestmark = pytest.mark.kernel

Floats = npt.NDArray[np.float64]
SEEDS = st.integers(0, 2**32)


def drawn_book(rng: np.random.Generator, levels: int, mid: float = 100.0) -> dict[str, Floats]:
    """Draw a book of two sides, its levels in no order."""
    found = {}
    for name, sign in (("bids", -1.0), ("asks", 1.0)):
        away = 1e-4 + np.cumsum(rng.exponential(2e-4, levels))
        rows = np.column_stack([mid * (1.0 + sign * away), rng.exponential(5.0, levels)])
        found[name] = rng.permutation(rows)
    return found


# --- order books -------------------------------------------------------------------------------------------------


@examples(30)
@given(SEEDS, st.sampled_from(["buy", "sell"]))
def test_a_book_is_walked_as_the_source_walks_it(seed: int, side: str) -> None:
    """Efficiency at any capital is that of the order book's records; fees come off what is received."""
    rng = np.random.default_rng(seed)
    one = drawn_book(rng, int(rng.integers(1, 30)))
    rows = [(name[:-1], *level) for name, levels in one.items() for level in levels.tolist()]
    table = {key: [row[k] for row in rows] for k, key in enumerate(("side", "price", "quantity"))}
    curve = CurveSet.from_order_books({"A": one}, side=side)
    depth = float(curve.trusted_to[0])
    capital = depth * rng.uniform(0.0, 1.0, 12)
    walked = order_book.walk(book(table), capital, side=side)  # type: ignore[arg-type]
    assert np.allclose(curve.efficiency(capital), walked.efficiency.reshape(-1), rtol=1e-13)
    assert math.isclose(depth, float(walked.depth.reshape(-1)[0]), rel_tol=1e-13)
    with_fee = CurveSet.from_order_books({"A": one}, side=side, fee=0.002)
    assert np.allclose(with_fee.efficiency(capital), 0.998 * curve.efficiency(capital), rtol=1e-13)
    read = CurveSet.from_order_books(book({**table, "symbol": ["A"] * len(rows)}), side=side)
    assert np.array_equal(read.utility(capital), curve.utility(capital))
    assert read.symbols.tolist() == ["A"]


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_thousand_levels_are_exact_to_rounding(side: str) -> None:
    rng = np.random.default_rng(1)
    one = drawn_book(rng, 1000)
    curve = CurveSet.from_order_books({"A": one}, side=side)
    levels = one["asks" if side == "buy" else "bids"]
    order = np.argsort(levels[:, 0] if side == "buy" else -levels[:, 0])
    mid = Fraction(float(one["bids"][:, 0].max())) / 2 + Fraction(float(one["asks"][:, 0].min())) / 2
    taken = given = Fraction(0)
    knots, returned = [], []
    for price, size in levels[order].tolist():
        at_price, at_mid = Fraction(price) * Fraction(size), mid * Fraction(size)
        taken += at_price if side == "buy" else at_mid
        given += at_mid if side == "buy" else at_price
        knots.append(taken)
        returned.append(given)
    utility = curve.utility(np.array([float(knot) for knot in knots]))
    assert np.allclose(utility, [float(one) for one in returned], rtol=2e-15, atol=0.0)
    assert math.isclose(float(curve.trusted_to[0]), float(knots[-1]), rel_tol=4e-16)
    found = curve.saturation()
    assert math.isclose(float(found.ceiling[0]), float(returned[-1]), rel_tol=2e-15)
    assert math.isinf(found.capacity[0])


@examples(30)
@given(SEEDS, st.sampled_from(["buy", "sell"]))
def test_one_order_over_many_books_is_a_walk_through_all_their_levels(seed: int, side: str) -> None:
    rng = np.random.default_rng(seed)
    books = {f"V{i}": drawn_book(rng, int(rng.integers(1, 40)), 100.0 * (1 + 1e-5 * i)) for i in range(7)}
    fee = {name: float(rng.choice([0.0, 0.0005, 0.002])) for name in books}
    curves = CurveSet.from_order_books(books, side=side, fee=fee, price="best")
    buys = side == "buy"
    levels = {name: one["asks" if buys else "bids"] for name, one in books.items()}
    best = (
        min(rows[:, 0].min() for rows in levels.values()) if buys else max(rows[:, 0].max() for rows in levels.values())
    )
    steps = []
    for name, rows in levels.items():
        for price, size in rows.tolist():
            rate = (best / price if buys else price / best) * (1.0 - fee[name])
            steps.append((-rate, size * (price if buys else best)))
    total = float(curves.trusted_to.sum() * rng.uniform(0.001, 0.999))
    left, earned = total, []
    for falling, width in sorted(steps):
        earned.append(-falling * min(width, left))
        left -= min(width, left)
    found = allocate(curves, total)
    assert math.isclose(found.utility, math.fsum(earned), rel_tol=1e-12)
    assert found.gap <= 1e-12
    assert math.isclose(found.amounts.sum(), total, rel_tol=1e-12)


def test_levels_come_in_any_order_and_more_than_once() -> None:
    plain = CurveSet.from_order_books({"A": [[10.0, 3.0], [11.0, 4.0]]}, price=10.0)
    for levels in (
        [[11.0, 1.0], [10.0, 1.0], [11.0, 3.0], [10.5, 0.0], [10.0, 2.0]],
        (np.array([11.0, 10.0]), np.array([4.0, 3.0])),
        [[10.0, 3.0, 1700000000.0], [11.0, 4.0, 1700000001.0]],
    ):
        curves = CurveSet.from_order_books({"A": levels}, price=10.0)
        assert np.array_equal(curves.utility([5.0, 31.0, 70.0]), plain.utility([5.0, 31.0, 70.0]))
    assert plain.trusted_to.tolist() == [74.0]
    assert allocate(plain, 100.0).unallocated == 26.0
    assert allocate(plain, 100.0).binding_names.tolist() == ["limit"]


def test_levels_too_small_to_count_are_dropped() -> None:
    curves = CurveSet.from_order_books({"A": [[1.0, 1e20], [2.0, 1e-3], [4.0, 1e20]]}, price="best")
    assert np.allclose(curves.utility([1e20, 5e20]), [1e20, 2e20])


BOTH: dict[str, Any] = {"bids": [[9.0, 1.0]], "asks": [[10.0, 1.0]]}


@pytest.mark.parametrize(
    ("books", "options", "message"),
    [
        ({"A": BOTH}, {"side": "long"}, "side must be 'buy' or 'sell', not 'long'"),
        ([BOTH], {}, "books must be a mapping of symbol to levels, or an OrderBook, not list"),
        ({"A": {"bids": [[9.0, 1.0]]}}, {}, r"books\['A'\] has no asks, which 'buy' walks: it has bids"),
        ({"A": [[9.0, 1.0]]}, {}, r"price 'mid' needs bids and asks, but books\['A'\] has only asks"),
        ({"A": {**BOTH, "bids": [[10.0, 1.0]]}}, {}, r"books\['A'\] is crossed: its best bid 10.0 must be below its best ask 10.0"),
        ({"A": {**BOTH, "asks": [[10.0, 0.0]]}}, {}, r"books\['A'\] asks: there is no level with a size above 0"),
        ({"A": {**BOTH, "asks": []}}, {}, r"books\['A'\] asks of shape \(0,\) must be rows of price and size"),
        ({"A": {**BOTH, "asks": [[10.0, -1.0]]}}, {}, r"books\['A'\] asks size must be in \[0, inf\), but .*\[0\] = -1.0"),
        ({"A": {**BOTH, "asks": [[10.0, 1.0], [0.0, 1.0]]}}, {}, r"books\['A'\] asks price must be in \(0, inf\), but .*\[1\] = 0.0"),
        ({"A": {**BOTH, "asks": ([10.0], [1.0, 2.0])}}, {}, r"prices of shape \(1,\) and sizes of shape \(2,\) must be rows of one length"),
        ({"A": BOTH}, {"fee": 1.0}, r"fee must be in \[0, 1\), but fee = 1.0"),
        ({"A": BOTH}, {"price": "last"}, "price must be 'mid', 'best' or numbers, not 'last'"),
        ({"A": BOTH}, {"price": 10.5}, r"price of 'A' must be at most the lowest ask 10.0, or efficiency exceeds 1, not 10.5"),
        ({"A": BOTH}, {"side": "sell", "price": 8.5}, r"price of 'A' must be at least the highest bid 9.0, or efficiency"),
        ({"A": [[1e300, 1e300]]}, {"price": "best"}, r"books\['A'\] takes more capital than a number holds"),
        ({"": BOTH}, {}, r"symbols must be text that is not empty, but symbols\[0\] = ''"),
    ],
)  # fmt: skip
def test_what_is_no_book_is_refused(books: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(CurveError, match=message):
        CurveSet.from_order_books(books, **options)


def test_books_that_were_read_need_symbols_and_one_snapshot_each() -> None:
    rows = {"side": ["bid", "ask"] * 2, "price": [9.0, 10.0] * 2, "quantity": [1.0] * 4, "snapshot": [1, 1, 2, 2]}
    with pytest.raises(CurveError, match="books have no symbols: give a mapping of symbol to levels"):
        CurveSet.from_order_books(book(rows))
    with pytest.raises(CurveError, match="books has more than one snapshot of 'A': a curve is of one moment"):
        CurveSet.from_order_books(book({**rows, "symbol": ["A"] * 4}))


# --- pools -------------------------------------------------------------------------------------------------------


def split_over_pools(reserve: Floats, fee: Floats, total: float) -> Floats:
    """Fill pools of constant product: C = (√(R·R·kept/price) − R)/kept where it is positive, R·a/(1 + …)² being equal.

    U′ = kept·R²/(R + kept·C)², so at a price p the pool holds (R·√(kept/p) − R)/kept; p is what spends the total.
    """
    kept = 1.0 - fee
    order = np.argsort(-kept)
    for m in range(len(order), 0, -1):
        chosen = order[:m]
        root = (total + (reserve[chosen] / kept[chosen]).sum()) / (reserve[chosen] / np.sqrt(kept[chosen])).sum()
        amounts = np.zeros(len(order))
        amounts[chosen] = (reserve[chosen] * np.sqrt(kept[chosen]) * root - reserve[chosen]) / kept[chosen]
        if amounts.min() >= 0.0:
            return amounts
    raise AssertionError("the best pool alone can always be filled")


@examples(60)
@given(SEEDS)
def test_one_order_over_pools_is_the_closed_form(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 12))
    reserve, fee = 10.0 ** rng.uniform(3.0, 8.0, n), rng.choice([0.0, 0.0001, 0.0005, 0.003, 0.01], n)
    curves = CurveSet.from_pools(reserve, fee=fee, symbols=[f"P{i}" for i in range(n)])
    total = float(reserve.sum() * 10.0 ** rng.uniform(-5.0, 1.0))
    found = allocate(curves, total)
    best = split_over_pools(reserve, fee, total)
    kept = 1.0 - fee
    returned = math.fsum((reserve * kept * best / (reserve + kept * best)).tolist())
    rounding = 1e-15 * reserve.sum()  # of the closed form, which subtracts reserves
    assert np.allclose(found.amounts, best, rtol=1e-6, atol=1e-9 * total + rounding)
    assert math.isclose(found.utility, returned, rel_tol=1e-12, abs_tol=rounding * n)
    assert found.gap <= 1e-12


def test_a_pool_returns_what_its_reserves_give() -> None:
    """Of 1,000 and 50: 20 in buys 50·19.94/(1000 + 19.94), worth twenty times as much at the pool's own price."""
    curves = CurveSet.from_pools({"P": 1000.0}, fee=0.003)
    assert math.isclose(float(curves.utility(20.0)[0]), 20.0 * 50.0 * 19.94 / 1019.94, rel_tol=1e-14)
    assert math.isclose(float(curves.saturation().ceiling[0]), 1000.0, rel_tol=1e-15)
    dearer = CurveSet.from_pools({"P": 1000.0}, fee=0.003, level=0.5)
    assert np.allclose(dearer.utility([20.0, 500.0]), 0.5 * curves.utility([20.0, 500.0]), rtol=1e-14)


@pytest.mark.parametrize(
    ("reserve", "options", "message"),
    [
        ([1.0], {}, "symbols must be given where reserve_in has none"),
        ({"A": 0.0}, {}, r"reserve_in must be in \(0, inf\), but reserve_in\['A'\] = 0.0"),
        ({"A": 1.0}, {"fee": -0.1}, r"fee must be in \[0, 1\), but fee = -0.1"),
        ({"A": 1.0}, {"level": 1.1}, r"level must be in \(0, 1\], but level = 1.1"),
        ([1.0, 2.0], {"symbols": ["A", "A"]}, "symbols must differ"),
    ],
)  # fmt: skip
def test_what_is_no_pool_is_refused(reserve: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(CurveError, match=message):
        CurveSet.from_pools(reserve, **options)


# --- both --------------------------------------------------------------------------------------------------------


def test_one_order_over_books_and_pools_is_the_best_of_a_fine_search() -> None:
    """Two books and two pools at one price; the search tries every split of a fine grid and refines it."""
    books = {
        "book": [[100.0, 40.0], [100.2, 60.0], [100.9, 500.0]],
        "other": [[100.1, 30.0], [100.4, 80.0], [102.0, 900.0]],
    }
    price = 100.0
    curves = CurveSet.concatenate(
        [
            CurveSet.from_order_books(books, side="buy", fee=0.001, price=price),
            CurveSet.from_pools({"pool": 2e6, "dear": 5e5}, fee=0.003, level={"pool": 1.0, "dear": 0.999}),
        ]
    )

    def returned(i: int, amount: float) -> float:
        if i < 2:
            left, value = amount, 0.0
            for level, size in list(books.values())[i]:
                spent = min(left, level * size)
                value += spent / level * price * 0.999
                left -= spent
            return value
        reserve, level = ((2e6, 1.0), (5e5, 0.999))[i - 2]
        return level * reserve * 0.997 * amount / (reserve + 0.997 * amount)

    for total in (3e3, 2e4, 6e4):
        found = allocate(curves, total)
        assert found.gap <= 1e-12
        amounts, step = np.full(4, total / 4.0), total / 8.0
        while step > 1e-9 * total:  # exchanges between two venues, ever smaller
            moves = [
                (returned(j, amounts[j] + step) + returned(i, amounts[i] - step) - returned(i, amounts[i]) - returned(j, amounts[j]), i, j)
                for i in range(4) for j in range(4) if i != j and amounts[i] >= step
            ]  # fmt: skip
            gain, source, target = max(moves, default=(0.0, 0, 0))
            if gain <= 1e-13 * total:  # less is rounding, and would be moved to and fro for ever
                step *= 0.5
                continue
            amounts[source] -= step
            amounts[target] += step
        best = sum(returned(i, float(amounts[i])) for i in range(4))
        assert found.utility >= best - 1e-9 * total
        assert math.isclose(found.utility, best, rel_tol=1e-7)
        assert math.isclose(
            found.utility, sum(returned(i, float(a)) for i, a in enumerate(found.amounts)), rel_tol=1e-12
        )
