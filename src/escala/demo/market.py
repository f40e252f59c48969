"""The main job on real input, last part: 374 Aave accounts live through every month of the past, and drawn ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala import kernels
from escala.arrays import Floats
from escala.curves.fitting import fit
from escala.demo.accounts import Accounts
from escala.demo.prices import DAY, Prices
from escala.market.depth import Depth
from escala.market.market import Asset, FixedRate, Market
from escala.market.policy import Policy
from escala.market.processes import Merton
from escala.market.protocol import Protocol
from escala.market.result import MarketResult
from escala.market.simulate import simulate_market
from escala.sources.files import read
from escala.text.numerals import counted

#: Days that every account lives through.
DAYS: Final = 30
PATHS: Final = 4096
#: APR of the debt.
RATE: Final = 0.05
#: What Aave 3.3 says in dollars: no less than this is left over. Bonuses for ETH, and for accounts in its e-mode.
DUST: Final = 1000.0
BONUS: Final = 0.05
BONUS_EMODE: Final = 0.01
_EMODE_FROM: Final = 0.9  # liquidation thresholds of single assets are lower
#: What one liquidation, or one sale, costs in USD: many of the accounts hold less than a transaction on Ethereum costs.
GAS: Final = 0.05
#: Below which health factor the owner sells, until which one, and the exchange's fee.
SELLS_BELOW: Final = 1.10
SELLS_UNTIL: Final = 1.25
FEE: Final = 0.0005
_HOUR: Final = 3600.0
_AT_ONCE: Final = 128  # accounts whose paths are kept together
_BATCH: Final = 60  # windows whose mean is one number of an error: neighbours share most of their days
_WORST: Final = 5
_KEPT: Final = ("first_liquidation", "liquidation_loss", "end_equity", "end_step", "fees", "gas", "slippage")
#: What owners do, in words.
WAYS: Final = ("doing nothing", "deleveraging")


@dataclass(frozen=True)
class Outcome:
    """What became of all accounts on all paths: arrays of accounts by paths.

    Attributes
    ----------
    start : (n, 1) float64
        Equity at the start.
    end : (n, m) float64
        At the end.
    first : (n, m) int64
        Step of the first liquidation, −1 without one.
    lost : (n, m) float64
        To liquidators.
    paid : (n, m) float64
        For the owners' sales: fees, gas, slippage.
    position_steps : int
    """

    start: Floats
    end: Floats
    first: npt.NDArray[np.int64]
    lost: Floats
    paid: Floats
    position_steps: int

    @property
    def liquidated(self) -> npt.NDArray[np.bool_]:
        """Tell which accounts were liquidated on which paths."""
        return self.first >= 0

    def equity_lost(self) -> Floats:
        """Give shares of equity lost by accounts that had some, on the paths on which they were liquidated."""
        with np.errstate(divide="ignore", invalid="ignore"):
            lost = (self.start - self.end) / self.start
        return lost[self.liquidated & (self.start > 0.0)]


@dataclass(frozen=True)
class Study:
    """The demo's result."""

    accounts: Accounts
    prices: Prices
    fitted: Merton
    depth: Depth
    sale_loss: Floats
    past: Mapping[str, Outcome]
    drawn: Mapping[str, Outcome]
    rehearsed: Outcome
    seconds: float

    @property
    def position_steps(self) -> int:
        """Steps of positions that were walked."""
        return sum(one.position_steps for one in (*self.past.values(), *self.drawn.values(), self.rehearsed))


def book_depth() -> tuple[Depth, Floats]:
    """Fit what selling ETH keeps, to the order book that is shipped; and give what selling 1 and 10 M loses."""
    book = files("escala").joinpath("demo/data/order_book_ethusdt_spot.csv.gz")
    curves = fit(read(book, symbol="ETH").to_dict())["ETH sell"]
    return Depth.curve(curves), 1.0 - curves.efficiency([1e6, 1e7])


def protocol(accounts: Accounts, depth: Depth) -> Protocol:
    """Give Aave 3.3 with each account's own limits."""
    limits = accounts.liquidation_threshold
    return Protocol.aave_v33(
        limits, accounts.loan_to_value, np.where(limits > _EMODE_FROM, BONUS_EMODE, BONUS), dust=DUST,
        liquidator_gas=GAS, liquidator_depth=depth,
    )  # fmt: skip


def next_protocol(accounts: Accounts, depth: Depth) -> Protocol:
    """Give the same limits under Aave 4: a liquidation repays what restores a health factor of 1.05, no more."""
    p = protocol(accounts, depth)
    return Protocol.aave_v4(
        p.liquidation_threshold, p.loan_to_value, p.bonus, dust=DUST, liquidator_gas=GAS, liquidator_depth=depth
    )


def policies(depth: Depth) -> dict[str, Policy]:
    """Give what owners do, by name."""
    sells = Policy(
        deleverage_health=SELLS_BELOW, deleverage_target=SELLS_UNTIL, fee_rate=FEE, gas=GAS, depth=depth
    )  # fmt: skip
    return dict(zip(WAYS, (Policy(), sells), strict=True))


def markets(prices: Prices, fitted: Merton) -> dict[str, Market]:
    """Give the past, window by window, and what is drawn like it."""
    now, rate = float(prices.close["ETH"][-1]), FixedRate(RATE)
    past = Market([Asset(now)], rate, dt=DAY, steps=DAYS, joint=prices.replay("ETH"), barrier=True)
    drawn = Market([Asset(now, fitted)], rate, dt=_HOUR, steps=DAYS * 24, barrier=True)
    return {"past": past, "drawn": drawn}


def run(
    accounts: Accounts,
    prices: Prices,
    *,
    paths: int = PATHS,
    threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> Study:
    """Let all accounts live through all windows and paths; the time is that of these runs, compiled code at hand."""
    kernels.load_all()
    depth, sale_loss = book_depth()
    fitted = replace(Merton.from_prices(prices.close["ETH"], dt=DAY), mu=0.0)
    known = markets(prices, fitted)
    rules, acts = protocol(accounts, depth), policies(depth)
    started = time.perf_counter()

    def lived(market: Market, rule: Protocol, policy: Policy) -> Outcome:
        return _lived(accounts, market, rule, policy, paths, threads, progress)

    past = {way: lived(known["past"], rules, policy) for way, policy in acts.items()}
    drawn = {way: lived(known["drawn"], rules, policy) for way, policy in acts.items()}
    rehearsed = lived(known["drawn"], next_protocol(accounts, depth), acts[WAYS[0]])
    seconds = time.perf_counter() - started
    return Study(accounts, prices, fitted, depth, sale_loss, past, drawn, rehearsed, seconds)


def scenarios(accounts: Accounts, prices: Prices) -> int:
    """Count the paths that :func:`run` reports as done."""
    blocks = -(-accounts.supply.size // _AT_ONCE)
    return blocks * (len(WAYS) * (len(prices) - DAYS) + (len(WAYS) + 1) * PATHS)


def _lived(
    accounts: Accounts,
    market: Market,
    rules: Protocol,
    policy: Policy,
    paths: int,
    threads: int | None,
    progress: Callable[[int], object] | None,
) -> Outcome:
    """Run the accounts block by block: all outputs of all of them at once would take gigabytes."""
    units = accounts.supply / float(np.asarray(market.assets[0].price))
    parts = []
    for first in range(0, units.size, _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        limits: dict[str, Any] = {name: array[some] for name, array in rules.asset_numbers().items() if array.ndim}
        own = replace(rules, **limits)
        found = simulate_market(
            units[some], accounts.borrow[some], market=market, protocol=own, policy=policy,
            paths=None if market.joint is not None else paths, keep="rows", threads=threads, progress=progress,
        )  # fmt: skip
        parts.append(_columns(found))
    column = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Outcome(
        column["start_equity"], column["end_equity"], column["first_liquidation"], column["liquidation_loss"],
        column["paid"], int(column["end_step"].sum()),
    )  # fmt: skip


def _columns(found: MarketResult) -> dict[str, Any]:
    rows = found.rows
    kept = {name: rows[name] for name in ("first_liquidation", "liquidation_loss", "end_equity")}
    return {
        **{name: np.array(column) for name, column in kept.items()},  # copies: the rest is let go
        "start_equity": rows["start_equity"][:, :1].copy(),
        "end_step": rows["end_step"].sum(axis=1),
        "paid": rows["fees"] + rows["gas"] + rows["slippage"],
    }


def error_of(values: Floats, *, overlapping: bool) -> float:
    """Give the standard error of the mean over paths; of windows that overlap by means over stretches of them."""
    if overlapping:
        values = np.array([part.mean() for part in np.array_split(values, max(2, values.size // _BATCH))])
    return float(values.std(ddof=1) / np.sqrt(values.size))


@dataclass(frozen=True)
class Window:
    """A stretch of the past, and what it did to the accounts, by what their owners do."""

    first: str
    last: str
    price_change: float
    lowest_price_change: float
    liquidated: tuple[int, ...]
    lost: tuple[float, ...]


def worst_windows(study: Study) -> list[Window]:
    """Give the windows in which most accounts were liquidated, of those that have no day in common."""
    hurt = study.past[WAYS[0]].liquidated.sum(axis=0)
    order = np.lexsort((-study.past[WAYS[0]].lost.sum(axis=0), -hurt))
    chosen: list[int] = []
    for start in order.tolist():
        if all(abs(start - other) > DAYS for other in chosen):
            chosen.append(start)
            if len(chosen) == _WORST:
                break
    return [_window(study, start) for start in chosen]


def _window(study: Study, start: int) -> Window:
    close, low = study.prices.close["ETH"], study.prices.low["ETH"]
    outcomes = study.past.values()
    return Window(
        first=str(study.prices.day[start]),
        last=str(study.prices.day[start + DAYS]),
        price_change=float(close[start + DAYS] / close[start] - 1.0),
        lowest_price_change=float(low[start + 1 : start + DAYS + 1].min() / close[start] - 1.0),
        liquidated=tuple(int(one.liquidated[:, start].sum()) for one in outcomes),
        lost=tuple(float(one.lost[:, start].sum()) for one in outcomes),
    )


def figures(outcome: Outcome, *, steps_a_day: float, overlapping: bool) -> dict[str, float]:
    """Give what is told of one column: probability, when, and what is lost."""
    share = outcome.liquidated.mean(axis=0)
    days = outcome.first[outcome.liquidated] / steps_a_day
    lost, of_equity = outcome.lost[outcome.liquidated], outcome.equity_lost()
    return {
        "probability": float(share.mean()),
        "probability_error": error_of(share, overlapping=overlapping),
        "never": int((~outcome.liquidated.any(axis=1)).sum()),
        "days_median": _quantile(days, 0.5),
        "lost_median": _quantile(lost, 0.5),
        "lost_95": _quantile(lost, 0.95),
        "equity_lost_median": _quantile(of_equity, 0.5),
        "equity_lost_95": _quantile(of_equity, 0.95),
    }


def _quantile(values: npt.NDArray[Any], share: float) -> float:
    return float(np.quantile(values, share)) if values.size else float("nan")


def automation(without: Outcome, with_it: Outcome, *, overlapping: bool) -> dict[str, float]:
    """Give what deleveraging saves and costs all accounts together, on average, in USD."""
    saved, paid = (without.lost - with_it.lost).sum(axis=0), with_it.paid.sum(axis=0)
    better = (with_it.end - without.end).sum(axis=0)
    return {
        "saved": float(saved.mean()),
        "saved_error": error_of(saved, overlapping=overlapping),
        "paid": float(paid.mean()),
        "paid_error": error_of(paid, overlapping=overlapping),
        "better": float(better.mean()),
        "better_error": error_of(better, overlapping=overlapping),
    }


def content(study: Study) -> dict[str, Any]:
    """Give the figures by name."""
    found: dict[str, Any] = {}
    for name, outcomes, each, overlapping in _kinds(study):
        found[name] = {
            **{way: figures(one, steps_a_day=each, overlapping=overlapping) for way, one in outcomes.items()},
            "automation": automation(*outcomes.values(), overlapping=overlapping),
        }
    gained = (study.rehearsed.end - study.drawn[WAYS[0]].end).sum(axis=0)
    return {
        **found,
        "worst_windows": [vars(window) for window in worst_windows(study)],
        "rehearsal": {"aave_v4_better": float(gained.mean()), "error": error_of(gained, overlapping=False)},
        "process": {name: getattr(study.fitted, name) for name in ("sigma", "jump_rate", "jump_mean", "jump_sd")},
        "position_steps": study.position_steps,
        "seconds": study.seconds,
    }


def _kinds(study: Study) -> list[tuple[str, Mapping[str, Outcome], float, bool]]:
    return [("past", study.past, 1.0, True), ("drawn", study.drawn, 24.0, False)]


def _dollars(value: float, error: float | None = None) -> str:
    """Write dollars with the prefix that they need: 12.3 k, 4.56 M."""
    scale, prefix = (1e6, " M") if abs(value) >= 1e6 else (1e3, " k") if abs(value) >= 1e4 else (1.0, "")
    digits = 2 if scale > 1.0 or abs(value) < 100.0 else 0
    shown = f"{value / scale:,.{digits}f}"
    return shown + (f" ± {error / scale:,.{digits}f}" if error is not None else "") + prefix


def report(study: Study, threads: int) -> str:
    """Say what was simulated, who is liquidated, when, at what loss, and what automation does about it."""
    told = content(study)
    parts = (_introduction(study), _table(study, told), _words(told), _windows(study), _speed(study, threads))
    return "\n\n".join("\n".join(part) for part in parts)


def _introduction(study: Study) -> list[str]:
    a, f = study.accounts, study.fitted
    ours = a.supply * a.liquidation_threshold / a.borrow
    agreement = float(np.max(np.abs(ours / a.reported_health_factor - 1.0)))
    first, last = study.prices.day[0], study.prices.day[-1]
    small, large = study.sale_loss
    return [
        f"{a.supply.size + a.left_over.size} real Aave accounts; {a.left_over.size} has no collateral and a debt of "
        f"{a.left_over.sum():.6g} left over: not simulated",
        f"health factors equal the protocol's own to {agreement:.1e} (relative), for all {a.supply.size}",
        f"{DAYS} days each, collateral taken as ETH and debt as dollars, whatever they were: "
        f"{_dollars(float(a.supply.sum()))} USD of ETH",
        f"against {_dollars(float(a.borrow.sum()))} USD of debt, which grows by {RATE:.0%} APR; "
        f"{counted(int((ours < 1.0).sum()), 'account')} can be liquidated from the start",
        "Aave 3.3: half of a debt may be repaid, all of it below a health factor of 0.95 or 2,000 USD, for a bonus",
        f"of {BONUS:.0%} ({BONUS_EMODE:.0%} in e-mode); deleveraging: below a health factor of {SELLS_BELOW:.2f} at "
        "the end of a day (past) or an hour (drawn)",
        f"ETH is sold until it is {SELLS_UNTIL:.2f}; exchange fee {FEE:.2%}, gas {GAS:.2f} USD; sales go into the "
        "order book of ETH/USDT of",
        f"2024-08-08, as fitted: 1 M USD loses {small:.2%}, 10 M {large:.2%}; drawn: GBM with jumps fitted to "
        f"{first} … {last}:",
        f"sigma {_one(f.sigma):.2f} a year, {_one(f.jump_rate):.0f} jumps a year of {_one(f.jump_sd):.1%}, without its "
        "drift: what prices rose by is no forecast",
    ]


def _one(field: Any) -> float:
    return float(field)


def _table(study: Study, told: Mapping[str, Any]) -> list[str]:
    windows, paths = (one[WAYS[0]].end.shape[1] for one in (study.past, study.drawn))
    columns = [told[name][way] for name in ("past", "drawn") for way in WAYS]
    rows: list[tuple[str, Callable[[Mapping[str, float]], str]]] = [
        ("liquidated, of 100 accounts", lambda c: f"{100 * c['probability']:.2f} ± {100 * c['probability_error']:.2f}"),
        ("accounts that never are", lambda c: f"{c['never']:.0f}"),
        ("for the first time after (median)", lambda c: f"{c['days_median']:.1f} days"),
        ("taken by liquidators, median, USD", lambda c: _dollars(c["lost_median"])),
        ("   95 % of them less than", lambda c: _dollars(c["lost_95"])),
        ("equity lost in all, median", lambda c: f"{c['equity_lost_median']:.1%}"),
        ("   95 % of them less than", lambda c: f"{c['equity_lost_95']:.1%}"),
    ]
    heads = (f"all {windows:,} windows of the past, daily", f"{paths:,} drawn paths, hourly")
    return [
        (" " * 34 + "".join(f"{head:^36}" for head in heads)).rstrip(),
        f"{'':<34}" + "".join(f"{way:>18}" for way in (*WAYS, *WAYS)),
        *(f"{words:<34}" + "".join(f"{write(column):>18}" for column in columns) for words, write in rows),
        f"± standard error; windows overlap: that of means over {_BATCH} in a row; losses are those of the liquidated,",
        "equity with what prices did to it",
    ]


def _words(told: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, words in (("past", "in the past"), ("drawn", "on drawn paths")):
        a = told[name]["automation"]
        lines.append(
            f"deleveraging {words} saves {_dollars(a['saved'], a['saved_error'])} USD of what liquidators took and "
            f"costs {_dollars(a['paid'], a['paid_error'])} USD in sales;"
        )
        lines.append(
            f"   all accounts together end with {_dollars(a['better'], a['better_error'])} USD more on average, what "
            "prices did to what was sold included"
        )
    r = told["rehearsal"]
    lines.append(
        "rehearsal: under Aave 4, where liquidation stops at a health factor of 1.05, those who do nothing end with "
        f"{_dollars(r['aave_v4_better'], r['error'])} USD more"
    )
    return lines


def _windows(study: Study) -> list[str]:
    lines = [
        f"the {_WORST} windows that hurt most, none of them overlapping",
        f"{'from':<12}{'to':<12}{'ETH':>8}{'at worst':>10}{'liquidated':>12}{'lost, USD':>12}"
        f"{'deleveraging':>15}{'lost, USD':>12}",
    ]
    for w in worst_windows(study):
        ours = "".join(
            f"{count:>{width}}{_dollars(lost):>12}"
            for count, lost, width in zip(w.liquidated, w.lost, (12, 15), strict=True)
        )
        lines.append(f"{w.first:<12}{w.last:<12}{w.price_change:>+8.0%}{w.lowest_price_change:>+10.0%}{ours}")
    return lines


def _speed(study: Study, threads: int) -> list[str]:
    steps, seconds = study.position_steps, study.seconds
    return [
        f"{steps / 1e9:,.2f} billion position-steps in {seconds:.1f} s on {counted(threads, 'thread')}, statistics "
        f"included: {steps / seconds / 1e6:,.0f} million a second"
    ]
