"""How much capital a backtest carries, on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from escala.commands.terminal import (
    Plot,
    UsageError,
    Whole,
    check_plot,
    print_json,
    print_table,
    save_plot,
    say,
    tell_plot,
)
from escala.errors import RecordError

if TYPE_CHECKING:
    from escala.sources import ScaledBacktest

#: One number, SYMBOL=NUMBER as often as wanted, or the name of a column.
PerSymbol = Annotated[list[str] | None, Parameter(consume_multiple=(1, 1_000_000))]
#: Multiples that the table shows.
_ROWS = 12


def backtest(
    trades: Path,
    /,
    *,
    capital: float,
    pnl: str | None = None,
    returns: str | None = None,
    daily_volume: PerSymbol = None,
    volatility: PerSymbol = None,
    impact: Literal["sqrt", "linear", "volume-share"] = "sqrt",
    coefficient: float | None = None,
    coefficient_sd: float | None = None,
    multiples: Annotated[list[float] | None, Parameter(consume_multiple=(1, 100_000))] = None,
    orders: Literal["day", "trade"] = "day",
    symbol: str | None = None,
    columns: Annotated[dict[str, str] | None, Parameter(name="--column")] = None,
    sides: dict[str, str] | None = None,
    participation: float = 0.1,
    level: float = 0.90,
    write: Path | None = None,
    strategy: str = "strategy",
    blocks: Whole = 12,
    plot: Plot = None,
    json: bool = False,
) -> None:
    """Find out how much capital a backtest carries before market impact takes what it earns.

    Parameters
    ----------
    trades
        Its trades, as CSV or Parquet: symbol, time, price and quantity, negative for sales or with a column of sides.
    capital
        What it was run with.
    pnl
        What it earned before market impact: a number, or a file with columns time and pnl.
    returns
        The same as a share of the capital: a number, or a file with columns time and returns.
    daily_volume
        Units of each symbol that are traded in a day: one number, SYMBOL=NUMBER for each, or the name of a column of
        the trades.
    volatility
        Standard deviation of a day's returns, as a fraction, in the same ways.
    impact
        What an order costs as a share of its value: coefficient · volatility · √(quantity/volume), the same without the
        root, or coefficient · (quantity/volume)².
    coefficient
        Of that law: by default 1 for sqrt and 0.1 for volume-share; linear has none.
    coefficient_sd
        Standard deviation of what is known of it.
    multiples
        Of the capital; by default up to where nothing is left.
    orders
        Whether all trades of a symbol, side and day are one order, or each trade.
    symbol
        Whose the trades are, where the file has no such column.
    columns
        A column of another name: --column.quantity filled.
    sides
        What words in the column of sides mean: --sides.C buy --sides.V sell.
    participation
        Share of a day's volume at which positions are sold, for the days that takes.
    level
        Of the intervals.
    write
        Where efficiency records go, as .csv or .parquet: escala records import takes them.
    strategy
        Their symbol.
    blocks
        Stretches of the backtest that records are of.
    plot
        Where a picture of profit and Sharpe ratio over capital goes, as .png, .svg or .pdf.
    json
        Print JSON.
    """
    from escala.files import table as table_file
    from escala.sources.backtest import scale

    check_plot(plot)
    if write is not None:
        table_file.check(write, "records", RecordError)
    if (pnl is None) == (returns is None):
        raise UsageError("backtest needs --pnl or --returns, and one of them only")
    made = scale(
        trades, capital=capital, pnl=_profits(pnl), returns=_profits(returns),
        daily_volume=_per_symbol("daily_volume", daily_volume), volatility=_per_symbol("volatility", volatility),
        impact=impact, coefficient=coefficient, coefficient_sd=coefficient_sd, multiples=multiples, orders=orders,
        symbol=symbol, columns=columns, sides=sides,
    )  # fmt: skip
    found = made.capacity(level=level)
    days = made.days_to_liquidate(participation)
    if write is not None:
        records = made.records(strategy=strategy, blocks=blocks)
        table_file.write(write, records.to_dict())
    if plot is not None:
        from escala import plots

        save_plot(plots.backtest_figure(made, level=level), plot)
    if json:
        content = {"capacity": vars(found), **made.to_dict(), "days_to_liquidate": days, "notes": list(made.notes)}
        print_json(content)
        return
    _print(made, days)
    if write is not None:
        say(f"{len(records):,} records written to {write}")
    tell_plot(plot, json=json)


def _profits(text: str | None) -> Any:
    """Read a number, or take the text for a path."""
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return Path(text)


def _per_symbol(name: str, words: list[str] | None) -> Any:
    """Read one number, SYMBOL=NUMBER as often as given, or the name of a column."""
    if words is None:
        return None
    option = f"--{name.replace('_', '-')}"
    if len(words) == 1 and "=" not in words[0]:
        try:
            return float(words[0])
        except ValueError:
            return words[0]
    result: dict[str, float] = {}
    for word in words:
        symbol, equals, number = word.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            equals = ""
        if not equals or not symbol:
            raise UsageError(f"{option} takes one number, a column, or SYMBOL=NUMBER for each symbol, not {word!r}")
        if symbol in result:
            raise UsageError(f"{option} names {symbol!r} twice")
        result[symbol] = value
    return result


def _print(made: ScaledBacktest, days: dict[str, Any]) -> None:
    import numpy as np

    from escala.tables import NOTHING
    from escala.text.numerals import capital

    say(made.summary())
    say()
    shown = np.unique(np.linspace(0, len(made) - 1, min(_ROWS, len(made))).round().astype(int))
    longest = np.max(list(days.values()), axis=0)
    gone = np.abs(made.net) <= NOTHING * np.abs(made.gross)  # a rounding error, where nothing is left
    net, sharpe = (np.where(gone & np.isfinite(row), 0.0, row) for row in (made.net, made.sharpe))
    rows = [
        [
            capital(made.capital[k]), f"{made.multiples[k]:.4g}", capital(made.gross[k]), capital(net[k]),
            f"{made.efficiency[k]:.4f}", f"{sharpe[k]:.2f}" if np.isfinite(sharpe[k]) else "–",
            f"{made.largest_share[k]:.2%}", f"{longest[k]:.3g}",
        ]
        for k in shown.tolist()
    ]  # fmt: skip
    names = ["capital", "multiple", "gross", "net", "efficiency", "Sharpe", "largest order", "days to sell"]
    print_table(names, rows, spare=("multiple", "gross"))
