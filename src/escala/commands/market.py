"""Positions in a market on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import Parameter

from escala.commands.terminal import (
    Plot,
    UsageError,
    Whole,
    announce_compilation,
    check_plot,
    fields_named,
    print_json,
    print_table,
    save_plot,
    say,
    stopped,
    tell_plot,
)
from escala.errors import MarketError, did_you_mean
from escala.files.json import plain
from escala.text import progress

if TYPE_CHECKING:
    from escala.demo.prices import Prices
    from escala.market.market import Market
    from escala.market.policy import Policy
    from escala.market.processes import GBM, Merton
    from escala.market.protocol import Protocol
    from escala.market.result import MarketResult

Symbol = Literal["ETH", "BTC", "SOL"]
Rule = Literal["aave_v3", "aave_v33", "aave_v4", "comet", "morpho"]
Words = Annotated[list[str] | None, Parameter(consume_multiple=(1, 1_000))]

_PATHS: Final = 4096
_STEP_HOURS: Final = 1.0
_RATE: Final = 0.05
_DAY_HOURS: Final = 24.0
_HOUR: Final = 3600.0
_RECORDED: Final = 200  # paths that a picture's bands are of
_VALUES: Final = 20  # of a range that is given by its ends
_LIMITS: Final = {"liquidation_threshold": 0.83, "bonus": 0.05}
_DUST: Final = 1000.0
_DRAWN: Final = ("sigma", "mu", "jump_rate", "jump_mean", "jump_sd", "like", "step_hours", "paths")
#: What --over may vary beside the fields that --set knows.
_VARIED: Final = (
    "collateral", "debt", "wallet", "price", "sigma", "mu", "rate", "supply_yield", "liquidation_threshold", "bonus",
)  # fmt: skip


def market(
    file: Path | None = None,
    /,
    *,
    collateral: float | None = None,
    debt: float | None = None,
    wallet: float | None = None,
    price: float | None = None,
    sigma: float | None = None,
    mu: float | None = None,
    jump_rate: float | None = None,
    jump_mean: float | None = None,
    jump_sd: float | None = None,
    like: Symbol | None = None,
    replay: str | None = None,
    asset: Symbol | None = None,
    days: float | None = None,
    step_hours: float | None = None,
    rate: float | None = None,
    supply_yield: float | None = None,
    protocol: Rule | None = None,
    liquidation_threshold: float | None = None,
    loan_to_value: float | None = None,
    bonus: float | None = None,
    set_: Annotated[dict[str, float] | None, Parameter(name="--set")] = None,
    over: Words = None,
    paths: Whole | None = None,
    seed: Whole | None = None,
    out: Path | None = None,
    plot: Plot = None,
    threads: Whole | None = None,
    json: bool = False,
) -> None:
    """Let a loan live through prices, interest and liquidation: drawn prices, past ones, or a file of many positions.

    Parameters
    ----------
    file
        A TOML file of a sweep with model = "market" in its [design]: all but --out, --plot, --threads, --json.
    collateral
        Units of the asset that is supplied.
    debt
        What is owed, in the currency of the price.
    wallet
        Free cash; 0.
    price
        Price of a unit at the start; in a replay that of its first day.
    sigma
        Volatility of the price a year: 0.8 is 80 %.
    mu
        Growth of the mean price a year; 0.
    jump_rate
        Jumps a year; with --jump-mean and --jump-sd, those of the log price at a jump.
    jump_mean
        Mean of a jump of the log price.
    jump_sd
        Standard deviation of a jump.
    like
        In place of --sigma: volatility and jumps as the daily prices of ETH, BTC or SOL had them to July 2023.
    replay
        Past days in place of drawn ones, 2020-03-01..2020-03-31, with their lows; with --days every window of them.
    asset
        Whose past prices --replay takes: ETH (as without it), BTC or SOL.
    days
        How long.
    step_hours
        Hours a step of drawn prices; 1.
    rate
        APR of the debt: 0.05, as without it, is 5 % a year of 365 days.
    supply_yield
        APR of the collateral; 0.
    protocol
        Liquidation rule: aave_v33 (as without it), aave_v3, aave_v4, comet, morpho.
    liquidation_threshold
        Share of the collateral that counts against the debt; 0.83.
    loan_to_value
        Share of it that may be borrowed; the threshold.
    bonus
        What a liquidator gets on top of what he repays; 0.05.
    set_
        A field of protocol or policy, such as --set.deleverage-health 1.1 --set.deleverage-target 1.3 (any number).
    over
        One or two things to vary, all on the same paths: debt=6000..15000 sigma=0.4,0.8,1.2 (20 values a range).
    paths
        How many prices are drawn; 4096.
    seed
        Other random numbers; 0.
    out
        Where rows go that FILE asks for: a folder, as of escala sweep.
    plot
        Where a picture goes, as .png, .svg or .pdf: price and equity, survival, one path; with --over survival by one
        thing, or a map of the liquidation probability over two.
    threads
        Threads to use; by default all processors.
    json
        Print JSON: every statistic by name, null for infinity.
    """
    given = {
        "collateral": collateral, "debt": debt, "wallet": wallet, "price": price, "sigma": sigma, "mu": mu,
        "jump_rate": jump_rate, "jump_mean": jump_mean, "jump_sd": jump_sd, "like": like, "replay": replay,
        "asset": asset, "days": days, "step_hours": step_hours, "rate": rate, "supply_yield": supply_yield,
        "protocol": protocol, "liquidation_threshold": liquidation_threshold, "loan_to_value": loan_to_value,
        "bonus": bonus, "set": set_, "over": over, "paths": paths, "seed": seed,
    }  # fmt: skip
    asked: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    check_plot(plot)
    if file is not None:
        if asked:
            raise UsageError(f"FILE brings market, position and protocol: leave out {', '.join(map(_option, asked))}")
        _sweep(file, out, plot, threads, json)
        return
    if out is not None:
        raise UsageError("--out goes with FILE")
    _check_options(asked)
    fields = _fields(set_ or {}, asked.get("protocol", "aave_v33"))
    varied = _varied(over or [], asked)
    announce_compilation()
    with stopped("nothing was kept"), progress.bar("simulating", unit="paths") as told:
        try:
            found = _simulate({**asked, **varied}, {**fields, **varied}, plot is not None, threads, told)
        except MarketError as error:
            raise _about_option(error, asked, fields, varied) from None
    _show(found, over_values(varied), plot, json)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _sweep(file: Path, out: Path | None, plot: Path | None, threads: int | None, json: bool) -> None:
    from escala.commands import sweeps
    from escala.sweeps.settings import from_toml

    settings = from_toml(file)
    name = settings.design.model.name
    if name != "market":
        raise UsageError(f'{file}: [design] must say model = "market", not {name!r}; escala sweep takes any')
    sweeps.work_through(settings, out=out, plot=plot, threads=threads, json=json)


def _check_options(asked: Mapping[str, Any]) -> None:
    """Refuse options that contradict each other, or leave open what is needed."""
    needed = ["collateral", "debt", *([] if "replay" in asked else ["price", "days"])]
    missing = [_option(name) for name in needed if name not in asked]
    if "replay" not in asked and "sigma" not in asked and "like" not in asked:
        missing.append("--sigma (or --like ETH)")
    if missing:
        raise UsageError(f"market needs {', '.join(missing)}; or --replay FROM..TO, or FILE.toml")
    if "replay" in asked:
        wrong = [_option(name) for name in _DRAWN if name in asked]
        if wrong:
            raise UsageError(f"--replay brings its prices and a step a day: leave out {', '.join(wrong)}")
    elif "asset" in asked:
        raise UsageError("--asset says whose prices --replay takes: without it there is --like")
    if "like" in asked:
        wrong = [_option(name) for name in ("sigma", "jump_rate", "jump_mean", "jump_sd") if name in asked]
        if wrong:
            raise UsageError(f"--like brings volatility and jumps: leave out {', '.join(wrong)}")
    jumps = [name for name in ("jump_rate", "jump_mean", "jump_sd") if name in asked]
    if 0 < len(jumps) < 3:
        raise UsageError("--jump-rate, --jump-mean and --jump-sd go together")


def _fields(given: Mapping[str, float], rule: str) -> dict[str, Any]:
    """Give the fields of protocol and policy by the names of the tables."""
    from escala import tables

    known = _settable(rule)
    found: dict[str, Any] = {}
    for name, value in fields_named(given).items():
        if name not in known:
            written = name.replace("_", "-")
            whole = tables.names((*tables.PROTOCOL_FIELDS, *tables.POLICY_FIELDS))
            why = f" of {rule}" if name in whole and not name.startswith("loop") else ""
            raise UsageError(f"--set.{written}: no such field{why}{did_you_mean(name, known)}")
        found[name] = value
    if rule in ("aave_v33", "aave_v4"):
        found.setdefault("dust", _DUST)
    if rule == "comet" and "liquidation_factor" not in found:
        raise UsageError("comet needs --set.liquidation-factor: what share of the collateral's worth it credits")
    return found


def _settable(rule: str) -> tuple[str, ...]:
    from escala import tables

    policy = tuple(name for name in tables.names(tables.POLICY_FIELDS) if not name.startswith("loop"))
    gas = () if rule == "comet" else ("liquidator_gas",)
    own = {
        "aave_v33": ("dust",),
        "aave_v4": ("dust", "target_health", "health_for_max_bonus", "bonus_factor"),
        "comet": ("liquidation_factor",),
    }.get(rule, ())
    return (*policy, "overshoot", *gas, *own)


def _varied(words: list[str], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Read what is varied; the second of two goes along another axis."""
    import numpy as np

    if len(words) > 2:
        raise UsageError(f"--over takes one or two things, not {len(words)}")
    found: dict[str, Any] = {}
    known = (*_VARIED, *_settable(str(asked.get("protocol", "aave_v33"))))
    for word in words:
        written, sign, rest = word.partition("=")
        name = written.replace("-", "_")
        if not sign:
            raise UsageError(f"--over: written as debt=6000..15000 or debt=6000,9000, not {word}")
        if name in found:
            raise UsageError(f"--over: cannot vary {written} twice")
        if name not in known:
            raise UsageError(f"--over: cannot vary {written}{did_you_mean(name, known)}")
        if name == "sigma" and ("replay" in asked or "like" in asked):
            raise UsageError("--over sigma: --replay and --like bring volatility")
        if name == "price" and "replay" in asked:
            raise UsageError("--over price: vary the debt in a replay")
        found[name] = _values(written, rest)
    if len(found) == 2:
        second = list(found)[1]
        found[second] = np.asarray(found[second])[:, None]
    return found


def _values(name: str, text: str) -> Any:
    import numpy as np

    low, dots, high = text.partition("..")
    try:
        numbers = [float(part) for part in ((low, high) if dots else text.split(","))]
    except ValueError:
        raise UsageError(f"--over {name}: written as LOW..HIGH or as numbers with commas, not {text!r}") from None
    return np.linspace(numbers[0], numbers[1], _VALUES) if dots else np.array(numbers)


def over_values(varied: Mapping[str, Any]) -> dict[str, Any]:
    """Give what was varied as columns of one axis each."""
    return {name: values.reshape(-1) for name, values in varied.items()}


def _simulate(
    asked: Mapping[str, Any], fields: Mapping[str, Any], pictured: bool, threads: int | None, told: Any
) -> MarketResult:
    from escala.market.policy import Policy
    from escala.market.simulate import simulate_market
    from escala.tables import POLICY_FIELDS, names

    lived, count = _replayed(asked) if "replay" in asked else _drawn(asked)
    policy: Policy = Policy(**{name: fields[name] for name in names(POLICY_FIELDS) if name in fields})
    one = not any(getattr(value, "ndim", 0) for value in asked.values())
    recorded = min(count, _RECORDED) if pictured and one else 0
    record = [(0, k * count // recorded) for k in range(recorded)]  # of past windows, evenly spread ones
    return simulate_market(
        asked["collateral"], asked["debt"], wallet=asked.get("wallet", 0.0), market=lived,
        protocol=_protocol(asked, fields), policy=policy, paths=None if "replay" in asked else count,
        seed=asked.get("seed", 0), keep="rows" if pictured else "summary", record=record, threads=threads,
        progress=told,
    )  # fmt: skip


def _drawn(asked: Mapping[str, Any]) -> tuple[Market, int]:
    """Give a market of drawn prices, and how many are drawn."""
    from escala.market.market import Asset, FixedRate, Market

    hours = float(asked.get("step_hours", _STEP_HOURS))
    steps = _DAY_HOURS * float(asked["days"]) / hours if hours > 0.0 else 0.0
    if abs(steps - round(steps)) > 1e-9 * steps or not steps >= 1.0:
        raise UsageError("--days must be a whole number of steps of --step-hours, 1 or more")
    asset = Asset(asked["price"], _process(asked), asked.get("supply_yield", 0.0))
    rate = FixedRate(asked.get("rate", _RATE))
    return Market([asset], rate, dt=hours * _HOUR, steps=round(steps), barrier=True), int(asked.get("paths", _PATHS))


def _process(asked: Mapping[str, Any]) -> GBM | Merton:
    import dataclasses

    from escala.market.processes import GBM, Merton

    mu = asked.get("mu", 0.0)
    if "like" in asked:
        from escala.demo.prices import DAY, load_prices

        symbol = str(asked["like"])
        fitted = Merton.from_prices(load_prices().between(symbol).close[symbol], dt=DAY)
        return dataclasses.replace(fitted, mu=mu)
    if "jump_rate" in asked:
        return Merton(mu, asked["sigma"], asked["jump_rate"], asked["jump_mean"], asked["jump_sd"])
    return GBM(mu, asked["sigma"])


def _replayed(asked: Mapping[str, Any]) -> tuple[Market, int]:
    """Give a market of past days, and how many windows it has."""
    from escala.demo.prices import DAY
    from escala.market.market import Asset, FixedRate, Market
    from escala.market.processes import Replay

    past, symbol = _past(asked)
    days = float(asked.get("days", len(past) - 1))
    if days != round(days) or not 1.0 <= days < len(past):
        raise UsageError(f"--days must be a whole number from 1 to {len(past) - 1}, the days that --replay has")
    windows = len(past) - int(days)
    if "price" not in asked and windows > 1:
        raise UsageError(f"--replay has {windows:,} windows of {days:g} days: --price says what all of them begin with")
    asset = Asset(asked.get("price", float(past.close[symbol][0])), None, asked.get("supply_yield", 0.0))
    process = Replay(past.close[symbol], past.low[symbol])
    rate = FixedRate(asked.get("rate", _RATE))
    return Market([asset], rate, dt=DAY, steps=int(days), joint=process, barrier=True), windows


def _past(asked: Mapping[str, Any]) -> tuple[Prices, str]:
    from escala.demo.prices import load_prices

    symbol, text = str(asked.get("asset", "ETH")), str(asked["replay"])
    first, dots, last = text.partition("..")
    if not dots:
        raise UsageError(f"--replay is written as 2020-03-01..2020-03-31, not {text!r}")
    try:
        return load_prices().between(symbol, first or None, last or None), symbol
    except MarketError as error:
        raise UsageError(f"--replay {text}: {error}") from None


def _protocol(asked: Mapping[str, Any], fields: Mapping[str, Any]) -> Protocol:
    from escala.market.protocol import Protocol

    rule = str(asked.get("protocol", "aave_v33"))
    limits = {name: asked.get(name, otherwise) for name, otherwise in _LIMITS.items()}
    limits["loan_to_value"] = asked.get("loan_to_value", limits["liquidation_threshold"])
    if rule in ("morpho", "comet"):
        if "bonus" in asked:
            raise UsageError(f"--bonus: {rule} has none of its own to choose")
        del limits["bonus"]
    own = {name: fields[name] for name in _settable(rule) if name in fields and name not in _policy_names()}
    made: Protocol = getattr(Protocol, rule)(**limits, **own)
    return made


def _policy_names() -> tuple[str, ...]:
    from escala.tables import POLICY_FIELDS, names

    return names(POLICY_FIELDS)


def _about_option(
    error: MarketError, asked: Mapping[str, Any], fields: Mapping[str, Any], varied: Mapping[str, Any]
) -> MarketError:
    """Name the option that an error is about, where it is about one."""
    for name in error.arguments:
        if name in varied:
            return MarketError(f"--over {name.replace('_', '-')}: {error}", arguments=error.arguments)
        if name in fields:
            return MarketError(f"--set.{name.replace('_', '-')}: {error}", arguments=error.arguments)
        if name in asked:
            return MarketError(f"{_option(name)}: {error}", arguments=error.arguments)
    return error


def _show(found: MarketResult, varied: Mapping[str, Any], plot: Path | None, json: bool) -> None:
    if plot is not None:
        save_plot(_picture(found, varied), plot)
    if json:
        hours = found.market.steps * found.market.dt / _HOUR
        content = {"paths": found.sampling.paths, "hours": hours, "level": found.level, "over": dict(varied)}
        print_json({**content, **plain(found.to_dict())})
    else:
        say(found.summary())
        if len(varied) == 1:
            say()
            _print_one_by_one(found, *next(iter(varied.items())))
    tell_plot(plot, json=json)


def _picture(found: MarketResult, varied: Mapping[str, Any]) -> Any:
    from escala import plots
    from escala.text.numerals import engineering

    if not varied:
        return plots.market_figure(found)
    columns, names = list(varied.values()), list(varied)
    if len(varied) == 1:
        labels = [f"{names[0]} {engineering(float(value), 4)}" for value in columns[0]]
        return plots.survival(found, labels=labels)
    return plots.risk_map(found, columns[0], columns[1][:, None], labels=names)


def _print_one_by_one(found: MarketResult, name: str, values: Any) -> None:
    """Print a row a value: how likely liquidation is, and what is left on average."""
    from escala.text.numerals import amount

    low, high = found.interval("liquidation_probability")
    rows = [
        [
            f"{value:.6g}", f"{found.liquidation_probability[k]:.2%}", f"{low[k]:.2%} to {high[k]:.2%}",
            amount(float(found.mean("end_equity")[k])), amount(float(found.error("end_equity")[k])),
            amount(float(found.cvar[k])),
        ]
        for k, value in enumerate(values)
    ]  # fmt: skip
    print_table(
        [name, "liquidated", f"{found.level:.0%} interval", "equity at the end", "error",
         f"lost in the worst {1.0 - found.level:.0%}"],
        rows,
    )  # fmt: skip
