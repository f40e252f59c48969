"""Designs: the points of scipy and of Random123 to the bit, any slice anywhere, and messages that name the column."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import qmc

from escala import Design, DesignError, InputError, LendingStrategy, simulate
from escala.design.points import HaltonPoints, LatinPoints, Points, SobolPoints
from escala.design.ranges import Choices, Uniform, Whole
from escala.kernels import philox, sequences
from tests.naive import design as naive
from tests.properties import examples

SEQUENCES = ("sobol", "halton")
DRAWN = ("random", "latin_hypercube", *SEQUENCES)
SEEDS = st.one_of(st.integers(0, 5), st.integers(0, 2**64 - 1))


def unit(d: int) -> dict[str, Any]:
    return {f"x{k}": (0.0, 1.0) for k in range(d)}


def matrix(design: Design, start: int = 0, stop: int | None = None) -> np.ndarray:
    return np.stack(list(design.rows(start, stop).values()), axis=1)


def make(kind: str, ranges: dict[str, Any], n: int, seed: int = 0, **more: Any) -> Design:
    return getattr(Design, kind)(ranges, n, seed, **more)  # type: ignore[no-any-return]


def column(points: Points, dimension: int, start: int, stop: int) -> np.ndarray:
    out = np.empty(stop - start)
    points.fill(dimension, out, start, stop)
    return out


# Philox


@pytest.mark.nojit
@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_known_answers_of_random123(counter: str, key: str, answer: str) -> None:
    c, k, expected = ([int(word, 16) for word in text.split()] for text in (counter, key, answer))
    out = np.empty(4, dtype=np.int64)
    philox.words(k[0], k[1], c[1], c[2], c[3], out, c[0], c[0] + 1)
    assert out.tolist() == expected
    assert list(philox.block(*c, *k)) == expected
    assert list(naive.philox(c, k)) == expected


WORDS = st.integers(0, 2**32 - 1)


@given(st.lists(WORDS, min_size=6, max_size=6), st.integers(1, 40))
def test_philox_equals_its_twin_and_wraps(words: list[int], count: int) -> None:
    first, c1, c2, c3, k0, k1 = words
    out = np.empty(4 * count, dtype=np.int64)
    philox.words(k0, k1, c1, c2, c3, out, first, first + count)
    expected = [naive.philox(((first + i) % 2**32, c1, c2, c3), (k0, k1)) for i in range(count)]
    assert out.reshape(-1, 4).tolist() == [list(block) for block in expected]


@given(SEEDS, WORDS, st.integers(0, 100))
def test_uniforms_equal_their_twin(seed: int, row: int, dimension: int) -> None:
    stop = min(row + 9, 2**32)
    out = np.empty(stop - row)
    philox.uniforms(seed % 2**32, seed // 2**32, dimension, 3, 4, out, row, stop)
    assert out.tolist() == [naive.uniform(seed, i, dimension, 3, 4) for i in range(row, stop)]


def test_uniforms_lie_inside_and_are_even() -> None:
    top = 2**32 - 1
    assert philox.uniform(0, 0) == 2.0**-53
    assert philox.uniform(top, top) == 1.0 - 2.0**-53
    assert philox.uniform(2**31, 0) + philox.uniform(2**31 - 1, top) == 1.0
    u = matrix(Design.random(unit(3), 300_000, 11, free=True))
    for k in range(3):
        assert stats.kstest(u[:, k], "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(u.T) - np.eye(3)).max() < 4 / np.sqrt(len(u))
    assert np.abs(np.corrcoef(u[1:, 0], u[:-1, 0])[0, 1]) < 4 / np.sqrt(len(u))


def test_random_rows_are_philox_of_row_and_dimension() -> None:
    design = Design.random({"a": (0, 1), "fixed": 3.0, "b": (0, 1)}, 2**32, 2**63 + 5, free=True)
    rows = design[2**32 - 3 :]
    for dimension, name in enumerate(("a", "b")):
        expected = [naive.uniform(2**63 + 5, i, dimension, 0) for i in range(2**32 - 3, 2**32)]
        assert rows[name].tolist() == expected
    assert rows["fixed"].tolist() == [3.0] * 3


# any slice, anywhere


@st.composite
def slices(draw: st.DrawFn) -> tuple[Design, int, int]:
    kind = draw(st.sampled_from(DRAWN))
    n = 2 ** draw(st.integers(0, 14)) if kind == "sobol" else draw(st.integers(1, 20_000))
    ranges = unit(draw(st.integers(1, 7)))
    ranges |= draw(st.sampled_from(({}, {"c": [1, 2, 5]}, {"r": ("x0", 0.1, 0.2)}, {"k": 4.0})))
    more = {"scramble": draw(st.booleans())} if kind in SEQUENCES else {}
    design = make(kind, ranges, n, draw(SEEDS), free=True, **more)
    start = draw(st.integers(0, n))
    return design, start, draw(st.integers(start, n))


@examples(60)
@given(slices(), st.integers(1, 5))
def test_any_slice_is_that_of_the_whole(drawn: tuple[Design, int, int], threads: int) -> None:
    design, start, stop = drawn
    whole = design.rows()
    part = design.rows(start, stop, threads=threads)
    assert list(part) == list(design.names)
    for name in design.names:
        assert part[name].dtype == np.float64
        assert part[name].tolist() == whole[name][start:stop].tolist()


def test_threads_and_memory_given_change_nothing() -> None:
    ranges = {"supply": (1e3, 2e3), "borrow": ("supply", 0.4, 0.7), "fee_rate": stats.beta(2, 50), "target": [1e4, 2e4]}
    design = Design.sobol(ranges, 2**17, 3)
    alone = design.rows()
    out = np.empty((4, 2**17 + 3))
    together = design.rows(threads=3, out=out)
    for k, name in enumerate(design.names):
        assert np.array_equal(alone[name], together[name])
        assert np.shares_memory(together[name], out[k])


def test_slices_as_python_has_them() -> None:
    design = Design.random(unit(1), 10, 1, free=True)
    whole = design.rows()["x0"].tolist()
    assert design[2:5]["x0"].tolist() == whole[2:5]
    assert design[:]["x0"].tolist() == whole
    assert design[-3:]["x0"].tolist() == whole[-3:]
    assert design[8:99]["x0"].tolist() == whole[8:]
    assert design[7:2]["x0"].size == 0
    for wrong in (3, slice(None, None, 2)):
        with pytest.raises(DesignError, match=r"a design is sliced as design\[start:stop\]"):
            design[wrong]  # type: ignore[index]


# Sobol


@pytest.mark.parametrize("scramble", [True, False])
@pytest.mark.parametrize(("d", "m"), [(1, 0), (1, 1), (2, 5), (6, 12), (40, 9), (300, 3)])
def test_sobol_equals_scipy(d: int, m: int, scramble: bool) -> None:
    design = Design.sobol(unit(d), 2**m, 5, scramble=scramble, free=True)
    assert np.array_equal(matrix(design), qmc.Sobol(d, scramble=scramble, rng=5).random(2**m))


def test_sobol_far_out_equals_scipy() -> None:
    start = 2**26 + 1234567
    engine = qmc.Sobol(2, scramble=True, rng=9)
    engine.fast_forward(start)
    design = Design.sobol(unit(2), 2**30, 9, free=True)
    assert np.array_equal(matrix(design, start, start + 1000), engine.random(1000))


@pytest.mark.nojit
def test_sobol_equals_its_twin() -> None:
    points = SobolPoints.like_scipy(2**30, 3, 1, scramble=True)
    for start in (0, 255, 2**30 - 700):
        for k in range(3):
            expected = [naive.sobol(points.directions[k].tolist(), int(points.shift[k]), start + i) for i in range(700)]
            assert column(points, k, start, start + 700).tolist() == expected


class Undocumented:
    """A Sobol engine of which only what scipy documents can be used."""

    kind = qmc.Sobol

    def __init__(self, d: int, *, scramble: bool, rng: int) -> None:
        self._engine = self.kind(d, scramble=scramble, rng=rng)
        self.random = self._engine.random
        self.reset = self._engine.reset
        self.fast_forward = self._engine.fast_forward


@pytest.mark.parametrize("n", [1, 2, 512, 2**13])
def test_sobol_needs_nothing_undocumented(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = Design.sobol(unit(4), n, 8, free=True)
    monkeypatch.setattr(qmc, "Sobol", Undocumented)
    slow = Design.sobol(unit(4), n, 8, free=True)
    assert np.array_equal(matrix(quick), matrix(slow))
    assert quick.digest == slow.digest


@pytest.mark.parametrize("kind", SEQUENCES)
def test_another_scipy_is_noticed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(Undocumented):
        kind = qmc.Halton

        def __init__(self, d: int, *, scramble: bool, rng: int) -> None:
            super().__init__(d, scramble=scramble, rng=rng + 1)

    monkeypatch.setattr(qmc, kind.capitalize(), Other)
    with pytest.raises(DesignError, match=rf"scipy [\d.]+ makes other {kind.capitalize()} points than escala knows of"):
        make(kind, unit(2), 64, 8, free=True)


@pytest.mark.parametrize("n", [3, 100, 2**20 - 1])
def test_sobol_takes_powers_of_two(n: int) -> None:
    below = 2 ** (n.bit_length() - 1)
    with pytest.raises(DesignError) as caught:
        Design.sobol(unit(1), n, free=True)
    assert str(caught.value) == f"n must be a power of two for sobol, not {n}; the nearest are {below} and {2 * below}"


# Halton


@pytest.mark.parametrize("scramble", [True, False])
@pytest.mark.parametrize(("d", "n"), [(1, 1), (2, 100), (6, 20_000), (60, 3000)])
def test_halton_equals_scipy(d: int, n: int, scramble: bool) -> None:
    design = Design.halton(unit(d), n, 5, scramble=scramble, free=True)
    assert np.array_equal(matrix(design), qmc.Halton(d, scramble=scramble, rng=5).random(n))


@pytest.mark.parametrize("scramble", [True, False])
@pytest.mark.parametrize("start", [10**6, 2**40 + 12345, 2**53 - 500])
def test_halton_far_out_equals_scipy(start: int, scramble: bool) -> None:
    engine = qmc.Halton(7, scramble=scramble, rng=2**60)
    engine.num_generated = start
    design = Design.halton(unit(7), 2**53, 2**60, scramble=scramble, free=True)
    assert np.array_equal(matrix(design, start, start + 500), engine.random(500))


@pytest.mark.nojit
def test_halton_equals_its_twin() -> None:
    generator = np.random.default_rng(4).spawn(1)[0]
    points = HaltonPoints.like_scipy(10**9, 4, 4, scramble=True)
    for k, base in enumerate((2, 3, 5, 7)):
        digits = naive.permutations_of_digits(base, generator)
        for start in (0, 4000, 10**9 - 150):
            expected = [naive.halton(base, digits, start + i) for i in range(150)]
            assert column(points, k, start, start + 150).tolist() == expected


# Latin hypercube


@examples(40)
@given(st.one_of(st.integers(1, 200), st.integers(4000, 9000), st.sampled_from((4096, 4097, 8192, 8193))), SEEDS)
def test_every_stratum_is_hit_once(n: int, seed: int) -> None:
    x = matrix(Design.latin_hypercube(unit(3), n, seed, free=True))
    for k in range(3):
        assert sorted(int(Fraction(u) * n) for u in x[:, k].tolist()) == list(range(n))  # exactly
        assert np.array_equal(np.sort(np.floor(x[:, k] * n)), np.arange(n))  # and as doubles
    assert 0.0 < x.min()
    assert x.max() < 1.0


def test_a_large_latin_hypercube_hits_every_stratum_once() -> None:
    n = 3_000_017
    x = Design.latin_hypercube(unit(1), n, 1, free=True).rows()["x0"]
    assert np.array_equal(np.bincount((x * n).astype(np.int64), minlength=n), np.ones(n))


@pytest.mark.nojit
@pytest.mark.parametrize("n", [1, 2, 37, 4096, 4097, 10**6 + 3, 2**32 - 5, 2**32])
def test_latin_hypercube_equals_its_twin(n: int) -> None:
    seed = 2**40 + 17
    starts = {0, max(0, n // 2 - 3), max(0, n - 5)}
    design = Design.latin_hypercube(unit(2), n, seed, free=True)
    for start in starts:
        rows = matrix(design, start, min(start + 5, n))
        for i, row in enumerate(rows.tolist(), start):
            assert row == [naive.latin(seed, n, i, k) for k in range(2)]
            for u in row:
                inside = Fraction(u) * n % 1
                assert 0 < inside < 1


def test_small_permutations_are_all_alike() -> None:
    trials = 6000
    orders = [tuple(np.argsort(column(LatinPoints.of(4, 1, seed), 0, 0, 4))) for seed in range(trials)]
    counts = list({order: orders.count(order) for order in set(orders)}.values())
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-3


def test_keyed_permutations_are_even() -> None:
    """Where a permutation sends 0 and 1, and how far apart, over many keys."""
    n, trials = 5000, 20_000
    keys = np.random.default_rng(1).integers(0, 2**32, (trials, sequences.ROUNDS))
    out = np.empty((trials, 2))
    for key, row in zip(keys, out, strict=True):
        sequences.strata(key, n, row, 0, 2)
    for values in (out[:, 0], out[:, 1], (out[:, 1] - out[:, 0]) % n):
        counts = np.bincount((values * 50 / n).astype(int), minlength=50)
        assert stats.chisquare(counts).pvalue > 1e-3


def test_designs_fill_space_better_than_chance() -> None:
    spread = {kind: qmc.discrepancy(matrix(make(kind, unit(4), 1024, 3, free=True))) for kind in DRAWN}
    assert spread["sobol"] < spread["random"] / 10
    assert spread["halton"] < spread["random"] / 10
    assert spread["latin_hypercube"] < spread["random"] / 1.5


# what coordinates mean


def test_ranges_equal_scipys_scale() -> None:
    rng = np.random.default_rng(7)
    low = rng.normal(0, 10.0 ** rng.uniform(-5, 5, 30))
    high = low + 10.0 ** rng.uniform(-5, 5, 30)
    ranges = {f"x{k}": (low[k], high[k]) for k in range(30)}
    expected = qmc.scale(qmc.Sobol(30, rng=2).random(2048), low, high)
    assert np.array_equal(matrix(Design.sobol(ranges, 2048, 2, free=True)), np.minimum(expected, high))


@given(st.floats(-1e6, 1e6), st.floats(0.0, 1e6, exclude_min=True), st.floats(0.0, 1.0))
def test_no_value_lies_beyond_its_range(low: float, width: float, u: float) -> None:
    high = low + width
    values = np.array([u, 0.0, 1.0 - 2.0**-53, 1.0])
    Uniform(low, high).fill(values)
    assert values.min() >= low
    assert values.max() <= high


def test_rounding_would_leave_the_range() -> None:
    low, high = -0.7, 0.9  # high − low is rounded up
    largest = np.array([1.0])
    assert largest[0] * (high - low) + low > high
    Uniform(low, high).fill(largest)
    assert largest[0] == high


def test_integers_and_choices_are_even() -> None:
    n = 2**14
    ranges = {"max_operations": (3, 9), "fee_rate": [0.0, 0.001, 0.0025], "stalling_after": (0, 1)}
    rows = Design.sobol(ranges, n, 1).rows()
    for name, values in (
        ("max_operations", range(3, 10)),
        ("fee_rate", ranges["fee_rate"]),
        ("stalling_after", (0, 1)),
    ):
        found, counts = np.unique(rows[name], return_counts=True)
        assert found.tolist() == list(values)
        assert np.abs(counts - n / len(counts)).max() <= 2
    ends = np.array([0.0, 1.0])
    Whole(3, 9).fill(ends)
    assert ends.tolist() == [3.0, 9.0]
    ends = np.array([0.0, 1.0])
    Choices((5.0, 6.0)).fill(ends)
    assert ends.tolist() == [5.0, 6.0]


@pytest.mark.parametrize(
    "distribution",
    [stats.lognorm(0.5, scale=1000), stats.beta(a=2, b=5), stats.norm(-3, 2), stats.expon(), stats.poisson(4, loc=1)],
)
def test_distributions_are_scipys_quantiles(distribution: Any) -> None:
    u = matrix(Design.random(unit(1), 20_000, 5, free=True))[:, 0]
    design = Design.random({"x": distribution}, 20_000, 5, free=True)
    assert np.array_equal(design.rows()["x"], distribution.ppf(u))
    assert Design.from_dict(json.loads(json.dumps(design.to_dict()))) == design


def test_the_first_point_of_a_sequence_has_a_finite_quantile() -> None:
    for kind in SEQUENCES:
        first = make(kind, {"x": stats.norm()}, 1, scramble=False, free=True).rows()["x"]
        assert first.tolist() == [stats.norm().ppf(2.0**-31)]


def test_multiples_of_other_columns() -> None:
    ranges = {
        "borrow": ("supply", 0.4, 0.7),  # before the column it needs
        "target": Design.relative("supply", [1.5, 2.0]),
        "supply": (1e3, 1e4),
        "wallet": ("borrow", 0.5),
        "far_gap": (0.3, 0.9),
        "near_gap": ("far_gap", stats.beta(2, 2)),
    }
    design = Design.latin_hypercube(ranges, 5000, 4)
    u = matrix(Design.latin_hypercube(unit(5), 5000, 4, free=True))
    rows = design.rows()
    assert design.names == tuple(ranges)
    supply = u[:, 2] * (1e4 - 1e3) + 1e3
    assert np.array_equal(rows["supply"], supply)
    assert np.array_equal(rows["borrow"], (u[:, 0] * (0.7 - 0.4) + 0.4) * supply)
    assert np.array_equal(rows["target"], np.where(u[:, 1] < 0.5, 1.5, 2.0) * supply)
    assert np.array_equal(rows["wallet"], 0.5 * rows["borrow"])
    assert np.array_equal(rows["near_gap"], stats.beta(2, 2).ppf(u[:, 4]) * rows["far_gap"])


def test_rows_run() -> None:
    ranges = {"supply": (1e3, 1e4), "borrow": ("supply", 0.4, 0.7), "target": ("supply", 1.1, 2), "wallet": [0, 50.0]}
    rows = Design.halton({**ranges, "repay": stats.truncnorm(-2, 2, 0.1, 0.02), "max_operations": (5, 50)}, 500).rows()
    strategy = LendingStrategy(repay=rows["repay"], max_operations=rows["max_operations"])
    result = simulate(rows["supply"], rows["borrow"], rows["target"], rows["wallet"], strategy=strategy)
    assert result.shape == (500,)


_RANGE = st.tuples(st.floats(-100, 100), st.floats(0.1, 100)).map(lambda t: (t[0], t[0] + t[1]))
_COLUMN = st.one_of(_RANGE, st.lists(st.floats(-10, 10), min_size=1, max_size=5), st.floats(-10, 10))


@examples(40)
@given(st.dictionaries(st.sampled_from("abcdef"), _COLUMN, min_size=1), SEEDS)
def test_mixed_columns_equal_their_twin(ranges: dict[str, Any], seed: int) -> None:
    rows = Design.random(ranges, 20, seed, free=True).rows()
    dimension = 0
    for name, given_range in ranges.items():
        drawn = isinstance(given_range, tuple | list)
        coordinates = [naive.uniform(seed, i, dimension, 0) if drawn else 0.0 for i in range(20)]
        assert rows[name].tolist() == [naive.mapped(u, given_range) for u in coordinates]
        dimension += drawn


# grids


@examples(40)
@given(st.lists(st.lists(st.floats(-10, 10), min_size=1, max_size=6), min_size=1, max_size=5), st.data())
def test_grids_are_products(values: list[list[float]], data: st.DataObject) -> None:
    columns = {f"x{k}": choices for k, choices in enumerate(values)}
    design = Design.grid(columns, free=True)
    expected = naive.grid(columns)
    assert len(design) == len(expected["x0"])
    start = data.draw(st.integers(0, len(design)))
    stop = data.draw(st.integers(start, len(design)))
    assert {name: x.tolist() for name, x in design.rows(start, stop).items()} == {
        name: x[start:stop] for name, x in expected.items()
    }


def test_grid_of_steps_constants_and_multiples() -> None:
    design = Design.grid(
        {
            "supply": (1e3, 2e3, 5),
            "borrow": ("supply", 0.4, 0.6, 3),
            "target": ("supply", 2.0),
            "max_operations": (10, 30, 3),
        }
    )
    assert len(design) == 45
    rows = design.rows()
    supply = np.repeat(np.linspace(1e3, 2e3, 5), 9)
    assert np.array_equal(rows["supply"], supply)
    assert np.array_equal(rows["borrow"], np.tile(np.repeat(np.linspace(0.4, 0.6, 3), 3), 5) * supply)
    assert np.array_equal(rows["target"], 2.0 * supply)
    assert np.array_equal(rows["max_operations"], np.tile([10.0, 20.0, 30.0], 15))
    assert Design.from_dict(design.to_dict()) == design


def test_a_grid_may_be_larger_than_memory() -> None:
    design = Design.grid({f"x{k}": (0, 1, 1000) for k in range(5)}, free=True)
    assert len(design) == 10**15
    last = design.rows(10**15 - 1001)
    assert last["x4"].tolist() == [1.0, *np.linspace(0, 1, 1000).tolist()]
    assert last["x3"].tolist() == [float(np.linspace(0, 1, 1000)[-2])] + [1.0] * 1000
    with pytest.raises(
        DesignError, match=r"ranges must make at most 2\^53 combinations, not 1,000,000,000,000,000,000$"
    ):
        Design.grid({f"x{k}": (0, 1, 1000) for k in range(6)}, free=True)


# what a design is known by

RANGES: dict[str, Any] = {
    "supply": stats.lognorm(0.5, scale=1e4),
    "borrow": ("supply", 0.4, 0.7),
    "target": ("supply", 1.5),
    "wallet": (0, 500),
    "fee_rate": [0.001, 0.0025],
    "max_operations": (100, 1000),
    "near_gap": 0.1,
}


def various() -> list[Design]:
    grid = Design.grid({"supply": (1e3, 2e3, 3), "borrow": ("supply", [0.4, 0.5]), "fee_rate": 0.001})
    return [grid, *(make(kind, RANGES, 4096, 7) for kind in DRAWN)]


def another_process(code: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **env}, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_digests_are_the_same_everywhere(tmp_path: Path) -> None:
    designs = various()
    path = tmp_path / "designs.json"
    path.write_text(json.dumps([design.to_dict() for design in designs], sort_keys=True))
    code = (
        "import json, pathlib, escala\n"
        f"for data in json.loads(pathlib.Path({str(path)!r}).read_text()): print(escala.Design.from_dict(data).digest)"
    )
    for hash_seed in ("1", "2"):
        assert another_process(code, PYTHONHASHSEED=hash_seed).split() == [design.digest for design in designs]


def test_digests_do_not_change_by_accident() -> None:
    """Sweeps on disk are known by these; a change of rows must change _VERSION, and with it these."""
    assert Design.random({"supply": (1e3, 2e3)}, 10, 1).digest == RANDOM_DIGEST
    assert Design.grid({"supply": (1e3, 2e3, 3)}).digest == GRID_DIGEST


RANDOM_DIGEST = "9784426b1a3f948654d57a148f9a1ad790ad245fbac17c3489a3f23e73c1cecd"
GRID_DIGEST = "66413235d53d9b2cc9194b33b6e26fc270d32c4869affdb3bb4099f5420ce51a"


def test_digests_tell_designs_apart() -> None:
    base: dict[str, Any] = {"supply": (1e3, 2e3), "borrow": ("supply", 0.4, 0.7)}
    designs = [make(kind, base, 64, 1) for kind in DRAWN]
    designs += [make(kind, base, 64, 1, scramble=False) for kind in SEQUENCES]
    designs += [Design.random(base, 64, 2), Design.random(base, 65, 1), Design.random(base, 64, 1, free=True)]
    for change in ({"supply": (1e3, 2001)}, {"borrow": ("supply", 0.4, 0.6)}, {"borrow": (1.0, 2.0)}, {"wallet": 1.0}):
        designs.append(Design.random({**base, **change}, 64, 1))
    designs.append(Design.random(dict(reversed(base.items())), 64, 1))  # other coordinates for each column
    assert len({design.digest for design in designs}) == len(designs)
    assert len(set(designs)) == len(designs)
    assert designs[0] == make("random", {"supply": {"low": 1000, "high": 2000}, "borrow": base["borrow"]}, 64, 1)
    assert designs[0] != "design"


def test_ways_to_write_the_same_design() -> None:
    plain = Design.random({"x": stats.lognorm(0.5, 0.0, 2.0)}, 8, free=True)
    same = Design.random({"x": {"distribution": "lognorm", "scale": 2, "s": np.float64(0.5)}}, 8, free=True)
    assert plain == same
    assert Design.random({"x": np.array([1, 2])}, 8, free=True) == Design.random({"x": [1.0, 2.0]}, 8, free=True)
    assert Design.random({"x": range(3)}, 8, free=True) == Design.random({"x": {"choices": [0, 1, 2]}}, 8, free=True)
    assert Design.random({"x": np.int8(3)}, 8, free=True) == Design.random({"x": {"constant": 3}}, 8, free=True)


def test_pickled_designs_make_the_same_rows_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "designs.pickle"
    for design in various():
        copy = pickle.loads(pickle.dumps(design))
        assert copy == design
        assert {k: v.tolist() for k, v in copy.rows(3, 5).items()} == {k: v.tolist() for k, v in design[3:5].items()}
    simple = [make(kind, unit(3), 2**12, 1, free=True) for kind in DRAWN]
    path.write_bytes(pickle.dumps(simple))
    code = (
        "import pickle, pathlib, sys\n"
        f"designs = pickle.loads(pathlib.Path({str(path)!r}).read_bytes())\n"
        "print([[d.digest, [x.tolist() for x in d.rows(1000, 1003).values()]] for d in designs])\n"
        "print('scipy.stats' in sys.modules)"
    )
    expected = [[d.digest, [x.tolist() for x in d.rows(1000, 1003).values()]] for d in simple]
    assert another_process(code) == f"{expected}\nFalse\n"


def test_only_sequences_and_distributions_load_scipy() -> None:
    code = (
        "import sys, escala\n"
        "escala.Design.random({'supply': (1e3, 2e3)}, 10).rows(); escala.Design.grid({'supply': [1.0]}).rows()\n"
        "escala.Design.latin_hypercube({'supply': (1e3, 2e3)}, 10).digest; print('scipy.stats' in sys.modules)"
    )
    assert another_process(code) == "False\n"


def test_repr() -> None:
    assert repr(make("sobol", RANGES, 4096, 7)) == (
        "<Design sobol of 4,096 rows, seed 7: supply, borrow, target, wallet, fee_rate, max_operations, near_gap>"
    )
    assert repr(make("halton", unit(1), 3, free=True, scramble=False)) == (
        "<Design halton of 3 rows, seed 0, not scrambled: x0>"
    )
    assert repr(Design.grid({"supply": [1.0, 2.0]})) == "<Design grid of 2 rows: supply>"


# files

TOML = """
title = "what a sweep needs beside its design is not read here"

[design]
kind = "sobol"
n = 4096
seed = 7

[design.ranges]
supply = { distribution = "lognorm", s = 0.5, scale = 10_000 }
borrow = { of = "supply", low = 0.4, high = 0.7 }
target = { of = "supply", factor = 1.5 }
wallet = { low = 0, high = 500 }
fee_rate = [0.001, 0.0025]
max_operations = { low = 100, high = 1000 }
near_gap = 0.1
"""


def test_designs_of_files(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(TOML.replace("[0.001, 0.0025]", "{ choices = [0.001, 0.0025] }"))
    assert Design.from_toml(path) == make("sobol", RANGES, 4096, 7)
    path.write_text(TOML)
    assert Design.from_toml(str(path)) == make("sobol", RANGES, 4096, 7)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "sobol"', "kind = 1", "design: kind must be one of grid, random, latin_hypercube, sobol, halton, not 1"),
        ("seed = 7", "sead = 7", "design: sead is no key of a sobol design; did you mean 'seed'?"),
        ("n = 4096", "", "design: n is missing"),
        ("n = 4096", "n = 4095", "design: n must be a power of two for sobol, not 4095; the nearest are 2048 and 4096"),
        ("n = 4096", "n = 1e3", "design: n must be an integer in [1, 1073741824] for sobol, not 1000.0"),
        ("seed = 7", "scramble = 1", "design: scramble must be true or false, not 1"),
        ("seed = 7", "seed = -1", "design: seed must be an integer in [0, 2^64), not -1"),
        ("seed = 7", 'free = "no"', "design: free must be true or false, not 'no'"),
        ("seed = 7", 'columns = ["supply"]', "design: columns must list the names of ranges, not ['supply']"),
        ("wallet", "walet", "design.ranges: walet is no argument of simulate and no field of LendingStrategy; did you mean 'wallet'?"),
        ("near_gap = 0.1", 'near_gap = "0.1"', "design.ranges: near_gap must be (low, high), a list of choices, a number or a distribution, not '0.1'"),
        ("lognorm", "lognormal", "design.ranges: supply needs the name of a distribution of scipy.stats, not 'lognormal'"),
        ("s = 0.5", "s = -0.5", "design.ranges: supply has parameters that lognorm does not allow: s = -0.5, loc = 0.0, scale = 10000.0"),
        ("s = 0.5, ", "", "design.ranges: supply lacks parameter 's' of lognorm"),
        ("[design]", "[designs]", "design: kind must be one of grid, random, latin_hypercube, sobol, halton, not None"),
        ("n = 4096", "n = 4096 4", "not a TOML file: Expected newline or end of document after a statement (at line 6, column 10)"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_with_file_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "sweep.toml"
    assert old in TOML
    path.write_text(TOML.replace(old, new, 1))
    with pytest.raises(DesignError) as caught:
        Design.from_toml(path)
    assert str(caught.value) == f"{path}: {message}"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Design.from_toml(tmp_path / "none.toml")
    (tmp_path / "other.toml").write_text("design = 3")
    with pytest.raises(DesignError, match=r"other\.toml: there is no table \[design\]$"):
        Design.from_toml(tmp_path / "other.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DesignError, match=r"binary\.toml: not a TOML file"):
        Design.from_toml(tmp_path / "binary.toml")
    for name, text, problem in [
        ("long.toml", "n = 1" + "0" * 5000, "Exceeds the limit"),
        ("deep.toml", "n = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
    ]:
        (tmp_path / name).write_text(text)
        with pytest.raises(DesignError, match=rf"{name}: not a TOML file: .*{problem}"):
            Design.from_toml(tmp_path / name)


def test_a_column_that_is_named_like_a_number_is_not_that_number() -> None:
    data = {"kind": "random", "n": 4, "free": True, "ranges": {"1": (0, 1)}}
    with pytest.raises(DesignError, match=r"columns must list the names of ranges, not \[1\]"):
        Design.from_dict({**data, "columns": [1]})


# bad input


def random(ranges: Any, n: Any = 8, **more: Any) -> Callable[[], Design]:
    return lambda: Design.random(ranges, n, **more)


def grid(ranges: Any, **more: Any) -> Callable[[], Design]:
    return lambda: Design.grid(ranges, **more)


@pytest.mark.parametrize(
    ("call", "arguments", "message"),
    [
        (random({}), "ranges", "ranges must be a mapping of column names to what they hold, not {}"),
        (random([("supply", (1, 2))]), "ranges", "ranges must be a mapping of column names to what they hold, not [('supply', (1, 2))]"),
        (random({3: (1, 2)}), "ranges", "ranges must be named by text, not 3"),
        (random({"suply": (1, 2)}), "suply", "suply is no argument of simulate and no field of LendingStrategy; did you mean 'supply'?"),
        (random({"zzz": (1, 2)}), "zzz", "zzz is no argument of simulate and no field of LendingStrategy, and the design is not free"),
        (random({"supply": (2, 1)}), "supply", "supply must have low < high, but low = 2.0 and high = 1.0"),
        (random({"supply": (1, 1)}), "supply", "supply must have low < high, but low = 1.0 and high = 1.0"),
        (random({"supply": (1, float("nan"))}), "supply", "supply must be made of finite numbers, but its high is nan"),
        (random({"supply": (1, None)}), "supply", "supply must be made of finite numbers, but its high is None"),
        (random({"supply": (-1, 2)}), "supply", "supply must be in [1e-100, 1e+100], but its values go from -1.0 to 2.0"),
        (random({"supply": 0}), "supply", "supply must be in [1e-100, 1e+100], but its values go from 0.0 to 0.0"),
        (random({"supply": [1, -2, 3]}), "supply", "supply must be in [1e-100, 1e+100], but supply[1] = -2.0"),
        (random({"supply": []}), "supply", "supply needs a list of at least one choice, not one of shape (0,)"),
        (random({"supply": [[1, 2]]}), "supply", "supply needs a list of at least one choice, not one of shape (1, 2)"),
        (random({"supply": {"choices": "12"}}), "supply", "supply needs a list of choices, not '12'"),
        (random({"supply": True}), "supply", "supply must be (low, high), a list of choices, a number or a distribution, not True"),
        (random({"supply": None}), "supply", "supply must be (low, high), a list of choices, a number or a distribution, not None"),
        (random({"supply": (1, 2, 3)}), "supply", "supply has a count, which only a grid takes: use (low, high), or a list of choices"),
        (random({"supply": (1, 2, 3, 4)}), "supply", "supply must be (low, high), or a list if these are choices, not (1, 2, 3, 4)"),
        (random({"supply": {"low": 1}}), "supply", "supply has keys that do not go together: low; it takes low and high (and count in a grid), choices, constant, or distribution, with of for a multiple"),
        (random({"x": (-1.7e308, 1.7e308)}, free=True), "x", "x must be narrower than the largest double, but low = -1.7e+308 and high = 1.7e+308"),
        (random({"max_operations": (1.5, 3)}), "max_operations", "max_operations must be an integer in [1, 2147483647], but its values go from 1.5 to 3.0"),
        (random({"max_operations": [2, 2.5]}), "max_operations", "max_operations must be an integer in [1, 2147483647], but max_operations[1] = 2.5"),
        (random({"max_operations": stats.expon(1)}), "max_operations", "max_operations takes integers, and expon is continuous"),
        (random({"max_operations": ("supply", 2)}), "max_operations", "max_operations takes integers, so it cannot be a multiple of supply"),
        (random({"repay": stats.uniform(0.5, 1)}), "repay", "repay must be in [0, 1], but its values go from 0.5000000000000001 to 1.5; a truncated distribution stays inside"),
        (random({"repay": {"distribution": "norm", "sd": 1}}), "repay", "repay has no parameter 'sd': norm takes loc, scale"),
        (random({"repay": {"distribution": "describe"}}), "repay", "repay needs the name of a distribution of scipy.stats, not 'describe'"),
        (random({"repay": stats.rv_histogram(np.histogram([0.1, 0.2])).freeze()}), "repay", "repay needs the name of a distribution of scipy.stats, not 'Distribution'"),
        (random({"borrow": ("supply", 0.4, 0.7)}), "borrow", "borrow is a multiple of supply, which is no column; there are borrow"),
        (random({"borrow": ("supplies", 0.4, 0.7), "supply": 1}), "borrow", "borrow is a multiple of supplies, which is no column; did you mean 'supply'?"),
        (random({"supply": ("borrow", 2.0), "borrow": ("supply", 0.5)}), "supply", "supply depends on itself: supply of borrow of supply"),
        (random({"target": ("supply", 2.0), "supply": ("supply", 1.0)}), "supply", "supply depends on itself: supply of supply"),
        (random({"supply": (1, 2), "borrow": ("supply", -1, 1)}), "borrow", "borrow must be 0 or in [1e-100, 1e+100], but its values go from -2.0 to 2.0"),
        (random({"supply": (1, 2), "borrow": {"of": 3, "low": 1, "high": 2}}), "borrow", "borrow must name another column in 'of', not 3"),
        (random({"target_ltv": (0.5, 0.8)}), "target_ltv ltv_ceiling", "target_ltv must not exceed ltv_ceiling in any row, but target_ltv goes up to 0.8 and ltv_ceiling down to 0.73; target_ltv may be a multiple of ltv_ceiling"),
        (random({"far_gap": (0.1, 1), "near_gap": ("far_gap", 0.5, 1.5)}), "near_gap far_gap", "near_gap must not exceed far_gap in any row, but near_gap goes up to 1.5 and far_gap down to 0.1; near_gap may be a multiple of far_gap"),
        (random({"supply": (1, 2)}, 0), "n", "n must be an integer in [1, 4294967296] for random, not 0"),
        (random({"supply": (1, 2)}, 8.0), "n", "n must be an integer in [1, 4294967296] for random, not 8.0"),
        (random({"supply": (1, 2)}, True), "n", "n must be an integer in [1, 4294967296] for random, not True"),
        (random({"supply": (1, 2)}, 8, seed=None), "seed", "seed must be an integer in [0, 2^64), not None"),
        (random({"supply": (1, 2)}, 8, seed=2**64), "seed", f"seed must be an integer in [0, 2^64), not {2**64}"),
        (random({"supply": (1, 2)}, 8, free=1), "free", "free must be true or false, not 1"),
        (grid({"supply": (1, 2)}), "supply", "supply is a column of a grid, which needs (low, high, count) or a list of values"),
        (grid({"supply": stats.expon(1)}), "supply", "supply is a column of a grid, which takes no distribution: expon"),
        (grid({"supply": (1, 2, 1)}), "supply", "supply needs a count that is an integer in [2, 10000000], not 1"),
        (grid({"supply": (1, 2, 2.5)}), "supply", "supply needs a count that is an integer in [2, 10000000], not 2.5"),
        (grid({"supply": (1, 2, 10**13)}), "supply", "supply needs a count that is an integer in [2, 10000000], not 10000000000000"),
        (random({"supply": 10**309}), "supply", f"supply must be made of finite numbers, but its value is 1{'0' * 309}"),
        (grid({"max_operations": (1, 4, 3)}), "max_operations", "max_operations must be an integer in [1, 2147483647], but max_operations[1] = 2.5"),
        (lambda: Design.sobol({"supply": (1, 2)}, 8, scramble=None), "scramble", "scramble must be true or false, not None"),  # type: ignore[arg-type]
        (lambda: Design.sobol(unit(21202), 2, free=True), "ranges", "ranges must have at most 21201 columns that vary for sobol, not 21202"),
        (lambda: Design.from_dict([]), "", "a design must be a table with kind and ranges, not []"),  # type: ignore[arg-type]
        (lambda: Design.from_dict({"kind": "grid", "ranges": {"supply": [1]}, "n": 3}), "n", "n is no key of a grid design; there are kind, ranges, columns, free, model"),
        (lambda: Design.random({"supply": (1, 2)}, 8)._make("sobol", {"supply": (1, 2)}, n=2**31, seed=0, scramble=True), "n", "n must be an integer in [1, 1073741824] for sobol, not 2147483648"),
    ],
)  # fmt: skip
def test_bad_input_names_column_and_value(call: Callable[[], Design], arguments: str, message: str) -> None:
    with pytest.raises(DesignError) as caught:
        call()
    assert str(caught.value) == message
    assert caught.value.arguments == tuple(arguments.split())
    assert isinstance(caught.value, InputError)


def test_orders_that_a_chain_keeps_are_allowed() -> None:
    ranges = {"ltv_ceiling": (0.6, 0.9), "target_ltv": ("ltv_ceiling", 0.5, 1.0), "ltv_floor": ("target_ltv", 0.5)}
    rows = Design.random({**ranges, "target_ltv_stalled": ("ltv_ceiling", 1.0)}, 1000).rows()
    LendingStrategy(**rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": -1}, "start must be an integer in [0, 8], not -1"),
        ({"stop": 9}, "stop must be an integer in [0, 8], not 9"),
        ({"start": 2.0}, "start must be an integer in [0, 8], not 2.0"),
        ({"start": 3, "stop": 2}, "start must not exceed stop, but start = 3 and stop = 2"),
        ({"threads": 0}, "threads must be an integer of at least 1, not 0"),
        ({"out": np.empty((1, 8), np.float32)}, "out must be a writable C-contiguous float64 array of two axes"),
        ({"out": np.empty((1, 16))[:, ::2]}, "out must be a writable C-contiguous float64 array of two axes"),
        ({"out": np.empty((1, 7))}, "out of shape (1, 7) must be of shape (1, 8) or wider"),
        ({"out": np.empty((2, 8))}, "out of shape (2, 8) must be of shape (1, 8) or wider"),
    ],
)
def test_bad_slices(arguments: dict[str, Any], message: str) -> None:
    design = Design.random({"supply": (1, 2)}, 8)
    with pytest.raises(DesignError) as caught:
        design.rows(**arguments)
    assert str(caught.value) == message
