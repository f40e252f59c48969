"""Daily prices of ETH, BTC and SOL, crashes included, for replays and fits."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats
from escala.errors import MarketError
from escala.market.processes import Replay

Days = npt.NDArray[np.datetime64]

#: Seconds a row of the table.
DAY: Final = 86400.0
_SIDES: Final = ("open", "high", "low", "close")


@dataclass(frozen=True, eq=False)
class Prices:
    """A table of daily prices in USD.

    Attributes
    ----------
    day : (n,) datetime64[D]
    open, high, low, close : dict of str to (n,) float64
        By symbol: ``ETH``, ``BTC``, ``SOL``. NaN before there was a price.
    """

    day: Days
    open: Mapping[str, Floats]
    high: Mapping[str, Floats]
    low: Mapping[str, Floats]
    close: Mapping[str, Floats]

    def __len__(self) -> int:
        """Count the days."""
        return self.day.size

    @property
    def symbols(self) -> tuple[str, ...]:
        """Whose prices they are."""
        return tuple(self.close)

    def between(self, symbol: str, first: str | None = None, last: str | None = None) -> Prices:
        """Give one symbol's days from `first` to `last`, both with them, written as 2020-03-12.

        Raises
        ------
        MarketError
            If there is no such symbol or day, or none between them.
        """
        if symbol not in self.close:
            raise MarketError(f"symbol must be one of {', '.join(self.close)}, not {symbol!r}", arguments=("symbol",))
        known = self.day[np.isfinite(self.close[symbol])]
        ends = [_day("first", first, known, known[0]), _day("last", last, known, known[-1])]
        if ends[0] > ends[1]:
            raise MarketError(f"first must not be after last, but {first} is after {last}", arguments=("first", "last"))
        kept = (self.day >= ends[0]) & (self.day <= ends[1])
        sides = {side: {symbol: getattr(self, side)[symbol][kept]} for side in _SIDES}
        return Prices(self.day[kept], **sides)

    def replay(self, symbol: str, first: str | None = None, last: str | None = None) -> Replay:
        """Give a process that replays the closing prices of some days, with their lows: steps are days (``dt=DAY``).

        Raises
        ------
        MarketError
            As :meth:`between`.
        """
        some = self.between(symbol, first, last)
        return Replay(some.close[symbol], np.minimum(some.low[symbol], some.close[symbol]))


def _day(name: str, text: str | None, known: Days, otherwise: np.datetime64) -> np.datetime64:
    if text is None:
        return otherwise
    try:
        day = np.datetime64(text, "D")
    except (ValueError, TypeError):
        raise MarketError(f"{name} must be a day such as 2020-03-12, not {text!r}", arguments=(name,)) from None
    if not known[0] <= day <= known[-1]:  # false for what is no time, too
        raise MarketError(f"{name} must be a day from {known[0]} to {known[-1]}, not {text}", arguments=(name,))
    return day


def load_prices() -> Prices:
    """Read the prices that are shipped with the package: 2017-11-09 to 2023-07-31, SOL from 2020-04-10 on."""
    packed = files("escala").joinpath("demo/data/daily_prices_eth_btc_sol.csv.gz").read_bytes()
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(packed).decode())))
    symbols = [name.removesuffix("_close") for name in rows[0] if name.endswith("_close")]
    sides = {
        side: {s.upper(): np.array([float(row[f"{s}_{side}"] or "nan") for row in rows]) for s in symbols}
        for side in _SIDES
    }
    return Prices(np.array([row["date"] for row in rows], dtype="datetime64[D]"), **sides)
