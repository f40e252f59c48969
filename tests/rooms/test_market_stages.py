"""Functions over the steps of a chunk: in stages, and to the bit what one element alone gives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from escala.kernels import philox, special
from escala.kernels.market import stages
from escala.kernels.market.normals import ROOM, fill_uniforms

pytestmark = pytest.mark.nojit


def rows(n: int) -> list[np.ndarray]:
    return [np.full(n, math.nan) for _ in range(3)]


def uniforms(n: int) -> np.ndarray:
    edges = [2.0**-53, 1.0 - 2.0**-53, 0.075, 0.925, 0.5, 2.0**-31]
    return np.concatenate([edges, np.random.default_rng(3).random(n - len(edges))])


@pytest.mark.parametrize("n", [6, 77, 500])
def test_prices_logarithms_and_normals_equal_those_of_one_element(n: int) -> None:
    x = np.concatenate([[0.0, 300.0, -300.0, 1e9, -1e9, 299.9], np.random.default_rng(4).normal(0.0, 2.0, n - 6)])
    out, rest, part = rows(n)
    stages.prices(2000.0, x, out, rest, part)
    assert out.tolist() == [2000.0 * special.exp_within(min(300.0, max(-300.0, one))) for one in x.tolist()]
    u = uniforms(n)
    stages.logs(u, out, rest, part)
    assert out.tolist() == [special.log(one) for one in u.tolist()]
    stages.normal_centres(u, out, rest, part)
    centre = np.abs(2.0 * u - 1.0) <= special.CENTRE
    assert out[centre].tolist() == [special.normal_centre(one) for one in u[centre].tolist()]
    tails = u[~centre]
    out, rest, part = rows(len(tails))
    stages.normal_tails(tails, out, rest, part)
    assert out.tolist() == [special.normal_tail(one) for one in tails.tolist()]


def test_prices_and_logarithms_may_be_written_over_what_they_are_of() -> None:
    x = np.random.default_rng(5).normal(0.0, 1.0, 100)
    apart, rest, part = rows(100)
    stages.prices(7.0, x, apart, rest, part)
    stages.prices(7.0, x, x, rest, part)
    assert np.array_equal(x, apart)
    stages.logs(x, apart, rest, part)
    stages.logs(x, x, rest, part)
    assert np.array_equal(x, apart)


@pytest.mark.parametrize(("first", "n"), [(1, 1), (1, 2), (3, 5), (513, 512), (7, 3)])
def test_uniforms_of_steps_are_those_of_their_places(first: int, n: int) -> None:
    """Two counters are encrypted side by side, and no more is written than was said."""
    out = np.full(n + ROOM + 1, math.nan)
    fill_uniforms(5, 0, 64, 2, 11, 13, first, n, out)
    for k in range(n):
        t = first + k
        words = philox.block(5, (t - 1) // 2, 64, 2, 11, 13)
        assert out[k] == philox.uniform(*(words[:2] if t % 2 else words[2:]))
    assert math.isnan(out[n + ROOM])
    fill_uniforms(5, 1, 64, 2, 11, 13, first, n, opposite := np.empty(n + ROOM))
    assert np.array_equal(opposite[:n], 1.0 - out[:n])
