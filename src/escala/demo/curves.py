"""The main job on real input, first half: efficiency curves of 56 token pairs from real swap quotes."""

from __future__ import annotations

import csv
import gzip
import io
import time
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import numpy as np

from escala.arrays import Floats
from escala.curves import summary as curve_summary
from escala.curves.curveset import CurveSet
from escala.curves.fitting import fit
from escala.curves.prediction import Prediction, Saturation

#: Capital whose efficiency is predicted, in USD.
CAPITAL: Final = 1e6


@dataclass(frozen=True)
class Quotes:
    """Real quotes: one element each."""

    symbol: list[str]
    capital: Floats
    efficiency: Floats


def load_quotes() -> Quotes:
    """Read the quotes that are shipped with the package."""
    packed = files("escala").joinpath("demo/data/dex_quotes.csv.gz").read_bytes()
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(packed).decode())))
    return Quotes(
        symbol=[row["symbol"] for row in rows],
        capital=np.array([float(row["capital_usd"]) for row in rows]),
        efficiency=np.array([float(row["efficiency"]) for row in rows]),
    )


@dataclass(frozen=True)
class Study:
    """Curves of all pairs, and what they say."""

    curves: CurveSet
    saturation: Saturation
    prediction: Prediction
    seconds: float


def run(quotes: Quotes, *, threads: int | None = None) -> Study:
    """Fit all pairs; the time is that of the fit alone, compiled code at hand."""
    fit(quotes.symbol, quotes.capital, quotes.efficiency, threads=threads)
    started = time.perf_counter()
    curves = fit(quotes.symbol, quotes.capital, quotes.efficiency, threads=threads)
    seconds = time.perf_counter() - started
    return Study(curves, curves.saturation(), curves.predict(CAPITAL), seconds)


def report(study: Study) -> str:
    """One line a pair: family, fit, efficiency at 1 M USD, where 10 % are lost and the most that ever comes out."""
    curves, found, at = study.curves, study.saturation, study.prediction
    many = int(curves.n_points.sum() + curves.set_aside.sum())
    lines = [
        f"{many:,} real swap quotes, 500 to {curves.observed.max():,.0f} USD; "
        f"{len(curves)} pairs fitted in {study.seconds * 1e3:.0f} ms: {curve_summary.families(curves)}",
        "",
        f"{'':<16}{'':<9}{'':>8}  {'loss at 1 M USD':<25}{'10 % lost at, M USD':<24}at most comes",
        f"{'pair':<16}{'family':<9}{'misfit':>8}  {'(95 % of new quotes)':<25}{'(90 % interval)':<24}out, M USD",
    ]
    for i, symbol in enumerate(curves.symbols):
        mark = "*" if curves.marked[i] else " "
        lost_now = f"{_loss(at.efficiency[i])} [{_loss(at.high[i])}, {_loss(at.low[i])}]"
        lost = _interval(found.saturation[i], found.saturation_low[i], found.saturation_high[i])
        family, misfit = curves.family_names[i], f"{curves.misfit[i]:.2f}{mark}"
        lines.append(f"{symbol:<16}{family:<9}{misfit:>9} {lost_now:<25}{lost:<24}{_millions(found.ceiling[i])}")
    marked = int(curves.marked.sum())
    lines += [
        "misfit: residuals over what neighbouring quotes differ by; 10 % lost: of the highest efficiency; its interval",
        "is too narrow where a ladder is fitted: it knows nothing of where the ladder has its steps",
        "at most comes out: capital x efficiency, whatever the capital; –: the quotes do not say",
        f"* {marked} of {len(curves)} pairs follow a pattern that their curve does not (p < 0.01, misfit > 1.25): "
        "read their intervals with care",
    ]
    return "\n".join(lines)


def _interval(value: float, low: float, high: float) -> str:
    if np.isinf(value):
        return "–" if np.isinf(low) else f"≥ {_millions(low)}"
    return f"{_millions(value)} [{_millions(low)}, {_millions(high)}]"


def _loss(efficiency: float) -> str:
    """Write what is lost, in percent."""
    return f"{100.0 * (1.0 - efficiency):.2f}%"


def _millions(value: float) -> str:
    return "–" if np.isinf(value) else f"{value / 1e6:.3g}"
