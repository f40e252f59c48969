"""Predictions, allocations and analyses from the records of a store."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import Parameter

from escala.commands import groupings
from escala.commands.refits import Family, Group, Interval, Loss, Noise, Refit, fitted
from escala.commands.terminal import (
    Database,
    Plot,
    Symbols,
    UsageError,
    Whole,
    announce_compilation,
    check_plot,
    finished,
    print_json,
    print_table,
    save_plot,
    say,
    tell_plot,
)
from escala.text import progress
from escala.text.visible import in_line

if TYPE_CHECKING:
    from escala.allocation.result import Allocation
    from escala.curves.curveset import CurveSet
    from escala.curves.prediction import Saturation
    from escala.engine.config import EngineConfig
    from escala.store import ScalingConfig, StoredRecords

#: One number for all, or SYMBOL=NUMBER as often as wanted; of groups GROUP=NUMBER.
Limit = Annotated[list[str] | None, Parameter(consume_multiple=(1, 1_000_000))]


def predict(
    *,
    symbol: str,
    capital: Annotated[list[float], Parameter(consume_multiple=(1, 100_000))],
    level: float = 0.95,
    tolerance: float = 0.05,
    interval: Interval = "auto",
    family: Family = None,
    noise: Noise = None,
    loss: Loss = None,
    group: Group = None,
    plot: Plot = None,
    db: Database = "escala.db",
    json: bool = False,
) -> None:
    """Predict the efficiency of a symbol at one or more capitals, with prediction intervals.

    Parameters
    ----------
    symbol
        The instrument.
    capital
        Capitals, in the currency of the records: --capital 10000 50000 100000.
    level
        Probability that a new observation lies inside the interval.
    tolerance
        Confidence is the probability that a new observation lies within this of the prediction.
    interval
        "forward" for observations of the next time: wider, by how far off the curves of the past were.
    family
        Fit this family for this question: auto, linear, quadratic, exponential, sqrt, hill, depth, power or ladder; by
        default as the store's settings say. The store keeps its own curves.
    noise
        Whether noise grows with capital: "local" where the records tell so, "even" never; "auto" is local from 40
        distinct capitals on.
    loss
        "auto" sets absurd records aside, and says so; "squares" fits them too; "student" also has the others count by
        how far off they are.
    group
        Records that belong together, of which errors count as one: those of one time, one hour or one day.
    plot
        Where a picture of the curve with the records goes, as .png, .svg or .pdf.
    db
        The store: a file or postgresql://USER:PASSWORD@HOST/NAME.
    json
        Print JSON.
    """
    from escala.engine.config import EngineConfig

    check_plot(plot)
    announce_compilation()
    config = EngineConfig(level=level, tolerance=tolerance)
    wanted = Refit(family, noise, loss, group, times=interval == "forward")
    curves, info, records = finished(_curve(db, config, symbol, wanted))
    at = curves.predict([capital], level=config.level, tolerance=config.tolerance, interval=interval)
    columns = {"capital": capital, **{name: getattr(at, name)[0] for name in _OF_A_POINT}}
    if plot is not None:
        from escala import plots

        save_plot(plots.prediction_figure(curves, symbol, records, capital, level=level), plot)
    if json:
        about = {"trusted_to": curves.trusted_to[0], "misfit": curves.misfit[0], "set_aside": curves.set_aside[0]}
        about |= {"level": level, "tolerance": tolerance}
        how = {"interval": at.method[0], "points": at.points[0], "note": at.note}
        print_json({**info, **about, **how, **columns})
    else:
        _print_prediction(curves, columns, level, tolerance)
        if at.note:
            say(at.note)
    tell_plot(plot, json=json)


#: Columns of a prediction.
_OF_A_POINT: Final = (
    "efficiency", "low", "high", "confidence", "extrapolated", "marginal", "marginal_low", "marginal_high",
)  # fmt: skip
#: What is told of a curve.
_OF_A_CURVE: Final = ("symbol", "family", "status", "n_points", "r_squared", "lack_of_fit", "trained_at")


async def _curve(
    db: str, config: EngineConfig, symbol: str, wanted: Refit
) -> tuple[CurveSet, dict[str, Any], StoredRecords]:
    """Give the curve of a symbol, what is told of it, and its records."""
    from escala.engine.engine import PredictiveScalingEngine
    from escala.store import Store

    if wanted.is_wanted:
        async with await Store.open(db, create=False) as store:
            curves, records = await fitted(store, [symbol], wanted)
        columns = curves.to_dict() | {"trained_at": [None]}
        return curves, {name: columns[name][0] for name in _OF_A_CURVE}, records
    async with await PredictiveScalingEngine.open(db, config, create=False) as engine:
        curves = await engine.curves(symbol)
        info = await engine.model_info(symbol)
        return curves, {name: getattr(info, name) for name in _OF_A_CURVE}, await engine.store.records(symbol)


def _print_prediction(curve: CurveSet, columns: dict[str, Any], level: float, tolerance: float) -> None:
    from escala.text.numerals import capital

    say(_of_curve(curve))
    if not curve.has_curve[0]:
        return
    say()
    rows = zip(*columns.values(), strict=True)
    print_table(
        [
            "capital",
            "efficiency",
            f"{100 * level:.4g} % interval",
            f"within ±{tolerance:g}",
            "next unit returns",
            "",
        ],
        [
            [
                capital(amount),
                f"{efficiency:.4f}",
                f"{low:.4f} to {high:.4f}",
                "–" if extrapolated else _probability(confidence),
                _marginal(marginal, least, most),
                _beyond(amount, extrapolated, curve),
            ]
            for amount, efficiency, low, high, confidence, extrapolated, marginal, least, most in rows
        ],
        left=("",),
        spare=("next unit returns",),
    )
    say(f"interval, and probability to lie within ±{tolerance:g} of the curve: of a new observation")
    if any(columns["extrapolated"]):
        say("outside the records the interval holds if the curve goes on as it does; no probability is given there")


def _marginal(value: float, low: float, high: float) -> str:
    """Write what the next unit returns, with its interval where it says something."""
    return f"{value:.4f}" if high - low >= 1.0 else f"{value:.4f} ({low:.4f} to {high:.4f})"


def _probability(value: float) -> str:
    """Write a probability that is not known to be 1."""
    return "> 99.9%" if value > 0.9995 else f"{value:.1%}"


def _beyond(amount: float, extrapolated: bool, curve: CurveSet) -> str:
    if amount > curve.trusted_to[0]:
        return "beyond what is trusted"
    return "outside the records" if extrapolated else ""


def _of_curve(curve: CurveSet) -> str:
    """Say what a curve was learnt from, and how well it follows that."""
    from escala.curves.summary import REASONS
    from escala.text.numerals import capital, counted

    records = counted(int(curve.n_points[0]), "record")
    seen = f"{capital(curve.observed[0, 0])} to {capital(curve.observed[0, 1])}"
    aside = f", {curve.set_aside[0]:,} more set aside as absurd" if curve.set_aside[0] else ""
    start = f"{in_line(curve.symbols[0])}: {records} of capitals {seen}{aside}"
    if not curve.has_curve[0]:
        return f"{start}; no curve: {REASONS[curve.status_names[0]]}"
    doubt = ", but the records follow a pattern that it does not" if curve.marked[0] else ""
    return f"{start}; {curve.family_names[0]} curve, R² {curve.r_squared[0]:.3f}{doubt}"


def optimize(
    *,
    total: float | None = None,
    symbols: Symbols = None,
    min_efficiency: Limit = None,
    lower: Limit = None,
    upper: Limit = None,
    min_ticket: Limit = None,
    max_share: Limit = None,
    priority: Limit = None,
    current: Limit = None,
    trade_cost: Limit = None,
    fixed_cost: Limit = None,
    lots: Limit = None,
    max_count: Whole | None = None,
    min_count: Whole | None = None,
    groups: Annotated[list[str] | None, Parameter(consume_multiple=(1, 1_000_000))] = None,
    group_upper: Limit = None,
    group_lower: Limit = None,
    group_share: Limit = None,
    target_utility: float | None = None,
    target_efficiency: float | None = None,
    target_marginal: float | None = None,
    reserve: float | None = None,
    hurdle: float | None = None,
    spend: Literal["at_most", "exactly"] | None = None,
    remainder: Literal["distribute", "hold"] | None = None,
    method: Literal["exact", "greedy"] | None = None,
    family: Family = None,
    noise: Noise = None,
    loss: Loss = None,
    group: Group = None,
    plot: Plot = None,
    db: Database = "escala.db",
    json: bool = False,
) -> None:
    """Allocate a total over symbols where it returns most, with an upper bound as proof; kept in the store's history.

    A limit is one number for all symbols, or SYMBOL=NUMBER for some: --upper BTC/USDT=100000 ETH/USDT=50000. What is
    not given comes from the store's settings. With a target the total is what is sought.

    Parameters
    ----------
    total
        Money there is; with a target the most there is, by default all that the symbols may hold.
    symbols
        Instruments: --symbols A B C; by default all that have records.
    min_efficiency
        Least efficiency at which an instrument may work, in [0, 1].
    lower
        What an instrument must hold at least.
    upper
        What it may hold at most.
    min_ticket
        Least capital of an instrument that holds any.
    max_share
        Largest share of the total in one instrument, in [0, 1].
    priority
        Weight of its utility.
    current
        Capital held now.
    trade_cost
        What a unit costs to buy or sell, in [0, 1]: 0.001 is 10 basis points.
    fixed_cost
        What it costs to trade it at all.
    lots
        Amounts are whole multiples of it.
    max_count
        Most symbols that hold anything.
    min_count
        Least symbols that hold anything.
    groups
        Symbols that have a limit together: --groups A=binance B=kraken/spot, or a CSV file with the columns symbol and
        group. kraken/spot is in the groups kraken and kraken/spot. A symbol may be named for each of several groups.
    group_upper
        What a group may hold at most: one number for all groups, or GROUP=NUMBER for some.
    group_lower
        What it must hold at least.
    group_share
        Largest share of the total in it, in [0, 1].
    target_utility
        Find the least money that returns this utility.
    target_efficiency
        Find the most money whose whole keeps this efficiency, in [0, 1].
    target_marginal
        Find the money at which the next unit returns this.
    reserve
        Share of the total that stays out, in [0, 1).
    hurdle
        What money returns elsewhere: less than that is left unallocated.
    spend
        Whether all money must be placed.
    remainder
        Whether money that min-efficiency leaves over is placed all the same.
    method
        The optimum, or increments to the highest marginal utility.
    family
        Fit this family for this question: auto, linear, quadratic, exponential, sqrt, hill, depth, power or ladder; by
        default as the store's settings say. The store keeps its own curves.
    noise
        Whether noise grows with capital: "local" where the records tell so, "even" never; "auto" is local from 40
        distinct capitals on.
    loss
        "auto" sets absurd records aside, and says so; "squares" fits them too; "student" also has the others count by
        how far off they are.
    group
        Records that belong together, of which errors count as one: those of one time, one hour or one day.
    plot
        Where a picture of marginal utilities and amounts goes, as .png, .svg or .pdf.
    db
        The store: a file or postgresql://USER:PASSWORD@HOST/NAME.
    json
        Print JSON.
    """
    by_symbol = {
        "min_efficiency": min_efficiency,
        "lower": lower,
        "upper": upper,
        "min_ticket": min_ticket,
        "max_share": max_share,
        "priority": priority,
        "current": current,
        "trade_cost": trade_cost,
        "fixed_cost": fixed_cost,
        "lots": lots,
    }
    by_group = {"group_upper": group_upper, "group_lower": group_lower, "group_share": group_share}
    targets = {
        "target_utility": target_utility, "target_efficiency": target_efficiency, "target_marginal": target_marginal,
    }  # fmt: skip
    if total is None and all(value is None for value in targets.values()):
        raise UsageError(
            "optimize needs --total, or one of --target-utility, --target-efficiency and --target-marginal"
        )
    plain = {"reserve": reserve, "hurdle": hurdle, "spend": spend, "remainder": remainder, "method": method,
             "max_count": max_count, "min_count": min_count, **targets}  # fmt: skip
    limits: dict[str, Any] = {name: _limit(name, words) for name, words in by_symbol.items() if words is not None}
    limits |= {name: _limit(name, words, "group") for name, words in by_group.items() if words is not None}
    limits |= {name: value for name, value in plain.items() if value is not None}
    if groups is not None:
        limits["groups"] = groupings.groups(groups)
    check_plot(plot)
    announce_compilation()
    found, settings = finished(_allocation(db, symbols, total, limits, Refit(family, noise, loss, group)))
    if plot is not None:
        from escala import plots

        save_plot(plots.allocation_figure(found), plot)
    if json:
        print_json(_allocation_content(found))
    else:
        say(found.summary())
        _print_settings(settings, limits)
    tell_plot(plot, json=json)


def _limit(name: str, words: list[str], of: str = "symbol") -> float | dict[str, float]:
    """Read one number, or SYMBOL=NUMBER (GROUP=NUMBER) as often as given."""
    option = f"--{name.replace('_', '-')}"
    if len(words) == 1 and "=" not in words[0]:
        return _number(option, words[0], words[0])
    if not any("=" in word for word in words):
        raise UsageError(f"{option} takes one number, or {of.upper()}=NUMBER for some {of}s, not {len(words)} numbers")
    found: dict[str, float] = {}
    for word in words:
        symbol, equals, number = word.rpartition("=")
        if not equals or not symbol:
            raise UsageError(f"{option} takes one number, or {of.upper()}=NUMBER for some {of}s, not {word!r}")
        if symbol in found:
            raise UsageError(f"{option} names {symbol!r} twice")
        found[symbol] = _number(option, number, word)
    return found


def _number(option: str, text: str, word: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{option} takes numbers, not {word!r}") from None


async def _allocation(
    db: str, symbols: list[str] | None, total: float | None, limits: dict[str, Any], wanted: Refit
) -> tuple[Allocation, ScalingConfig]:
    import asyncio

    from escala.allocation.solve import allocate
    from escala.engine.engine import PredictiveScalingEngine
    from escala.engine.keeping import keep_allocation
    from escala.engine.limits import completed
    from escala.engine.rebalancing import checked_total
    from escala.store import Store

    total = None if total is None else checked_total(total, "total")
    if wanted.is_wanted:
        async with await Store.open(db, create=False) as store:
            curves, _ = await fitted(store, symbols, wanted)
            settings, own = await store.config(), await store.symbol_config()
            chosen = completed(limits, curves.symbols.tolist(), settings, own)
            found = await asyncio.to_thread(allocate, curves, total, **chosen)
            await keep_allocation(store, found)
            return found, settings
    async with await PredictiveScalingEngine.open(db, create=False) as engine:
        names = list(await engine.store.symbols()) if symbols is None else symbols
        found = await engine.optimize_allocation(names, total, **limits)
        return found, await engine.store.config()


def _print_settings(settings: ScalingConfig, limits: dict[str, Any]) -> None:
    names = ("min_efficiency", "max_share", "min_ticket", "reserve")
    used = [f"{name} {getattr(settings, name):g}" for name in names if name not in limits]
    if used:
        say(f"by the store's settings, where a symbol has none of its own: {', '.join(used)}")


def _allocation_content(found: Allocation) -> dict[str, Any]:
    scalars = (
        "total", "money", "unallocated", "utility", "upper_bound", "gap", "shadow_price", "global_efficiency",
        "utilisation", "entropy",
    )  # fmt: skip
    return {
        **{name: getattr(found, name) for name in scalars},
        "status": found.status_name,
        "symbol": found.symbols,
        "amount": found.amounts,
        "share": found.shares,
        "efficiency": found.efficiency,
        "marginal": found.marginal,
        "binding": found.binding_names,
        "binding_group": found.binding_groups,
        "below_threshold": found.below_threshold,
        "current": found.current,
        "trade": found.trades,
        "cost": found.costs,
        "group": found.group_of,
        "group_amount": dict(zip(found.groups, found.group_amounts.tolist(), strict=True)),
        "group_price": dict(zip(found.groups, found.group_prices.tolist(), strict=True)),
        "lack_of_fit": found.curves.lack_of_fit,
        "set_aside": found.curves.set_aside,
    }


def analyze(
    *,
    symbols: Symbols = None,
    drop: float = 0.10,
    family: Family = None,
    noise: Noise = None,
    loss: Loss = None,
    group: Group = None,
    plot: Plot = None,
    db: Database = "escala.db",
    json: bool = False,
) -> None:
    """Show how far capital can grow: the curve of each symbol, where it saturates and where more returns no more.

    Parameters
    ----------
    symbols
        Instruments: --symbols A B C; by default all that have records.
    drop
        Share of the highest efficiency that is lost at saturation.
    family
        Fit this family for this question: auto, linear, quadratic, exponential, sqrt, hill, depth, power or ladder; by
        default as the store's settings say. The store keeps its own curves.
    noise
        Whether noise grows with capital: "local" where the records tell so, "even" never; "auto" is local from 40
        distinct capitals on.
    loss
        "auto" sets absurd records aside, and says so; "squares" fits them too; "student" also has the others count by
        how far off they are.
    group
        Records that belong together, of which errors count as one: those of one time, one hour or one day.
    plot
        Where a picture of the curves goes, as .png, .svg or .pdf: efficiency and what is lost; of one symbol also its
        records, what its capital returns and what the next unit does.
    db
        The store: a file or postgresql://USER:PASSWORD@HOST/NAME.
    json
        Print JSON.
    """
    check_plot(plot)
    announce_compilation()
    with progress.bar("learning curves"):
        curves, records = finished(_curves(db, symbols, Refit(family, noise, loss, group)))
    found = curves.saturation(drop)
    if plot is not None:
        from escala import plots

        save_plot(plots.analysis_figure(curves, None, records, drop=drop), plot)
    if json:
        limits = {name: value for name, value in found.to_dict().items() if name not in ("symbol", "drop")}
        print_json({"drop": drop, **curves.to_dict(), **limits})
    elif len(curves) == 1:
        _print_one(curves, found, drop)
    else:
        _print_many(curves, found, drop)
    tell_plot(plot, json=json)


async def _curves(db: str, symbols: list[str] | None, wanted: Refit) -> tuple[CurveSet, StoredRecords | None]:
    from escala.engine.engine import PredictiveScalingEngine
    from escala.store import Store

    if wanted.is_wanted:
        async with await Store.open(db, create=False) as store:
            curves, seen = await fitted(store, symbols, wanted)
            return curves, seen if len(curves) == 1 else None
    async with await PredictiveScalingEngine.open(db, create=False) as engine:
        curves = await engine.curves(symbols)
        return curves, await engine.store.records(curves.symbols.tolist()) if len(curves) == 1 else None


def _print_one(curve: CurveSet, found: Saturation, drop: float) -> None:
    from escala.text.numerals import capital

    say(_of_curve(curve))
    if not curve.has_curve[0]:
        return
    limits = {
        "curve is trusted to": capital(curve.trusted_to[0]),
        "highest efficiency": f"{curve.efficiency(found.peak)[0]:.4f} at {capital(found.peak[0])}",
        f"{100 * drop:.4g} % of it lost at": _with_interval(
            found.saturation[0], found.saturation_low[0], found.saturation_high[0]
        ),
        "capacity": _with_interval(found.capacity[0], found.capacity_low[0], found.capacity_high[0]),
        "at most comes out": "the records do not say" if math.isinf(found.ceiling[0]) else capital(found.ceiling[0]),
    }
    for name, value in limits.items():
        say(f"  {name:<22}{value}")
    say("capacity: where capital x efficiency is highest; beyond it more capital returns less in all")


def _with_interval(value: float, low: float, high: float) -> str:
    from escala.text.numerals import capital, engineering

    interval = _interval(low, high)
    if math.isinf(value):
        allowed = f"; the records also allow any from {engineering(low)} on" if interval else ""
        return f"not within that{allowed}"
    return f"{capital(value)}, 90 % interval {interval}" if interval else capital(value)


def _interval(low: float, high: float) -> str:
    """Write an interval of capitals; nothing where it says nothing."""
    from escala.text.numerals import between, engineering

    if not math.isfinite(low) or (low == 0.0 and math.isinf(high)):
        return ""
    return f"{engineering(low)} or more" if math.isinf(high) else between(low, high)


def _on_or_more(curves: CurveSet, found: Saturation) -> list[str]:
    """Say what an interval without an end means, where one is shown."""
    import numpy as np

    ends = ((found.saturation_low, found.saturation_high), (found.capacity_low, found.capacity_high))
    open_ended = [curves.has_curve & np.isfinite(low) & (low > 0.0) & np.isinf(high) for low, high in ends]
    flat = np.isin(curves.family_names, ("exponential", "hill"))
    lines = []
    if (open_ended[1] & flat).any():
        lines.append(
            "or more: the curve flattens out, so returns rise again far out; the records also allow a capacity "
            "from there"
        )
    if (open_ended[0] | (open_ended[1] & ~flat)).any():
        lines.append("or more: from there on, or not within what is trusted")
    return lines


def _print_many(curves: CurveSet, found: Saturation, drop: float) -> None:
    from escala.curves.summary import REASONS, families, of_records_aside
    from escala.text.numerals import capital

    say(f"{len(curves):,} symbols, {int(curves.n_points.sum()):,} records: {families(curves)}")
    for line in of_records_aside(curves):
        say(line)
    say()
    rows = []
    for k, symbol in enumerate(curves.symbols.tolist()):
        row = [symbol, f"{curves.n_points[k]:,}"]
        if curves.has_curve[k]:
            row += [
                curves.family_names[k],
                f"{curves.r_squared[k]:.3f}{'*' if curves.marked[k] else ' '}",
                capital(curves.observed[k, 1]),
                capital(found.saturation[k]),
                _interval(found.saturation_low[k], found.saturation_high[k]),
                capital(found.capacity[k]),
                _interval(found.capacity_low[k], found.capacity_high[k]),
                capital(found.ceiling[k]),
            ]
        else:
            row += [f"no curve: {REASONS[curves.status_names[k]]}", *[""] * 7]
        rows.append(row)
    lost = f"{100 * drop:.4g} % lost at"
    print_table(
        ["symbol", "records", "family", "R² ", "largest", lost, "(90 %)", "capacity", "(90 %)", "at most out"],
        rows,
        left=("symbol", "family", "(90 %)"),
        spare=("records", "family", "largest", "(90 %)"),
    )
    say("lost: of the highest efficiency; capacity: where capital x efficiency is highest; –: beyond what is trusted")
    say("at most out: what capital x efficiency rises to before it first falls; –: the records do not say")
    for line in _on_or_more(curves, found):
        say(line)
    if curves.marked.any():
        say("* the records follow a pattern that this curve does not (p < 0.01)")
