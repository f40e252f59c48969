"""Plans and previews of a position on the command line."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from escala.commands.terminal import (
    Plot,
    UsageError,
    Whole,
    announce_compilation,
    check_plot,
    print_json,
    save_plot,
    say,
    tell_plot,
)
from escala.errors import ScenarioError
from escala.files.json import plain

if TYPE_CHECKING:
    from escala.lending.planned import Planned

Words = Annotated[list[str] | None, Parameter(consume_multiple=(1, 1_000))]


def plan(
    *,
    equity: float = 0.0,
    leverage: float | None = None,
    ltv: float | None = None,
    to_supply: float | None = None,
    max_ltv: float,
    liquidation_threshold: float,
    min_health_factor: float,
    rounds: Whole | None = None,
    supply: float = 0.0,
    borrow: float = 0.0,
    fee_rate: float = 0.0,
    swap_fee: float = 0.0,
    gas: float = 0.0,
    depth: float = 0.0,
    flash_fee: float = 0.0,
    flash_steps: float = 3.0,
    plot: Plot = None,
    json: bool = False,
) -> None:
    """Plan the operations that bring a position exactly to a leverage.

    Parameters
    ----------
    equity
        New collateral that is deposited first.
    leverage
        The target: supply/(supply - debt). Or give --ltv, --to-supply or --rounds.
    ltv
        The target: debt/supply.
    to_supply
        The target: the supply.
    max_ltv
        Most debt/supply that a borrowing may leave.
    liquidation_threshold
        Share of the supply that counts against the debt.
    min_health_factor
        Least health factor that any step may leave.
    rounds
        Most rounds of borrow, buy and deposit; 100 where there is a target.
    supply
        Collateral that is there before.
    borrow
        Debt that is there before.
    fee_rate
        Cost of what is borrowed, as a share of it.
    swap_fee
        Fee of the exchange, as a share of what is traded.
    gas
        Cost of one operation.
    depth
        Share of a trade that the depth of the market costs.
    flash_fee
        Fee of a flash loan, as a share of it.
    flash_steps
        Operations that its one transaction costs as much gas as.
    plot
        Where a picture of the operations goes, as .png, .svg or .pdf.
    json
        Print JSON: every number of the plan by name, its operations and those with a flash loan.
    """
    from escala.lending.plan import plan_leverage

    if rounds is None and leverage is None and ltv is None and to_supply is None:
        raise UsageError("plan needs --leverage, --ltv, --to-supply or --rounds")
    check_plot(plot)
    announce_compilation()
    made = plan_leverage(
        equity, leverage=leverage, ltv=ltv, to_supply=to_supply, max_ltv=max_ltv,
        liquidation_threshold=liquidation_threshold, min_health_factor=min_health_factor, rounds=rounds, supply=supply,
        borrow=borrow, fee_rate=fee_rate, swap_fee=swap_fee, gas=gas, depth=depth, flash_fee=flash_fee,
        flash_steps=flash_steps, threads=1,
    )  # fmt: skip
    _show(made, plot, json)


def unwind(
    *,
    supply: float,
    borrow: float,
    to_ltv: float | None = None,
    to_leverage: float | None = None,
    repay: float | None = None,
    close: bool = False,
    max_ltv: float | None = None,
    liquidation_threshold: float,
    min_health_factor: float,
    rounds: Whole = 100,
    fee_rate: float = 0.0,
    swap_fee: float = 0.0,
    gas: float = 0.0,
    depth: float = 0.0,
    flash_fee: float = 0.0,
    flash_steps: float = 3.0,
    plot: Plot = None,
    json: bool = False,
) -> None:
    """Plan the operations that take leverage off a position.

    Parameters
    ----------
    supply
        Collateral.
    borrow
        Debt.
    to_ltv
        The target: debt/supply. Or give --to-leverage, --repay or --close.
    to_leverage
        The target: supply/(supply - debt).
    repay
        The target: debt that is repaid.
    close
        Repay all debt and take out what collateral is left.
    max_ltv
        Most debt/supply that a withdrawal may leave; without it only the health factor counts.
    liquidation_threshold
        Share of the supply that counts against the debt.
    min_health_factor
        Least health factor that any step may leave.
    rounds
        Most rounds of withdraw, sell and repay.
    fee_rate
        Cost of what is repaid, as a share of it.
    swap_fee
        Fee of the exchange, as a share of what is traded.
    gas
        Cost of one operation.
    depth
        Share of a trade that the depth of the market costs.
    flash_fee
        Fee of a flash loan, as a share of it.
    flash_steps
        Operations that its one transaction costs as much gas as.
    plot
        Where a picture of the operations goes, as .png, .svg or .pdf.
    json
        Print JSON: every number of the plan by name, its operations and those with a flash loan.
    """
    from escala.lending.unwind import plan_unwind

    if not close and to_ltv is None and to_leverage is None and repay is None:
        raise UsageError("unwind needs --to-ltv, --to-leverage, --repay or --close")
    check_plot(plot)
    announce_compilation()
    made = plan_unwind(
        supply, borrow, to_ltv=to_ltv, to_leverage=to_leverage, repay=repay, close=close, max_ltv=max_ltv,
        liquidation_threshold=liquidation_threshold, min_health_factor=min_health_factor, rounds=rounds,
        fee_rate=fee_rate, swap_fee=swap_fee, gas=gas, depth=depth, flash_fee=flash_fee, flash_steps=flash_steps,
        threads=1,
    )  # fmt: skip
    _show(made, plot, json)


def _show(made: Planned, plot: Path | None, json: bool) -> None:
    if plot is not None:
        from escala import plots

        save_plot(plots.plan_figure(made), plot)
    if json:
        content = {**plain(made.to_dict()), "status": made.plan_status.name.lower()}
        print_json(
            {**content, "operations": _named(made.operations), "flash_operations": _named(made.flash_operations)}
        )
    else:
        say(made.summary())
    tell_plot(plot, json=json)


def _named(operations: Any) -> dict[str, Any]:
    """Give a table of operations with the names of what is done."""
    from escala.lending.actions import PlanAction

    return {**operations, "action": [PlanAction(int(code)).name.lower() for code in operations["action"]]}


def preview(
    *,
    supply: Words = None,
    borrow: float = 0.0,
    do: Words = None,
    price: Words = None,
    liquidation_threshold: Words = None,
    max_ltv: Words = None,
    min_health_factor: float = 1.0,
    emode: str | None = None,
    json: bool = False,
) -> None:
    """Try actions on a position: how it stands after each, and which would be refused.

    Parameters
    ----------
    supply
        Units of collateral: 10, or ETH=10 BTC=0.5 for several.
    borrow
        Debt.
    do
        Actions, one after the other: deposit=2 withdraw=1 borrow=500 repay=100 price=1800 fall=0.2 threshold=0.8; of
        several collaterals with a name: deposit=2:ETH fall=0.2:BTC.
    price
        Price of a unit, written as --supply is; 1 without it.
    liquidation_threshold
        Share of the collateral that counts against the debt, written as --supply is.
    max_ltv
        Most debt/collateral that a borrowing may leave, written as --supply is.
    min_health_factor
        Least health factor that a withdrawal or a borrowing may leave.
    emode
        Limits by the name of a preset: eth_correlated, wsteth_eth or stablecoins.
    json
        Print JSON: a list an entry, one value for the start and one after each action.
    """
    from escala.lending import preview as room

    if supply is None:
        raise UsageError("preview needs --supply")
    given = {
        "price": _numbers("price", price),
        "liquidation_threshold": _numbers("liquidation-threshold", liquidation_threshold),
        "max_ltv": _numbers("max-ltv", max_ltv),
    }
    actions = [_action(word) for word in do or ()]
    with _as_options(actions):
        shown = room.preview(
            _numbers("supply", supply), borrow, actions, min_health_factor=min_health_factor, emode=emode,
            **{name: value for name, value in given.items() if value is not None},
        )  # fmt: skip
    if json:
        refused = [room.Refusal(int(code)).name.lower() for code in shown.refused]
        print_json({"steps": list(shown.steps), **plain(shown.to_dict()), "refused": refused})
    else:
        say(shown.summary())


def _numbers(option: str, words: list[str] | None) -> Any:
    """Read one number, or numbers by name."""
    if words is None:
        return None
    if len(words) == 1 and "=" not in words[0]:
        return _number(f"--{option}", words[0])
    pairs = [word.partition("=") for word in words]
    for name, sign, _ in pairs:
        if not name or not sign:
            raise UsageError(f"--{option} is one number, or NAME=NUMBER for several, not {' '.join(words)}")
    found: dict[str, float] = {}
    for name, _, number in pairs:
        if name in found:
            raise UsageError(f"--{option} names {name!r} twice")
        found[name] = _number(f"--{option} {name}", number)
    return found


def _action(word: str) -> Any:
    """Read an action: deposit=2 or deposit=2:ETH."""
    kind, sign, rest = word.partition("=")
    number, colon, asset = rest.partition(":")
    if not sign:
        raise UsageError(f"--do: an action is written as deposit=2 or deposit=2:ETH, not {word}")
    value = _number(f"--do {kind}", number)
    return (kind, value, asset) if colon else (kind, value)


@contextlib.contextmanager
def _as_options(actions: Sequence[Any]) -> Iterator[None]:
    """Name, in what is said of the place of an action, the option that it came from."""
    try:
        yield
    except ScenarioError as error:
        said = re.sub(r"actions\[(\d+)\]", lambda place: f"--do {actions[int(place[1])][0]}", str(error))
        raise ScenarioError(said, arguments=error.arguments) from None


def _number(what: str, word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise UsageError(f"{what}: {word!r} is no number") from None
