"""How often prediction intervals hold what they promise: millions of simulated fits, and the real quotes.

Each fit has its own curve, capitals and noise; one new observation at a capital drawn inside the observed ones is
compared with the interval for it. Figures are shares of new observations, in percent.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks import coverage_curves
from escala import FitStatus, fit
from escala.curves.curveset import CurveSet
from escala.demo.curves import load_quotes

FAMILIES = ("linear", "quadratic", "exponential", "sqrt")
SIZES = (5, 8, 12, 25, 50)
LEVELS = (0.50, 0.80, 0.95, 0.99)
CONFIDENCE_BINS = 10
_LOWEST, _HIGHEST = 1e3, 1e6


class Truth:
    """Drawn curves of one family that fall by 0.1 to 0.2 over the range of capital."""

    def __init__(self, family: str, n: int, rng: np.random.Generator) -> None:
        self.family = family
        self.top = rng.uniform(0.75, 0.9, (n, 1))
        self.drop = rng.uniform(0.1, 0.2, (n, 1))
        self.rate = rng.uniform(1.0, 6.0, (n, 1))
        self.bend = rng.uniform(-0.5, 0.5, (n, 1))

    def __getitem__(self, i: int) -> Truth:
        """Take one curve."""
        one = Truth.__new__(Truth)
        one.family = self.family
        one.top, one.drop, one.rate, one.bend = (v[i : i + 1] for v in (self.top, self.drop, self.rate, self.bend))
        return one

    def __call__(self, capital: np.ndarray) -> np.ndarray:
        """Evaluate at (n, m) capitals."""
        x = capital / _HIGHEST
        if self.family == "linear":
            fallen = x
        elif self.family == "sqrt":
            fallen = np.sqrt(x)
        elif self.family == "quadratic":
            fallen = x + self.bend * x * (x - 1.0)
        else:
            fallen = np.expm1(-self.rate * x) / np.expm1(-self.rate)
        value: np.ndarray = self.top - self.drop * fallen
        return value


class Experiment:
    """Fits of drawn curves, and new observations of them."""

    def __init__(self, family: str, m: int, n: int, noise: float, seed: int) -> None:
        self.rng = np.random.default_rng([seed, FAMILIES.index(family), m])
        self.truth = Truth(family, n, self.rng)
        capital = self.rng.uniform(_LOWEST, _HIGHEST, (n, m))
        self.sd = noise * self.truth.drop
        observed = self.truth(capital) + self.sd * self.rng.standard_normal((n, m))
        curves = fit([str(i) for i in range(n)], capital, observed, family=family, clip=True)
        kept = (curves.status == FitStatus.OK) & (curves.clipped == 0)
        self.kept = kept
        self.curves: CurveSet = curves[kept]
        self.low, self.high = capital.min(1)[kept], capital.max(1)[kept]

    def new(self, capital: np.ndarray) -> np.ndarray:
        """Observe every kept curve once more."""
        there = np.zeros((self.kept.size, 1))
        there[self.kept, 0] = capital
        level = self.truth(there)[self.kept, 0]
        fresh: np.ndarray = level + self.sd[self.kept, 0] * self.rng.standard_normal(level.size)
        return fresh

    def inside(self) -> np.ndarray:
        """Draw capitals inside the observed ones."""
        capital: np.ndarray = self.rng.uniform(self.low, self.high)
        return capital

    def covered(self, capital: np.ndarray) -> list[float]:
        """Share of new observations within the interval, for each level."""
        fresh = self.new(capital)
        shares = []
        for level in LEVELS:
            p = self.curves.predict(capital, level=level)
            shares.append(float(np.mean((p.low <= fresh) & (fresh <= p.high))))
        return shares

    def calibration(self) -> np.ndarray:
        """Columns: mean confidence of a bin, share of hits in it, number; tolerances from 0.1 to 10 times the noise."""
        capital = self.inside()
        fresh = self.new(capital)
        tolerance = self.sd[self.kept, 0] * 10.0 ** self.rng.uniform(-1.0, 1.0, fresh.size)
        p = self.curves.predict(capital, tolerance=tolerance)
        confidence = p.confidence
        hit = np.abs(fresh - p.efficiency) <= tolerance
        bins = np.minimum((confidence * CONFIDENCE_BINS).astype(int), CONFIDENCE_BINS - 1)
        return np.array(
            [(confidence[bins == b].mean(), hit[bins == b].mean(), (bins == b).sum()) for b in np.unique(bins)]
        )


def rows(fits: int) -> Iterator[tuple[str, list[float]]]:
    """Coverage for each family and size inside the data, then the cases in which nothing is promised."""
    for family in FAMILIES:
        for m in SIZES:
            experiment = Experiment(family, m, fits, 0.02, 1)
            yield f"{family}, {m} points", experiment.covered(experiment.inside())
    for family in FAMILIES:
        experiment = Experiment(family, 12, fits, 0.02, 2)
        beyond = experiment.rng.uniform(experiment.high, 2.0 * experiment.high)
        yield f"{family}, 12 points, outside: up to twice the largest capital", experiment.covered(beyond)
    for noise in (0.10, 0.20, 0.30):
        experiment = Experiment("exponential", 12, fits, noise, 3)
        name = f"exponential, 12 points, noise {noise:.0%} of the fall ({experiment.kept.mean():.0%} of the fits OK)"
        yield name, experiment.covered(experiment.inside())


def real_quotes() -> Iterator[tuple[str, int, float, float]]:
    """Decade of capital, quotes in it, share of them in the 95 % interval and mean width of it; five-fold.

    Every quote is predicted by the curves of the other four fifths of its pair.
    """
    quotes = load_quotes()
    symbol = np.array(quotes.symbol)
    fold = np.random.default_rng(1).integers(0, 5, symbol.size)
    hit, width = np.empty(symbol.size), np.empty(symbol.size)
    for k in range(5):
        kept = fold != k
        curves = fit(symbol[kept], quotes.capital[kept], quotes.efficiency[kept])
        out = np.flatnonzero(fold == k)
        places = np.array([curves.index(name) for name in symbol[out]])
        p = curves[places].predict(quotes.capital[out])
        hit[out] = (p.low <= quotes.efficiency[out]) & (quotes.efficiency[out] <= p.high)
        width[out] = p.high - p.low
    decade = np.floor(np.log10(quotes.capital)).astype(int)
    for d in np.unique(decade):
        there = decade == d
        yield f"{10.0**d:,.0f} to {10.0 ** (d + 1):,.0f}", int(there.sum()), hit[there].mean(), width[there].mean()


def calibrations(fits: int) -> Iterator[tuple[str, list[float]]]:
    """Largest distance between confidence and share of hits over ten bins of confidence."""
    for family in FAMILIES:
        shares = []
        for m in SIZES:
            bins = Experiment(family, m, fits, 0.02, 4).calibration()
            shares.append(float(np.abs(bins[:, 0] - bins[:, 1]).max()))
        yield family, shares


def table(fits: int) -> str:
    """Give the study as tables for the guide."""
    lines = [
        f"Share of new observations inside the prediction interval, in percent; {fits:,} fits a row, curves that fall",
        "by 0.1 to 0.2, noise 2 % of the fall, capitals of points and observations uniform over the range:",
        "",
        "| family and points | " + " | ".join(f"{level:.0%}" for level in LEVELS) + " |",
        "|---|" + "---|" * len(LEVELS),
    ]
    for name, shares in rows(fits):
        lines.append(f"| {name} | " + " | ".join(f"{100 * share:.2f}" for share in shares) + " |")
    lines += [
        "",
        "Largest distance between `confidence` and the share of hits within the tolerance, over ten bins of",
        "confidence; tolerances drawn log-uniformly from 0.1 to 10 times the noise:",
        "",
        "| family | " + " | ".join(f"{m} points" for m in SIZES) + " |",
        "|---|" + "---|" * len(SIZES),
    ]
    for family, distances in calibrations(fits):
        lines.append(f"| {family} | " + " | ".join(f"{d:.3f}" for d in distances) + " |")
    lines += [
        "",
        "The real quotes, each predicted by the curve of the other four fifths of its pair:",
        "",
        "| capital, USD | quotes | inside the 95 % interval | mean width of it |",
        "|---|---|---|---|",
    ]
    for decade, count, share, width in real_quotes():
        lines.append(f"| {decade} | {count:,} | {100 * share:.1f} % | {width:.3f} |")
    lines += ["", *coverage_curves.table(fits // 20)]
    return "\n".join(lines)
