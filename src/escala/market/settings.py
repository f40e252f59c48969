"""What all scenarios of a sweep share: a position in its market, and the paths it lives through."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala import tables
from escala.arrays import FloatLike, Floats, check_interval, one_number, to_floats, whole_number
from escala.errors import MarketError, did_you_mean
from escala.market import columns
from escala.market.market import Market
from escala.market.numbers import (
    Number,
    Place,
    changed_market,
    changed_policy,
    changed_protocol,
    each_asset,
    joined,
    of_market,
    of_policy,
    of_protocol,
)
from escala.market.policy import Policy
from escala.market.processes import Replay
from escala.market.protocol import Protocol
from escala.market.sections import (
    market_in,
    policy_in,
    protocol_in,
    section_of_market,
    section_of_policy,
    section_of_protocol,
)
from escala.market.simulate import MOST_SEED, check_types, checked_sampling
from escala.market.statistics import Sampling
from escala.market.structure import structure
from escala.model import check_keys, table_of
from escala.tables import INSIDE_ONE

#: Tables of a file that hold what is not of market, protocol or policy.
_SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "position": ("collateral", "debt", "wallet"),
    "paths": ("paths", "seed", "sampling", "replicates", "level"),
}
#: All tables of a file that hold settings.
SECTIONS: Final = ("market", "protocol", "policy", *_SECTIONS)
#: Bits of a seed that are turned over for paths that nothing was tuned on.
_OTHER_PATHS: Final = 0x9E3779B97F4A7C15


@dataclass(frozen=True, eq=False, kw_only=True)
class MarketSettings:
    """A position in its market and the paths it lives through; columns of a design take the place of single numbers.

    Parameters
    ----------
    market : Market
    protocol : Protocol
    policy : Policy, optional
        By default the owner does nothing.
    collateral, debt : array_like, optional
        As in :func:`escala.simulate_market`; they may be left out where they are columns.
    wallet : float
        Free cash at the start, unit of account.
    paths : int, optional
        As in :func:`escala.simulate_market`, as are the others; all scenarios of one market share their paths.
    seed : int
    sampling : {"random", "antithetic", "sobol"}
    replicates : int
    level : float
        Of intervals, `var` and `cvar`.

    Raises
    ------
    MarketError
        If a value is out of range or two of them contradict each other; names them.

    Examples
    --------
    >>> from escala import GBM, Asset, Design, FixedRate, Market, MarketSettings, Protocol, sweep
    >>> market = Market(Asset(2000.0, GBM(mu=0.0, sigma=0.8)), FixedRate(0.05), dt=86400, steps=30, barrier=True)
    >>> aave = Protocol.aave_v3(liquidation_threshold=0.83, loan_to_value=0.805, bonus=0.05)
    >>> settings = MarketSettings(market=market, protocol=aave, collateral=10.0, paths=500)
    >>> design = Design.grid({"debt": [8e3, 12e3, 14e3], "bonus": (0.04, 0.1, 4)}, model="market")
    >>> summary = sweep(design, strategy=settings, outputs=["liquidation_probability"])
    >>> round(summary.statistics["liquidation_probability"].highest, 3)
    0.478
    """

    market: Market
    protocol: Protocol
    policy: Policy = dataclasses.field(default_factory=Policy)
    collateral: FloatLike | None = None
    debt: FloatLike | None = None
    wallet: FloatLike = 0.0
    paths: int | None = None
    seed: int = 0
    sampling: str = "random"
    replicates: int = 16
    level: float = 0.95

    def __post_init__(self) -> None:
        """Check what holds before a column is known."""
        check_types(self.market, self.protocol, self.policy)
        object.__setattr__(self, "seed", whole_number("seed", self.seed, 0, MOST_SEED, MarketError))
        object.__setattr__(self, "level", one_number("level", self.level, INSIDE_ONE, MarketError))
        self.sample  # noqa: B018  # what it cannot be made of is refused now
        count = len(self.market.assets)
        for row in (*tables.MARKET_HOLDINGS, *tables.MARKET_BALANCES):
            given = getattr(self, row.name)
            if given is not None:
                array = to_floats(row.name, given, MarketError)
                check_interval(row.name, array, row.values, MarketError)
                if row.name == "collateral" and count > 1 and array.ndim and array.shape[-1] != count:
                    message = f"collateral of shape {array.shape} must have a last axis of {count}, one for each asset"
                    raise MarketError(message, arguments=("collateral",))

    @property
    def sample(self) -> Sampling:
        """How many paths there are, and of which kind."""
        return checked_sampling(self.sampling, self.paths, self.replicates, self.market)

    def numbers(self) -> dict[str, Floats]:
        """Give every number that may be a column, by the column's name."""
        return {name: array for name, _, array in self._all()}

    def _all(self) -> Iterator[Number]:
        count = len(self.market.assets)
        for row in tables.MARKET_BALANCES:
            if getattr(self, row.name) is not None:
                array = to_floats(row.name, getattr(self, row.name), MarketError)
                yield row.name, Place("position", row.name), array
        if self.collateral is not None:
            yield from each_asset("position", "collateral", self.collateral, count)
        yield from of_market(self.market)
        yield from of_protocol(self.protocol, count)
        yield from of_policy(self.policy)

    def replaced(self, changes: Mapping[str, FloatLike]) -> MarketSettings:
        """Give settings with other numbers in the place of some; names are those of columns.

        Raises
        ------
        MarketError
            If a value is not allowed.
        """
        count = len(self.market.assets)
        where = {row.name: Place("position", row.name) for row in tables.MARKET_BALANCES}
        where |= {name: Place("policy", name) for name in columns.TARGETS}
        where |= {columns.of_asset("collateral", j, count): Place("position", "collateral", j) for j in range(count)}
        where |= {name: place for name, place, _ in self._all()}
        changed: dict[str, dict[str, dict[int, Any]]] = {}
        for name, value in changes.items():
            place = where[name]
            changed.setdefault(place.part, {}).setdefault(place.name, {})[place.asset] = value
        position = {
            name: joined(getattr(self, name), values, count if name == "collateral" else 1)
            for name, values in changed.get("position", {}).items()
        }
        return dataclasses.replace(
            self,
            market=changed_market(self.market, changed),
            protocol=changed_protocol(self.protocol, changed, count),
            policy=changed_policy(self.policy, changed),
            **position,
        )

    def check_names(self, given: Iterable[str]) -> None:
        """Check that columns go with these settings, and that nothing is missing.

        Raises
        ------
        MarketError
            Naming the column.
        """
        count = len(self.market.assets)
        names, own = tuple(given), self.numbers()
        allowed = {*own, *columns.TARGETS, "debt", *(columns.of_asset("collateral", j, count) for j in range(count))}
        plain = {row.name for row in columns.OF_ASSET}
        for name in names:
            if name not in allowed:
                if count > 1 and name in plain:
                    reason = f": of {count} assets it is {name}_0 to {name}_{count - 1}"
                else:
                    reason = did_you_mean(name, allowed, ": give them one, and the column takes its place")
                raise MarketError(f"the settings have no number {name}{reason}", arguments=(name,))
        for name in ("debt", *(columns.of_asset("collateral", j, count) for j in range(count))):
            if name not in own and name not in names:
                raise MarketError(f"{name} must be a column, or a number of the settings", arguments=(name,))
        for target, health in columns.TARGETS.items():
            for one, other in ((target, health), (health, target)):
                if one in names and other not in names and target not in own:
                    message = f"{one} needs {other}: as a column, or in the settings' policy"
                    raise MarketError(message, arguments=(one, other))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> MarketSettings:
        """Read settings from plain data, such as the tables of a TOML file.

        Parameters
        ----------
        content : mapping
            ``market``: ``dt``, ``steps``, ``barrier``, ``correlation``, a list of ``assets`` (each with ``price``,
            ``supply_yield``, ``oracle`` and, unless they move together, ``process`` = ``gbm``, ``merton``, ``ou`` or
            ``heston`` and its numbers), ``rate`` (the fields of a FixedRate or a KinkedRate) and, if they do,
            ``joint`` (``kind`` = ``bootstrap`` or ``replay``, and its fields). ``protocol``: ``rule`` and what the
            class method of that name takes. ``policy``: fields of a Policy. ``position``: ``collateral``, ``debt``,
            ``wallet``. ``paths``: ``paths``, ``seed``, ``sampling``, ``replicates``, ``level``. The last three may
            be missing. A depth is ``{flat: cost}`` or ``{constant_product: reserve}``.

        Raises
        ------
        MarketError
            If a key is missing or unknown, or a value not allowed; names the table and the key.
        """
        check_keys(content, SECTIONS, "table", MarketError)
        parts: dict[str, Any] = {
            "market": market_in(content),
            "protocol": protocol_in(content),
            "policy": policy_in(content),
        }
        given: dict[str, Any] = {}
        for section, keys in _SECTIONS.items():
            given |= table_of(content, section, keys, MarketError)
        try:
            return cls(**parts, **given)
        except MarketError as error:
            section = next((name for name, keys in _SECTIONS.items() if set(keys) & {*error.arguments}), "paths")
            raise MarketError(f"{section}: {error}", arguments=error.arguments, indexes=error.indexes) from None

    def to_dict(self) -> dict[str, Any]:
        """Give plain data that :meth:`from_dict` reads.

        Raises
        ------
        MarketError
            If a depth is a curve, of which there is no such form.
        """
        found: dict[str, Any] = {
            "market": section_of_market(self.market),
            "protocol": section_of_protocol(self.protocol),
            "policy": section_of_policy(self.policy),
        }
        for section, keys in _SECTIONS.items():
            given = {name: getattr(self, name) for name in keys}
            found[section] = {
                name: value if isinstance(value, str) else np.asarray(value).tolist()
                for name, value in given.items()
                if value is not None
            }
        return found

    def described(self) -> dict[str, Any]:
        """Give all that results depend on, as JSON knows it: numbers by the names of columns, and what is no number."""
        numbers = {name: _shown(array) for name, array in self.numbers().items()}
        return {**numbers, "market": structure(self.market, self.protocol, self.policy), "paths": self._drawn()}

    def _drawn(self) -> dict[str, Any]:
        sample = self.sample
        return {
            "sampling": sample.kind,
            "paths": sample.paths,
            "replicates": sample.replicates,
            "seed": self.seed,
            "level": self.level,
        }

    def halves(self) -> tuple[MarketSettings, MarketSettings]:
        """Give settings to tune on, and others whose paths were not seen there.

        Raises
        ------
        MarketError
            If there are too few windows of past prices.

        Notes
        -----
        Random paths are those of another seed. Of past prices the earlier windows are tuned on, and those that begin
        after the last of them has ended are kept back.
        """
        joint = self.market.joint
        if not isinstance(joint, Replay):
            return self, dataclasses.replace(self, seed=self.seed ^ _OTHER_PATHS)
        starts = np.sort(joint.rows_for(self.market.steps)[: self.sample.paths])
        early = starts[: len(starts) // 2]
        late = starts[starts >= early[-1] + self.market.steps] if early.size else early
        if not late.size:
            message = (
                f"prices must have windows to tune on and later ones to keep back, but of {len(starts)} windows of "
                f"{self.market.steps} steps none begins after the first half has ended"
            )
            raise MarketError(message, arguments=("prices", "steps"))
        return self._of_windows(joint, early), self._of_windows(joint, late)

    def _of_windows(self, joint: Replay, starts: npt.NDArray[np.int64]) -> MarketSettings:
        market = dataclasses.replace(self.market, joint=dataclasses.replace(joint, starts=starts))
        return dataclasses.replace(self, market=market, paths=None)


def _shown(array: Floats) -> float | str:
    """Give a number as JSON knows it, which has no infinity."""
    value = float(array)
    return value if np.isfinite(value) else repr(value)
