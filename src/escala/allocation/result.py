"""Money allocated over instruments, and how good that is."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from escala.allocation import summary as allocation_summary
from escala.allocation.problem import Request, checked_count
from escala.arrays import Floats
from escala.curves.curveset import CurveSet
from escala.files import table as table_file
from escala.tables import ALLOCATION_GROUPS, ALLOCATION_TARGETS, NOTHING
from escala.text import html

if TYPE_CHECKING:
    import pandas


class Binding(IntEnum):
    """What keeps an instrument's capital where it is; codes in :attr:`Allocation.binding`.

    NONE: nothing, its marginal utility is the shadow price (greedy: the money ended). PRICE: the next unit, or the
    first, would return less than the shadow price. LOWER: `lower` keeps it up. UPPER, SHARE, LIMIT: `upper`,
    `max_share` or the end of trust in its curve keep it down. THRESHOLD: `min_efficiency` keeps it down, up or out.
    TICKET: `min_ticket` keeps it up, or out. NO_CURVE: there is no curve. HELD: it stays as it is, because trading it
    would cost more than it gains. GROUP: a limit of one of its groups keeps it down, up or out. COUNT: `max_count`
    keeps it out, or `min_count` in. LOT: its next lot would return less than the shadow price, or does not fit.
    """

    #: Nothing: its marginal utility is the shadow price.
    NONE = 0
    #: The next unit (or the first, or the smallest ticket) would return less than the shadow price.
    PRICE = 1
    #: `lower` keeps it up.
    LOWER = 2
    #: `upper` keeps it down.
    UPPER = 3
    #: `max_share` keeps it down.
    SHARE = 4
    #: The curve is trusted no further.
    LIMIT = 5
    #: Efficiency would fall below `min_efficiency`, or has not reached it below this capital.
    THRESHOLD = 6
    #: `min_ticket` keeps it up, or out.
    TICKET = 7
    #: There is no curve.
    NO_CURVE = 8
    #: It stays as it is: trading it would cost more than it gains.
    HELD = 9
    #: A limit of one of its groups: `binding_groups` says which.
    GROUP = 10
    #: `max_count` keeps it out, or `min_count` in.
    COUNT = 11
    #: Its next lot would return less than the shadow price, or does not fit.
    LOT = 12


class AllocationStatus(IntEnum):
    """Codes in :attr:`Allocation.status`.

    OPTIMAL: the gap is within the tolerance. GAP_OPEN: it is not, because the search ended at `max_nodes` or the method
    is greedy; the best allocation found, and how far from the optimum it may be at most.
    """

    #: The gap is within the tolerance.
    OPTIMAL = 0
    #: The search ended at `max_nodes`: the best allocation found, and how far from the optimum it may be at most.
    GAP_OPEN = 1


@dataclass(frozen=True, eq=False, repr=False)
class Allocation:
    """Money allocated over n instruments, and how good that is.

    One problem has the shape P = (), many totals that of `total`, drawn curves one more axis in front. In `first` are
    the amounts before the remainder was distributed, with their own figures.

    Attributes
    ----------
    symbols : (n,) object array of str
        The instruments.
    total : P float64
        Money there is, the reserve included.
    amounts : P + (n,) float64
        Capital of each instrument.
    utility : P float64
        V = Σ w·U − hurdle·ΣC − costs.
    upper_bound : P float64
        No feasible allocation has a higher utility (after a second solve: none that holds at least the first amounts).
    gap : P float64
        (upper_bound − utility) over the size of upper_bound, 0 where both are 0; after a second solve the larger of
        the two.
    dual_price, dual_bound : P float64
        λ, net of the hurdle, and D(λ) = λT + Σ max(w·U(C) − (hurdle + λ)·C), the bound before the search; after a
        second solve with the first amounts as lower bounds.
    shadow_price : P float64
        What one more unit of money returns: the w·U′ that all instruments without a binding reason share, less what
        buying costs where more is bought, plus what selling costs where some is sold (greedy: the w·U′ that the last
        increment began with). The hurdle is not taken off, other than in `dual_price`. Bounds stay where they are: what
        room more money would make where `max_share` or `group_share` bind is not in it.
    binding : P + (n,) int8
        Codes of :class:`Binding`; `binding_names` has them as text.
    status : P int8
        Codes of :class:`AllocationStatus`.
    nodes : P int64
        Problems solved by the search.
    group_prices : P + (g,) float64
        What one more unit of each group's limit returns, in the order of `groups`: above 0 where the group is full,
        below where its least keeps it up. Of groups that overlap, where a search was needed, the prices of the bound.
    first : Allocation or None
        The first solve, where ``remainder="distribute"`` made a second one for any problem.
    """

    symbols: npt.NDArray[np.object_]
    total: Any
    amounts: Floats
    utility: Any
    upper_bound: Any
    gap: Any
    dual_price: Any
    dual_bound: Any
    shadow_price: Any
    binding: npt.NDArray[np.int8]
    status: Any
    nodes: Any
    group_prices: Floats
    first: Allocation | None
    _request: Request

    def __len__(self) -> int:
        return int(self.symbols.size)

    def __repr__(self) -> str:
        """Say in a line what was allocated."""
        return f"<Allocation of {allocation_summary.in_a_line(self)}>"

    @property
    def curves(self) -> CurveSet:
        """The curves that were allocated over, as given."""
        return self._request.curves

    @property
    def money(self) -> Any:
        """Money that may be allocated: total·(1 − reserve), P."""
        return self.total * (1.0 - self._request.controls["reserve"])

    @property
    def hurdle(self) -> float:
        """What money returns elsewhere, as asked for."""
        return self._request.controls["hurdle"]

    @property
    def reserve(self) -> float:
        """Share of the total that stays out, as asked for."""
        return self._request.controls["reserve"]

    @property
    def goal(self) -> str:
        """What the total was sought for, "utility", "efficiency" or "marginal"; empty where it was given."""
        code = int(self._request.controls["goal"])
        return ALLOCATION_TARGETS[code].name if code else ""

    @property
    def target(self) -> Any:
        """What was to be met by the total that was sought, P; NaN where it was given."""
        request = self._request
        return np.broadcast_to(request.sought.reshape(request.total.shape), request.shape)[()]

    @property
    def priority(self) -> Floats:
        """Weight w of each instrument, (n,), as asked for."""
        return self._request.setting("priority")

    @property
    def current(self) -> Floats:
        """Capital of each instrument before, (n,), as given."""
        return self._request.setting("current")

    @functools.cached_property
    def trades(self) -> Floats:
        """Capital bought (above 0) or sold of each instrument, P + (n,)."""
        return self.amounts - self.current

    @functools.cached_property
    def costs(self) -> Floats:
        """What trading each instrument costs, P + (n,)."""
        return self._request.costs(self.amounts)

    @property
    def moves(self) -> bool:
        """Whether anything was held before, or trading costs something."""
        return self._request.traded or bool(self.current.any())

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups, from the innermost outwards."""
        return self._request.groups.names

    @property
    def group_of(self) -> npt.NDArray[np.object_]:
        """Name of the innermost group around each instrument, (n,); empty where there is none."""
        return np.array([*self.groups, ""], dtype=object)[self._request.groups.leaf]  # of those without it is −1

    @property
    def group_members(self) -> tuple[tuple[str, ...], ...]:
        """Symbols of each group, in the order of `groups`."""
        found: list[list[str]] = [[] for _ in self.groups]
        for i, symbol in enumerate(self.symbols.tolist()):
            for k in self._request.groups.around(i):
                found[k].append(symbol)
        return tuple(map(tuple, found))

    @property
    def group_limits(self) -> dict[str, Floats]:
        """Limits of the groups by their names, `group_upper` and so on, (g,) each, as asked for."""
        return {row.name: self._request.groups.limit(row.name) for row in ALLOCATION_GROUPS}

    @functools.cached_property
    def group_amounts(self) -> Floats:
        """Capital of each group, P + (g,)."""
        return self._request.groups.sums(self.amounts)

    @functools.cached_property
    def binding_groups(self) -> npt.NDArray[np.object_]:
        """Name of the group that binds each instrument whose reason is GROUP, P + (n,); empty for others."""
        found = np.full(self.amounts.shape, "", dtype=object)
        for *place, i in np.argwhere(self.binding == Binding.GROUP).tolist():
            prices = self.group_prices[tuple(place)]
            around = self._request.groups.around(i)
            found[(*place, i)] = self.groups[max(around, key=lambda k: abs(float(prices[k])))]
        return found

    @property
    def greedy(self) -> bool:
        """Whether the greedy method was asked for; then `shadow_price` is what the last increment promised."""
        return self._request.greedy

    @property
    def drawn(self) -> bool:
        """Whether there is one problem (or path) a draw of the curves."""
        return len(self._request.shape) > self._request.total.ndim

    @functools.cached_property
    def _placed(self) -> Any:
        return self.amounts.sum(axis=-1)

    @functools.cached_property
    def shares(self) -> Floats:
        """Share of each instrument in what is allocated, P + (n,); zeros where nothing is."""
        placed = np.asarray(self._placed)[..., None]
        return self.amounts / np.where(placed > 0.0, placed, 1.0)

    @functools.cached_property
    def efficiency(self) -> Floats:
        """Efficiency η of each instrument at its capital, P + (n,); NaN without a curve."""
        return self._request.evaluate("EFFICIENCY", self.amounts)

    @functools.cached_property
    def marginal(self) -> Floats:
        """Marginal utility U′ of each instrument at its capital, without its priority, P + (n,).

        At a kink, where a curve that rises reaches 1, it is the slope before it; `binding` tells of the next unit,
        which returns 1.
        """
        return self._request.evaluate("MARGINAL", self.amounts)

    @functools.cached_property
    def global_efficiency(self) -> Any:
        """Mean efficiency of the money allocated, ΣC·η/ΣC, P; NaN where nothing is."""
        earned = np.where(self.amounts > 0.0, self.amounts * self.efficiency, 0.0).sum(axis=-1)
        with np.errstate(invalid="ignore"):
            return (earned / np.asarray(self._placed))[()]

    @functools.cached_property
    def unallocated(self) -> Any:
        """Money that is left, P; 0 if it is a rounding error."""
        left = np.asarray(self.money - self._placed)
        return np.where(left > NOTHING * np.asarray(self.money), left, 0.0)[()]

    @functools.cached_property
    def utilisation(self) -> Any:
        """Allocated part of the money that may be, P; 1 where there is none."""
        money = np.asarray(self.money)
        used = np.asarray(self._placed) / np.where(money > 0.0, money, 1.0)
        return np.where(money > 0.0, np.minimum(used, 1.0), 1.0)[()]

    @functools.cached_property
    def entropy(self) -> Any:
        """Shannon entropy −Σ s·ln s of the shares, P: 0 for one instrument, ln n for equal ones."""
        shares = self.shares
        logs = np.log(np.where(shares > 0.0, shares, 1.0))
        return (0.0 - (shares * logs).sum(axis=-1))[()]

    @functools.cached_property
    def below_threshold(self) -> npt.NDArray[np.bool_]:
        """Which instruments hold capital at an efficiency below `min_efficiency`, P + (n,)."""
        least = self._request.setting("min_efficiency")
        if not least.any():
            return np.zeros(self.amounts.shape, dtype=np.bool_)
        below: npt.NDArray[np.bool_] = (self.amounts > 0.0) & (self.efficiency < least - NOTHING)
        return below

    @property
    def binding_names(self) -> npt.NDArray[np.object_]:
        """What binds each instrument, as text, P + (n,)."""
        return np.array([reason.name.lower() for reason in Binding], dtype=object)[self.binding]

    @property
    def status_name(self) -> Any:
        """Status as text, P."""
        return np.array([status.name.lower() for status in AllocationStatus], dtype=object)[self.status]

    @functools.cached_property
    def contradicted(self) -> Any:
        """Share of what is allocated that stands on curves which their records contradict (`curves.marked`), P."""
        placed = np.asarray(self._placed)
        doubtful = np.where(self.curves.marked, self.amounts, 0.0).sum(axis=-1)
        return (doubtful / np.where(placed > 0.0, placed, 1.0))[()]

    @property
    def status_text(self) -> Any:
        """Say how good the answer is, as text, P: it is optimal for its curves, and the curves may be wrong.

        Examples
        --------
        >>> from escala import CurveSet, allocate
        >>> allocate(CurveSet.from_pools({"A": 1e6, "B": 2e6}, fee=0.003), 1e5).status_text
        'optimal'
        """
        texts = np.empty(np.shape(self.status), dtype=object)
        for place in np.ndindex(texts.shape):
            name, share = np.asarray(self.status_name)[place], float(np.asarray(self.contradicted)[place])
            texts[place] = allocation_summary.status_text(str(name), share)
        return texts[()]

    def to_dict(self) -> dict[str, Any]:
        """Give symbol → amount; for many problems symbol → nested lists of shape P."""
        moved = np.moveaxis(self.amounts, -1, 0)
        return dict(zip(self.symbols.tolist(), moved.tolist(), strict=True))

    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        """Give one entry an instrument, problem after problem; many problems are told apart by draw and total."""
        n, count = len(self), int(np.size(self.total))
        columns: dict[str, npt.NDArray[Any]] = {}
        if np.ndim(self.total):
            places = np.indices(np.shape(self.total)).reshape(np.ndim(self.total), count)
            first = {"draw": np.repeat(places[0], n)} if self.drawn else {}
            columns = {**first, "total": np.repeat(np.ravel(self.total), n)}
        columns["symbol"] = np.tile(self.symbols, count)
        named = {
            "amount": self.amounts, "share": self.shares, "efficiency": self.efficiency, "marginal": self.marginal,
            "binding": self.binding_names, "below_threshold": self.below_threshold,
        }  # fmt: skip
        if self.moves:
            named |= {"trade": self.trades, "cost": self.costs}
        return columns | {name: column.reshape(-1) for name, column in named.items()}

    def to_dataframe(self) -> pandas.DataFrame:
        """Give one row an instrument; for many problems also the draw and the total that each row belongs to.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        return table_file.dataframe(self._columns())

    def _repr_html_(self) -> str:
        """Show the first rows as a table in a notebook."""
        return html.table(self._columns(), repr(self))

    def summary(self, *, rows: int = 60) -> str:
        """Describe the allocation in words, with a table of the instruments or, for many problems, of the problems.

        Parameters
        ----------
        rows : int
            Most lines of the table, at least 0.

        Raises
        ------
        AllocationError
            If `rows` is no such number.
        """
        return allocation_summary.of_allocation(self, checked_count("rows", rows))
