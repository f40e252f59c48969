"""Try actions on a position: how it stands after each, and which would be refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from escala import keyed, tables
from escala.arrays import FloatLike, Floats, broadcast_shape, check_interval, check_order, known_word, to_floats
from escala.errors import ScenarioError, did_you_mean
from escala.lending import preview_summary
from escala.lending.named import NamedArrays
from escala.tables import Interval
from escala.text.tables import documented

__all__ = ["EMODES", "Emode", "Preview", "Refusal", "preview"]

#: An action: what is done, how much, and of which collateral where there are several.
Action: TypeAlias = tuple[str, FloatLike] | tuple[str, FloatLike, str]

_SLACK: Final = 1.0 + 1e-12  # what may be withdrawn or borrowed is not refused for its last digit
_ALLOWED: Final[Mapping[str, Interval]] = tables.intervals(tables.POSITION)
_AMOUNTS: Final = {"deposit", "withdraw", "borrow", "repay"}
_VALUES: Final[Mapping[str, Interval]] = {
    **dict.fromkeys(_AMOUNTS, tables.AMOUNT_OR_NONE),
    "price": tables.AMOUNT,
    "fall": Interval(-1e6, 1.0, high_open=True),
    "threshold": tables.POSITIVE_FRACTION,
}
_KINDS: Final = tables.names(tables.PREVIEW_ACTIONS)
_OF_DEBT: Final = {"borrow", "repay"}
_ASSET: Final = ("supply", "price", "liquidation_threshold", "max_ltv")  # one value for each collateral


class Refusal(IntEnum):
    """Why an action is refused."""

    NONE = 0
    SUPPLY = 1
    DEBT = 2
    LTV = 3
    HEALTH = 4


def _is_name(name: object) -> bool:
    return isinstance(name, str) and bool(name)


@dataclass(frozen=True)
class Emode:
    """Limits for collateral and debt that move together, in place of those of each collateral.

    Parameters
    ----------
    max_ltv, liquidation_threshold : float
        In (0, 1].
    assets : tuple of str
        The collaterals that it is for; empty: all of them.
    source : str
        Where the limits are from, and of when they are.
    """

    max_ltv: float
    liquidation_threshold: float
    assets: tuple[str, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        """Check the limits, and for which collaterals they are."""
        for name in ("max_ltv", "liquidation_threshold"):
            limit = to_floats(name, getattr(self, name))
            check_interval(name, limit, _ALLOWED[name])
            if limit.ndim:
                raise ScenarioError(f"{name} must be one number, not {getattr(self, name)!r}", arguments=(name,))
        if not isinstance(self.assets, tuple | list) or not all(map(_is_name, self.assets)):
            raise ScenarioError(f"assets must be names of collaterals, not {self.assets!r}", arguments=("assets",))
        check_order(
            "max_ltv", np.array(self.max_ltv), "liquidation_threshold", np.array(self.liquidation_threshold)
        )  # fmt: skip


#: Categories of Aave v3, as the DAO's own record of its proposals shows them: the states before and after each, under
#: ``diffs/`` of github.com/bgd-labs/aave-proposals-v3 (``wsteth_eth``: AaveChan/aave-proposals-v3). Each says which
#: proposal, of what day; governance changes them, so look them up before relying on them. At first the stablecoins had
#: an LTV of 97 % and a threshold of 97.5 % (governance.aave.com/t/10981, 2022-12-11), until governance lowered them.
EMODES: Final[Mapping[str, Emode]] = {
    "eth_correlated": Emode(
        max_ltv=0.93,
        liquidation_threshold=0.95,
        source="Aave v3 Ethereum, category 1 'ETH correlated', ConfigurationMaintenance of 2025-05-19",
    ),
    "wsteth_eth": Emode(
        max_ltv=0.935,
        liquidation_threshold=0.955,
        source="Aave v3 Ethereum, category 'wstETH/ETH', WstETHAndWeETHEModes of 2025-03-18",
    ),
    "stablecoins": Emode(
        max_ltv=0.93,
        liquidation_threshold=0.95,
        source="Aave v3 Arbitrum, category 1 'Stablecoins', ConfigurationMaintenance of 2025-05-19",
    ),
}


@documented(outputs=tables.PREVIEW_OUTPUTS)
@dataclass(frozen=True, eq=False, repr=False)
class Preview(NamedArrays):
    """How positions stand at the start and after each action: the first axis counts the actions, 0 is the start.

    Attributes
    ----------
    steps : tuple of str
        What each is, in words.
    assets : tuple of str
        Names of the collaterals; empty where there is one without a name.
    supply, price : array
        Units and prices; with `assets`, they have a last axis.
    liquidation_price : array
        Price of each collateral, the others as they are, at which the health factor is 1; 0 where no fall of it alone
        leads there. NaN without any of it. With `assets` it has a last axis.
    {outputs}
    """

    NAMES = tables.names(tables.PREVIEW_OUTPUTS)
    NOUN = "state"

    steps: tuple[str, ...]
    assets: tuple[str, ...]
    supply: Floats
    price: Floats
    liquidation_price: Floats
    collateral: Floats
    debt: Floats
    health_factor: Floats
    ltv: Floats
    threshold: Floats
    fall: Floats
    borrow_room: Floats
    withdraw_room: Floats
    refused: npt.NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """Actions and one more, then the common shape of all arguments."""
        return np.shape(self.collateral)

    def to_dict(self) -> dict[str, Any]:
        """Give every number by name, with the price at which each collateral leads to liquidation.

        Returns
        -------
        dict
            Of arrays of `shape`.
        """
        if not self.assets:
            return {**super().to_dict(), "liquidation_price": self.liquidation_price}
        each = {f"liquidation_price_{name}": self.liquidation_price[..., k] for k, name in enumerate(self.assets)}
        return {**super().to_dict(), **each}

    def __repr__(self) -> str:
        """Say how many positions and actions there are, and how many were refused."""
        count = len(self.steps) - 1
        positions = self.size // len(self.steps)
        refused = int(np.count_nonzero(self.refused))
        said = f"{positions:,} position{'' if positions == 1 else 's'}, {count} action{'' if count == 1 else 's'}"
        return f"<Preview of {said}{f', {refused:,} refused' if refused else ''}>"

    def summary(self) -> str:
        """Draw the states of one position as a table, or count those of many."""
        if self.size == len(self.steps):
            columns = {name: np.reshape(column, -1) for name, column in self.to_dict().items()}
            return preview_summary.of_one(self.steps, columns, self.assets)
        return preview_summary.of_many(self.steps, {name: np.asarray(c) for name, c in self.to_dict().items()})


def preview(
    supply: FloatLike | Mapping[str, FloatLike],
    borrow: FloatLike,
    actions: Sequence[Action] = (),
    *,
    price: FloatLike | Mapping[str, FloatLike] = 1.0,
    liquidation_threshold: FloatLike | Mapping[str, FloatLike] | None = None,
    max_ltv: FloatLike | Mapping[str, FloatLike] | None = None,
    min_health_factor: FloatLike = 1.0,
    assets: Sequence[str] | None = None,
    emode: Emode | str | None = None,
) -> Preview:
    """Try actions on positions: health factor, LTV, liquidation price and room after each, and what is refused.

    Parameters
    ----------
    supply : array_like or mapping
        Units of collateral. A mapping of names to units is several collaterals; so is an array whose last axis goes
        with `assets`.
    borrow : array_like
        Debt, unit of account.
    actions : sequence of tuple
        ``("deposit", units)``, ``("withdraw", units)``, ``("borrow", amount)``, ``("repay", amount)``,
        ``("price", new)``, ``("fall", share)``, ``("threshold", new)``; of several collaterals with the name of one as
        third, but for debt, and for a fall of all prices. Values broadcast with the other arguments. What is refused
        changes nothing; prices and thresholds are never refused.
    price, liquidation_threshold, max_ltv : array_like or mapping
        Of each collateral. Without `max_ltv` debt is limited by the health factor alone, whatever becomes of the
        thresholds; with it by both, and a threshold that changes leaves `max_ltv` as it is.
    min_health_factor : array_like
        Least health factor that a withdrawal or a borrowing may leave, at least 1.
    assets : sequence of str, optional
        Names of the collaterals along the last axis.
    emode : Emode or str, optional
        Limits in place of those given, for all collaterals or its own; a name of `EMODES` will do.

    Returns
    -------
    Preview
        Arrays whose first axis counts the actions.

    Raises
    ------
    ScenarioError
        If an argument or an action is wrong; names it.

    Notes
    -----
    With amounts cⱼ, prices pⱼ, thresholds LTⱼ and debt D the health factor is Σ cⱼ·pⱼ·LTⱼ/D. The liquidation price of j
    is (D − Σ of the others)/(cⱼ·LTⱼ), and all prices may fall by 1 − 1/health factor together. A borrowing is refused
    where D would exceed Σ cⱼ·pⱼ·max_ltvⱼ, or the health factor fall below the least one; a withdrawal for the latter.
    Where an `emode` gives a max_ltv to some collaterals alone, those without one count with their threshold there.

    Examples
    --------
    >>> shown = preview(10, 12_000, [("borrow", 3000), ("fall", 0.2)], price=2000, liquidation_threshold=0.83)
    >>> shown.health_factor.round(4)
    array([1.3833, 1.1067, 0.8853])
    >>> shown.liquidation_price.round(2)
    array([1445.78, 1807.23, 1807.23])
    >>> float(preview(2187.32, 2073, liquidation_threshold=0.975).health_factor[0].round(4))
    1.0288
    """
    names = _names(supply, assets)
    numbers = _numbers(supply, borrow, price, liquidation_threshold, max_ltv, min_health_factor, names, emode)
    checked = [_checked(place, action, names) for place, action in enumerate(_listed(actions))]
    state, shape = _started(numbers, checked, names)
    states, steps = [_described(state, np.zeros(shape, dtype=np.int64))], ["start"]
    for kind, value, asset in checked:
        state, refused = _after(state, kind, value, asset)
        states.append(_described(state, refused))
        steps.append(_words(kind, value, names[asset] if names and asset is not None else ""))
    columns = {name: np.stack([one[name] for one in states]) for name in states[0]}
    if not names:
        columns |= {name: columns[name][..., 0] for name in ("supply", "price", "liquidation_price")}
    return Preview(steps=tuple(steps), assets=names, **columns)


@dataclass(frozen=True)
class _State:
    """Positions: amounts, prices and limits with a last axis of collaterals, debt and the least health without."""

    supply: Floats
    price: Floats
    threshold: Floats
    max_ltv: Floats
    debt: Floats
    least: Floats

    def changed(self, **changes: Floats) -> _State:
        return _State(**{**vars(self), **changes})

    @property
    def weighted(self) -> Floats:
        """Collateral that counts against the debt."""
        total: Floats = (self.supply * self.price * self.threshold).sum(axis=-1)
        return total

    @property
    def borrowable_by_ltv(self) -> Floats:
        """Most debt by max_ltv: inf without one, and what has none beside others that do counts with its threshold."""
        without = np.isinf(self.max_ltv)
        total = (self.supply * self.price * np.where(without, self.threshold, self.max_ltv)).sum(axis=-1)
        return np.where(without.all(axis=-1), np.inf, total)

    @property
    def borrowable(self) -> Floats:
        """Most debt that may be drawn against it."""
        return np.minimum(self.borrowable_by_ltv, self.weighted / self.least)


def _names(supply: Any, assets: Any) -> tuple[str, ...]:
    """Give the names of the collaterals: keys of `supply` where no `assets` are given."""
    if assets is None and not isinstance(supply, Mapping):
        return ()
    argument = "supply" if assets is None else "assets"
    given = supply if assets is None else assets
    names = () if isinstance(given, str) or not isinstance(given, Iterable) else tuple(given)
    if not names or not all(map(_is_name, names)) or len(set(names)) < len(names):
        wanted = "be different names" if argument == "assets" else "have a name for each collateral"
        raise ScenarioError(f"{argument} must {wanted}, not {given!r}", arguments=(argument,))
    return names


def _listed(actions: Any) -> Sequence[Any]:
    if isinstance(actions, str | Mapping) or not isinstance(actions, Iterable):
        raise ScenarioError(
            f"actions must be a sequence of (action, value), not {actions!r}", arguments=("actions",)
        )  # fmt: skip
    return list(actions)


def _numbers(
    supply: Any, borrow: Any, price: Any, threshold: Any, max_ltv: Any, least: Any, names: tuple[str, ...], emode: Any
) -> dict[str, Floats]:  # fmt: skip
    """Check the position; collaterals come last where they have names."""
    mode = _emode(emode, names)
    if threshold is None:
        if mode is None or mode.assets:
            raise ScenarioError("give liquidation_threshold, or an emode", arguments=("liquidation_threshold",))
        threshold = mode.liquidation_threshold
    given = {
        "supply": supply, "borrow": borrow, "price": price, "liquidation_threshold": threshold,
        "min_health_factor": least, **({} if max_ltv is None else {"max_ltv": max_ltv}),
    }  # fmt: skip
    arrays = {name: to_floats(name, _last(name, value, names)) for name, value in given.items()}
    for name in _ASSET:
        if names and name in arrays and arrays[name].ndim and arrays[name].shape[-1] not in (1, len(names)):
            raise ScenarioError(
                f"{name} of shape {arrays[name].shape} must have a last axis of {len(names)} collaterals",
                arguments=(name,),
            )
    for name, array in arrays.items():
        check_interval(name, array, _ALLOWED[name])
    if max_ltv is None:
        arrays["max_ltv"] = np.array(np.inf)
    else:
        check_order("max_ltv", arrays["max_ltv"], "liquidation_threshold", arrays["liquidation_threshold"])
    if mode is not None:
        inside = np.array([not mode.assets or name in mode.assets for name in names or ("",)])
        arrays["liquidation_threshold"] = _within(inside, mode.liquidation_threshold, arrays["liquidation_threshold"])
        arrays["max_ltv"] = _within(inside, mode.max_ltv, arrays["max_ltv"])
    return arrays


def _within(inside: npt.NDArray[np.bool_], new: float, old: Floats) -> Floats:
    chosen: Floats = np.where(inside if inside.size > 1 else inside[0], new, old)
    return chosen


def _last(name: str, value: Any, names: tuple[str, ...]) -> Any:
    """Bring what comes by name to the order of the collaterals, along the last axis."""
    if names and name in _ASSET and isinstance(value, Mapping):
        matched = keyed.by_symbol(name, value, names, ScenarioError)
        return np.stack(np.broadcast_arrays(*(to_floats(name, one) for one in matched)), axis=-1)
    return value


def _emode(emode: Any, names: tuple[str, ...]) -> Emode | None:
    if isinstance(emode, str):
        if emode not in EMODES:
            known = did_you_mean(emode, EMODES, f": there are {', '.join(EMODES)}")
            raise ScenarioError(f"emode: no preset {emode!r}{known}", arguments=("emode",))
        return EMODES[emode]
    if emode is not None and not isinstance(emode, Emode):
        raise ScenarioError(f"emode must be an Emode or the name of a preset, not {emode!r}", arguments=("emode",))
    unknown = [name for name in (emode.assets if emode else ()) if name not in names]
    if unknown:
        raise ScenarioError(
            f"emode: no collateral {unknown[0]!r}{did_you_mean(unknown[0], names)}", arguments=("emode",)
        )
    return emode


def _checked(place: int, action: Any, names: tuple[str, ...]) -> tuple[str, Floats, int | None]:
    """Check one action: gives its kind, its value and the place of its collateral, None where it is of all."""
    where = f"actions[{place}]"
    if not isinstance(action, tuple | list) or len(action) not in (2, 3):
        raise ScenarioError(f"{where} must be (action, value) or (action, value, asset), not {action!r}",
                            arguments=("actions",))  # fmt: skip
    kind, value = action[:2]
    if not known_word(kind, _KINDS):
        known = did_you_mean(str(kind), _KINDS, f": there are {', '.join(_KINDS)}")
        raise ScenarioError(f"{where}: no action {kind!r}{known}", arguments=("actions",))
    array = to_floats(where, value)
    check_interval(where, array, _VALUES[kind])
    asset = action[2] if len(action) == 3 else None
    if asset is not None and (kind in _OF_DEBT or asset not in names):
        unknown = f"no collateral {asset!r}{did_you_mean(asset, names)}"
        reason = f"{kind} is of no collateral" if kind in _OF_DEBT else unknown
        raise ScenarioError(f"{where}: {reason}", arguments=("actions",))
    if asset is None and len(names) > 1 and kind not in (*_OF_DEBT, "fall"):
        raise ScenarioError(f"{where}: {kind} must name one of {', '.join(names)}", arguments=("actions",))
    if asset is None:
        return kind, array, None if kind in (*_OF_DEBT, "fall") else 0
    return kind, array, names.index(asset)


def _started(
    numbers: Mapping[str, Floats], actions: Sequence[tuple[str, Floats, int | None]], names: tuple[str, ...]
) -> tuple[_State, tuple[int, ...]]:
    """Bring all to one shape, collaterals last."""
    lifted = {name: array if names else array[..., None] for name, array in numbers.items() if name in _ASSET}
    plain = {
        **{name: array for name, array in numbers.items() if name not in _ASSET},
        **{f"actions[{place}]": value for place, (_, value, _) in enumerate(actions)},
    }
    count = max(len(names), 1)
    whole = broadcast_shape({**lifted, **{name: array[..., None] for name, array in plain.items()}})
    shape = whole[:-1]
    each = {name: np.broadcast_to(array, (*shape, count)) for name, array in lifted.items()}
    debt, least = (np.broadcast_to(plain[name], shape) for name in ("borrow", "min_health_factor"))
    return _State(
        each["supply"], each["price"], each["liquidation_threshold"], each["max_ltv"], debt, least
    ), shape  # fmt: skip


def _after(state: _State, kind: str, value: Floats, asset: int | None) -> tuple[_State, npt.NDArray[np.int64]]:
    """Do an action where it is not refused."""
    count = state.supply.shape[-1]
    here = np.ones(count) if asset is None else np.eye(count)[asset]
    if kind in ("price", "fall", "threshold"):
        return _happened(state, kind, value[..., None], here), np.zeros(state.debt.shape, dtype=np.int64)
    wanted, refused = _wanted(state, kind, value, value[..., None] * here)
    done = refused == Refusal.NONE
    supply = np.where(done[..., None], wanted.supply, state.supply)
    return state.changed(supply=supply, debt=np.where(done, wanted.debt, state.debt)), refused


def _happened(state: _State, kind: str, value: Floats, here: Floats) -> _State:
    """Change a price or a threshold, of which nothing is refused."""
    if kind == "price":
        return state.changed(price=np.where(here > 0.0, value, state.price))
    if kind == "fall":
        return state.changed(price=state.price * (1.0 - value * here))
    return state.changed(threshold=np.where(here > 0.0, value, state.threshold))


def _wanted(state: _State, kind: str, value: Floats, units: Floats) -> tuple[_State, npt.NDArray[np.int64]]:
    """Do an action whatever it leads to, and say where that is refused."""
    refused = np.zeros(state.debt.shape, dtype=np.int64)
    if kind == "deposit":
        return state.changed(supply=state.supply + units), refused
    if kind == "repay":
        wanted = state.changed(debt=np.maximum(state.debt - value, 0.0))
        return wanted, np.where(value > state.debt * _SLACK, Refusal.DEBT, refused)
    if kind == "borrow":
        wanted = state.changed(debt=state.debt + value)
        first, reason = np.greater(wanted.debt, wanted.borrowable_by_ltv * _SLACK), Refusal.LTV
    else:
        wanted = state.changed(supply=np.maximum(state.supply - units, 0.0))
        first, reason = np.any(units > state.supply * _SLACK, axis=-1), Refusal.SUPPLY
    refused = np.where(wanted.debt * wanted.least > wanted.weighted * _SLACK, Refusal.HEALTH, refused)
    return wanted, np.where(first, reason, refused)


def _described(state: _State, refused: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Give the numbers of a state by name."""
    values = state.supply * state.price
    collateral, weighted, debt = values.sum(axis=-1), state.weighted, state.debt
    others = weighted[..., None] - values * state.threshold
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        health = np.where(debt == 0.0, np.inf, weighted / debt)
        alone = np.maximum(debt[..., None] - others, 0.0) / (state.supply * state.threshold)
        threshold = np.where(collateral > 0.0, weighted / collateral, 0.0)
        needed = np.where(debt > 0.0, debt * state.least / threshold, 0.0)
        return {
            "supply": state.supply,
            "price": state.price,
            "liquidation_price": np.where(state.supply > 0.0, alone, np.nan),
            "collateral": collateral,
            "debt": np.array(debt),
            "health_factor": health,
            "ltv": np.where(debt == 0.0, 0.0, debt / collateral),
            "threshold": threshold,
            "fall": 1.0 - 1.0 / health,
            "borrow_room": np.maximum(state.borrowable - debt, 0.0),
            "withdraw_room": np.maximum(collateral - needed, 0.0),
            "refused": np.array(refused),
        }


def _words(kind: str, value: Floats, name: str) -> str:
    shown = f"{float(value):,.6g}" if value.ndim == 0 else "…"
    return f"{kind} {shown}{f' {name}' if name else ''}"
