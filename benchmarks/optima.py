"""Whether fits of depth and power find the lowest squared error: drawn sets and real pairs, densely scanned.

``python -m benchmarks.optima [sets]`` prints, for each kind of records, how many fits lie above the best of a dense
scan with refinement by more than 1e-6 and by more than 1e-3 of it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from escala import FitStatus, fit
from escala.demo.curves import load_quotes
from escala.kernels.fitting.depth_rows import FAR_OUT, HIGHEST_BEYOND, LOG_SHARPEST, LOG_SOFTEST

Floats = npt.NDArray[np.float64]
Records = tuple[Floats, Floats]
#: An error below this share of the efficiencies' squares is rounding.
ROUNDING = 1e-24
STARTS, ZOOMS, SHRINKS = 6, 36, 0.6


def drawn_records(rng: np.random.Generator) -> Records:
    """Capitals and efficiencies of one instrument: knees, pools, powers, lines, steps and mere noise."""
    n = int(rng.choice([3, 4, 5, 6, 8, 10, 12, 16, 25, 40, 60, 61, 80, 120, 140]))
    x = 10.0 ** rng.uniform(0.0, rng.uniform(0.5, 6.0), n) if rng.random() < 0.7 else rng.uniform(0.01, 1.0, n)
    d, h = 10.0 ** rng.uniform(-1.0, 1.0) * np.exp(np.mean(np.log(x))), np.exp(rng.uniform(np.log(0.1), np.log(50.0)))
    a = rng.uniform(0.5, 1.0)
    t, relative = np.exp(np.minimum(h * np.log(x / d), 600.0)), x / x.max()
    shape = int(rng.integers(0, 6))
    if shape < 3:
        y = a * np.exp(-np.logaddexp(0.0, h * np.log(x / d)) / h)
    elif shape == 3:
        y = a - rng.uniform(0.0, 1.0) * relative ** np.exp(rng.uniform(np.log(0.05), np.log(6.0)))
    elif shape == 4:
        y = a * ((1.0 + x / (d * 10.0 ** rng.uniform(-1.0, 1.0))) ** h + t) ** (-1.0 / h)
    else:
        y = rng.uniform(0.0, 1.0, n)
    noise = 0.0 if rng.random() < 0.1 else 10.0 ** rng.uniform(-5.0, -0.7)
    return x, np.clip(y + rng.normal(0.0, noise, n), 0.0, 1.0)


def real_records() -> Iterator[Records]:
    """Pairs of the quotes that come with the package: whole, thinned, and by folds."""
    quotes = load_quotes()
    symbol, capital, efficiency = np.array(quotes.symbol), quotes.capital, quotes.efficiency
    for name in np.unique(symbol):
        order = np.flatnonzero(symbol == name)
        order = order[np.argsort(capital[order], kind="stable")]
        c, y = capital[order], efficiency[order]
        yield c, y
        for every in (4, 8, 16):
            yield c[::every], y[::every]
        fold = np.arange(c.size) % 5
        for left_out in range(5):
            yield c[fold != left_out], y[fold != left_out]


def depth_error(x: Floats, y: Floats, log_d: Floats, log_h: Floats) -> Floats:
    """Lowest squared error over a of places (…,) for capitals e^x."""
    h = np.exp(log_h)
    lx = x - log_d[..., None]
    g = np.exp(-(np.maximum(lx, 0.0) + np.log1p(np.exp(-h[..., None] * np.abs(lx))) / h[..., None]))
    a = np.clip((g * y).sum(-1) / (g * g).sum(-1), 0.0, 1.0)
    r = y - a[..., None] * g
    found: Floats = (r * r).sum(-1)
    return found


def power_error(x: Floats, y: Floats, log_b: Floats) -> Floats:
    """Lowest squared error over a ≤ 1 and k ≥ 0."""
    t = np.exp(np.exp(log_b)[..., None] * (x - x.max()))
    dt = t - t.mean(-1, keepdims=True)
    k = -(dt * y).sum(-1) / np.maximum((dt * dt).sum(-1), 1e-300)
    a = y.mean() + k * t.mean(-1)
    steep = (t * (1.0 - y)).sum(-1) / (t * t).sum(-1)
    free, held = k > 0.0, (k > 0.0) & (a > 1.0)
    k, a = np.where(held, steep, np.where(free, k, 0.0)), np.where(held, 1.0, np.where(free, a, y.mean()))
    r = y - a[..., None] + k[..., None] * t
    found: Floats = (r * r).sum(-1)
    return found


def lowest(error: Callable[..., Floats], ranges: list[tuple[float, float, int]]) -> tuple[float, list[float]]:
    """Scan a box and zoom in on its lowest places; returns the lowest error and its place."""
    axes = [np.linspace(*one) for one in ranges]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))
    errors = error(*grid.T).reshape([axis.size for axis in axes])
    padded = np.pad(errors, 1, constant_values=np.inf)
    around = [
        np.roll(padded, shift, tuple(range(padded.ndim)))
        for shift in np.ndindex(*(3,) * padded.ndim)
        if any(one != 1 for one in shift)
        for shift in [tuple(one - 1 for one in shift)]
    ]
    minima = np.all([padded <= other for other in around], axis=0)[tuple(slice(1, -1) for _ in axes)].reshape(-1)
    order = np.flatnonzero(minima)[np.argsort(errors.reshape(-1)[minima], kind="stable")][:STARTS]
    best, place = float(errors.min()), grid[int(errors.argmin())]
    steps = np.stack(np.meshgrid(*[np.linspace(-1.0, 1.0, 7)] * len(axes), indexing="ij"), -1).reshape(-1, len(axes))
    for start in order:
        here, width = grid[start], np.array([(axis[1] - axis[0]) * 1.5 for axis in axes])
        for _ in range(ZOOMS):
            tried = here + steps * width
            for j, (low, high, _) in enumerate(ranges):
                tried[:, j] = np.clip(tried[:, j], low, high)
            found = error(*tried.T)
            here = tried[int(found.argmin())]
            width = width * SHRINKS
            if found.min() < best:
                best, place = float(found.min()), here
    return best, list(place)


def settled(
    error: Callable[..., Floats], ranges: list[tuple[float, float, int]], best: float, place: list[float]
) -> tuple[float, list[float]]:
    """Follow the valley of a place to its end by the simplex of Nelder and Mead: a scan stops where it is narrow."""
    found = minimize(
        lambda at: float(error(*np.asarray(at))),
        place,
        method="Nelder-Mead",
        bounds=[(low, high) for low, high, _ in ranges],
        options={"xatol": 1e-9, "fatol": 0.0, "maxfev": 800},
    )
    return (float(found.fun), list(found.x)) if found.fun < best else (best, place)


def lowest_power(x: Floats, y: Floats) -> float:
    """Lowest squared error of a power."""
    return lowest(lambda b: power_error(x, y, b), [(np.log(1.0 / 50.0), np.log(8.0), 600)])[0]


def excess(family: str, records: list[Records]) -> tuple[Floats, npt.NDArray[np.int8]]:
    """By which share each fit's error is above the lowest found, and its status.

    NaN where the lowest error found has its depth too far out or is not below that of a power, which is no depth, or
    where all efficiencies are equal.
    """
    ours = fit(
        [str(i) for i in range(len(records))],
        [c for c, _ in records],
        [y for _, y in records],
        family=family,
        noise="even",
        loss="squares",
        threads=1,
    )
    over = np.full(len(records), np.nan)
    for i, (c, y) in enumerate(records):
        x, top = np.log(c / c.min()), float(np.log(c.max() / c.min()))
        if ours.status[i] not in (FitStatus.OK, FitStatus.DEGENERATE):
            continue
        if family == "depth":
            box = [(-20.0, top + HIGHEST_BEYOND, 100), (LOG_SOFTEST, LOG_SHARPEST, 60)]
            error = functools.partial(depth_error, x, y)
            best, place = settled(error, box, *lowest(error, box))
            if place[0] > top + FAR_OUT:
                continue
            if ours.status[i] == FitStatus.DEGENERATE and lowest_power(x, y) <= best:  # its limit is better still
                continue
        else:
            best = lowest_power(x, y)
        spread = float(((y - y.mean()) ** 2).sum())
        reached = ours.rmse[i] ** 2 * c.size if ours.status[i] == FitStatus.OK else spread
        over[i] = (reached - best) / (best + ROUNDING * float((y * y).sum()) + 1e-9 * spread * (ours.status[i] != 0))
    return over, ours.status


def main(sets: int) -> None:
    """Print what the scans found."""
    rng = np.random.default_rng(2026)
    kinds = {"drawn": [drawn_records(rng) for _ in range(sets)], "real": list(real_records())}
    for kind, records in kinds.items():
        for family in ("depth", "power"):
            over, status = excess(family, records)
            clear = [int((over > bound).sum()) for bound in (1e-6, 1e-3)]
            print(
                f"{kind} {family}: {len(records)} sets, {int((status == FitStatus.DEGENERATE).sum())} without a curve, "
                f"{clear[0]} above 1e-6, {clear[1]} above 1e-3, worst {np.nanmax(over):.2g}",
                flush=True,
            )
            for i in np.flatnonzero(over > 1e-6)[:10]:
                print(f"  set {i}: {records[i][0].size} points, {over[i]:.3g} above, status {status[i]}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
