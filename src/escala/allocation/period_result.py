"""One budget allocated over periods and instruments, and how good that is."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from escala.allocation import period_summary
from escala.allocation.problem import checked_count
from escala.allocation.result import AllocationStatus, Binding
from escala.allocation.stretches import Course
from escala.arrays import Floats
from escala.curves.curveset import CurveSet
from escala.files import table as table_file
from escala.tables import NOTHING
from escala.text import html

if TYPE_CHECKING:
    import pandas

_PRICED: Final = 1e-7  # of the weight: marginal utilities that far from each other are not one price


@dataclass(frozen=True, eq=False, repr=False)
class PeriodAllocation:
    """One budget allocated over T periods and n instruments, and how good that is.

    Attributes
    ----------
    symbols : (n,) object array of str
        The instruments.
    arrived : (T,) float64
        Money that arrives in each period.
    available : (T,) float64
        Money that is there: what arrives, and what is carried from the period before.
    amounts : (T, n) float64
        Capital of each instrument in each period.
    spent, carried : (T,) float64
        What is spent of that, and what is left; together they are `available`. The next period has `carried` times the
        share that is carried; what the last one leaves is left for good.
    prices : (T,) float64
        What one more unit of money in each period would return: the w·U′ that its instruments without a binding reason
        share, where the period is at no limit of its own.
    limit_prices : (T,) float64
        What one more unit of the period's limit would return besides: above 0 at `period_upper`, below at
        `period_lower`.
    symbol_prices : (n,) float64
        What one more unit of each `symbol_upper` would return.
    utility : float
        V = Σ w·U − hurdle·Σ C·f, f being what a unit of the period's money would have become by the end.
    upper_bound : float
        No feasible allocation has a higher utility.
    gap : float
        (upper_bound − utility) over the size of upper_bound, 0 where it is rounding.
    status : int
        Code of :class:`AllocationStatus`; `status_name` has it as text.
    nodes : int
        Problems solved by the search.
    """

    symbols: npt.NDArray[np.object_]
    arrived: Floats
    available: Floats
    amounts: Floats
    spent: Floats
    carried: Floats
    prices: Floats
    limit_prices: Floats
    symbol_prices: Floats
    utility: float
    upper_bound: float
    gap: float
    status: int
    nodes: int
    _codes: npt.NDArray[np.int8]
    _course: Course

    def __len__(self) -> int:
        """Count the periods."""
        return int(self.amounts.shape[0])

    def __repr__(self) -> str:
        """Say in a line what was allocated."""
        return f"<PeriodAllocation of {period_summary.in_a_line(self)}>"

    @property
    def curves(self) -> tuple[CurveSet, ...]:
        """The curves of each period."""
        return self._course.curves

    @property
    def carry(self) -> Floats:
        """What a unit that a period leaves is in the next one, (T − 1,)."""
        return self._course.carry

    @property
    def hurdle(self) -> float:
        """What money that is left at the end returns, as asked for."""
        return self._course.hurdle

    @functools.cached_property
    def priority(self) -> Floats:
        """Weight w of each utility, (T, n): priority times the weight of the period."""
        return self._course.priority

    @functools.cached_property
    def shares(self) -> Floats:
        """Share of each instrument in what its period spends, (T, n); zeros where that is nothing."""
        return self.amounts / np.where(self.spent > 0.0, self.spent, 1.0)[:, None]

    @functools.cached_property
    def efficiency(self) -> Floats:
        """Efficiency η of each instrument at its capital, (T, n); NaN without a curve."""
        return self._evaluated("efficiency")

    @functools.cached_property
    def marginal(self) -> Floats:
        """Marginal utility U′ of each instrument at its capital, without its weight, (T, n)."""
        return self._evaluated("marginal")

    def _evaluated(self, what: str) -> Floats:
        rows = [getattr(one, what)(held) for one, held in zip(self.curves, self.amounts, strict=True)]
        return np.stack(rows)

    @functools.cached_property
    def binding(self) -> npt.NDArray[np.int8]:
        """What keeps each amount where it is, (T, n): codes of :class:`Binding`.

        NONE: its w·U′ is the price of money in its period. GROUP: a limit of its period, or its `symbol_upper`.
        """
        money = np.repeat(self.prices[:, None], self.symbols.size, axis=1)
        limited = (self.limit_prices[:, None] != 0.0) | (self.symbol_prices != 0.0)
        price = money + self.limit_prices[:, None] + self.symbol_prices
        kept_down = (self._codes == Binding.UPPER) & (self.amounts < self._course.settings["upper"] * (1.0 - _PRICED))
        codes = np.where(kept_down, Binding.GROUP, self._codes)
        free = np.isin(codes, (Binding.NONE, Binding.PRICE, Binding.GROUP))
        held = free & (self.amounts > 0.0)
        priced = np.abs(self.priority * self.marginal - price) <= _PRICED * self.priority
        codes = np.where(held & priced, np.where(limited, Binding.GROUP, Binding.NONE), codes)
        codes = np.where(held & ~priced & ~kept_down, Binding.PRICE, codes)
        at_first = self.priority * np.clip(np.nan_to_num(self.marginal), 0.0, 1.0)
        wanted = at_first > money * (1.0 + _PRICED)
        codes = np.where(free & ~held, np.where(wanted & limited, Binding.GROUP, Binding.PRICE), codes)
        found: npt.NDArray[np.int8] = codes.astype(np.int8)
        return found

    @property
    def binding_names(self) -> npt.NDArray[np.object_]:
        """What binds each amount, as text, (T, n)."""
        return np.array([reason.name.lower() for reason in Binding], dtype=object)[self.binding]

    @property
    def status_name(self) -> str:
        """Status as text."""
        return AllocationStatus(self.status).name.lower()

    @functools.cached_property
    def below_threshold(self) -> npt.NDArray[np.bool_]:
        """Which amounts work at an efficiency below `min_efficiency`, (T, n)."""
        least = self._course.settings["min_efficiency"]
        below: npt.NDArray[np.bool_] = (self.amounts > 0.0) & (self.efficiency < least - NOTHING)
        return below

    @functools.cached_property
    def contradicted(self) -> float:
        """Share of what is spent that stands on curves which their records contradict (`curves.marked`)."""
        doubtful = np.stack([one.marked for one in self.curves])
        whole = float(self.amounts.sum())
        return float(self.amounts[doubtful].sum()) / whole if whole > 0.0 else 0.0

    def to_dict(self) -> dict[str, list[float]]:
        """Give symbol → amounts, one a period."""
        return dict(zip(self.symbols.tolist(), self.amounts.T.tolist(), strict=True))

    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        periods, n = self.amounts.shape
        columns: dict[str, npt.NDArray[Any]] = {
            "period": np.repeat(np.arange(periods), n),
            "symbol": np.tile(self.symbols, periods),
        }
        each = {
            "amount": self.amounts, "share": self.shares, "efficiency": self.efficiency, "marginal": self.marginal,
            "binding": self.binding_names, "below_threshold": self.below_threshold,
        }  # fmt: skip
        return columns | {name: column.reshape(-1) for name, column in each.items()}

    def to_dataframe(self) -> pandas.DataFrame:
        """Give one row a period and instrument.

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
        """Describe it in words, with a line a period.

        Parameters
        ----------
        rows : int
            Most lines of the table, at least 0.

        Raises
        ------
        AllocationError
            If `rows` is no such number.
        """
        return period_summary.of_periods(self, checked_count("rows", rows))
