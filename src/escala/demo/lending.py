"""The main job on real input, second half: the lending loop over 374 Aave accounts, wallets, targets and strategies."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import numpy as np

from escala import kernels
from escala.arrays import Floats
from escala.lending.result import LendingResult, StopReason
from escala.lending.simulate import simulate
from escala.lending.strategy import LendingStrategy
from escala.text.numerals import ratio

#: Free cash and targets, as multiples of an account's supply: the data hold neither.
WALLETS: Final = (0.0, 0.1, 0.25)
TARGETS: Final = (1.1, 1.25, 1.5, 2.0, 3.0)
#: Strategy fields that are varied, every value with every other.
VARIED: Final[Mapping[str, tuple[float, ...]]] = {
    "repay": (0.05, 0.11, 0.20),
    "draw_fraction": (0.60, 0.80, 0.95),
    "reinvest_far": (0.60, 0.90),
    "min_health_factor": (1.01, 1.10, 1.25),
}
_LTV_FIELDS: Final = ("target_ltv", "target_ltv_stalled", "ltv_floor", "ltv_ceiling")
_BEST = 5


@dataclass(frozen=True)
class Accounts:
    """Real accounts: arrays of one element an account, amounts in the data's unit of account."""

    supply: Floats
    borrow: Floats
    liquidation_threshold: Floats
    loan_to_value: Floats
    reported_health_factor: Floats
    #: Debts of accounts without any collateral, which cannot be simulated.
    left_over: Floats


def load_accounts() -> Accounts:
    """Read the accounts that are shipped with the package."""
    packed = files("escala").joinpath("demo/data/aave_positions.csv.gz").read_bytes()
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(packed).decode())))
    columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    kept = columns["supply"] > 0.0
    return Accounts(
        supply=columns["supply"][kept],
        borrow=columns["borrow"][kept],
        liquidation_threshold=columns["liquidation_threshold"][kept],
        loan_to_value=columns["loan_to_value"][kept],
        reported_health_factor=columns["health_factor"][kept],
        left_over=columns["borrow"][~kept],
    )


@dataclass(frozen=True)
class Study:
    """The demo's result: axes are strategy, account, wallet, target."""

    accounts: Accounts
    strategies: list[dict[str, float]]
    result: LendingResult
    seconds: float


def scenarios(accounts: Accounts) -> int:
    """Count the scenarios of :func:`run`."""
    varied = int(np.prod([len(values) for values in VARIED.values()]))
    return varied * accounts.supply.size * len(WALLETS) * len(TARGETS)


def run(accounts: Accounts, *, threads: int | None = None, progress: Callable[[int], object] | None = None) -> Study:
    """Simulate every account with every wallet, target and strategy."""
    strategies = [dict(zip(VARIED, values, strict=True)) for values in itertools.product(*VARIED.values())]
    varied = {name: np.array([s[name] for s in strategies])[:, None, None, None] for name in VARIED}
    own_limit = accounts.loan_to_value[:, None, None]
    default = LendingStrategy()
    capped = {name: np.minimum(getattr(default, name), own_limit) for name in _LTV_FIELDS}
    strategy = default.replace(liquidation_threshold=accounts.liquidation_threshold[:, None, None], **capped, **varied)
    supply = accounts.supply[:, None, None]
    kernels.load_all()  # compiled once and kept; not a part of the time that is reported
    started = time.perf_counter()
    result = simulate(
        supply,
        accounts.borrow[:, None, None],
        supply * np.array(TARGETS),
        supply * np.array(WALLETS)[:, None],
        strategy=strategy,
        threads=threads,
        progress=progress,
    )
    return Study(accounts, strategies, result, time.perf_counter() - started)


@dataclass(frozen=True)
class Ranked:
    """One strategy over all accounts, wallets and targets that were not met from the start."""

    fields: dict[str, float]
    reached: float
    equity_change: float
    lowest_health_factor: float


def rank(study: Study) -> list[Ranked]:
    """Order the strategies: most targets reached, then least equity lost, then highest lowest health factor."""
    result = study.result
    ranked = []
    for k, fields in enumerate(study.strategies):
        equity = result.start_net_equity[k]
        sound = equity > 0.0
        ranked.append(
            Ranked(
                fields=fields,
                reached=float(np.mean(result.stop[k] == StopReason.TARGET_REACHED)),
                equity_change=float(np.mean(result.net_equity_change[k][sound] / equity[sound])),
                lowest_health_factor=float(np.min(result.lowest_health_factor[k])),
            )
        )
    return sorted(ranked, key=lambda r: (-r.reached, -r.equity_change, -r.lowest_health_factor))


def report(study: Study, threads: int) -> str:
    """Say what was simulated, how it ended and which strategies did best."""
    accounts, result = study.accounts, study.result
    ours = result.start_health_factor[0, :, 0, 0]
    agreement = float(np.max(np.abs(ours / accounts.reported_health_factor - 1.0)))
    operations = int((result.executed + result.skipped).sum())
    left = ", ".join(f"{debt:.6g}" for debt in accounts.left_over)
    lines = [
        f"{accounts.supply.size + accounts.left_over.size} real Aave accounts; "
        f"{accounts.left_over.size} has no collateral and a debt of {left} left over: not simulated",
        f"health factors equal the protocol's own to {agreement:.1e} (relative), for all {accounts.supply.size}",
        f"{accounts.supply.size} accounts x {len(WALLETS)} wallets x {len(TARGETS)} targets x "
        f"{len(study.strategies)} strategies, each LTV limit capped at the account's own:",
        "",
        result.summary(),
        "",
        f"{study.seconds:.2f} s on {threads} thread{'s' if threads > 1 else ''}: "
        f"{result.size / study.seconds:,.0f} scenarios/s, {operations / study.seconds / 1e6:,.1f} million operations/s",
        "",
        "best strategies by targets reached, then least equity lost, then highest lowest health factor:",
        "".join(f"{name:>18}" for name in VARIED) + f"{'reached':>12}{'equity change':>15}{'lowest health':>15}",
    ]
    for best in rank(study)[:_BEST]:
        values = "".join(f"{value:>18g}" for value in best.fields.values())
        lowest = ratio(best.lowest_health_factor)
        lines.append(f"{values}{best.reached:>12.2%}{best.equity_change:>+15.3%}{lowest:>15}")
    lines.append(
        "equity change is the mean; all other fields at their defaults; profit is cash drawn by new debt: no ranking"
    )
    return "\n".join(lines)
