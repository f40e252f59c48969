"""Efficiency records that were made from outside data, with a count of whatever was changed or left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats
from escala.files import table as table_file
from escala.text import html
from escala.text.numerals import capital as written
from escala.text.numerals import counted
from escala.text.visible import in_line

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False, repr=False)
class EfficiencyRecords:
    """Efficiency records as columns, ready for ``fit`` and ``PredictiveScalingEngine.add_efficiency_records``.

    Parameters
    ----------
    symbol : (n,) object
        The instrument of each record, as text.
    capital, efficiency : (n,) float64
        Capital in the unit of the source, and the fraction of the ideal value that survived.
    observed_at : (n,) float64 or None
        Seconds since 1970, UTC; None where the source has no times.
    weight : (n,) float64 or None
        Weights, if the source has some.
    source, kind : str
        Where they are from, and what was there: "records", "quotes", "order_book" or "backtest".
    clipped : int
        Efficiencies that lay outside [0, 1] and were brought to its nearer end.
    left_out : int
        Rows of the source, snapshots that are no order books, or capitals asked for, that gave no record.
    notes : tuple of str
        What was clipped, left out or assumed, in words.
    fingerprint : (n,) int64 or None
        What tells the row that a record was made of, by its id or by all it says, where efficiency depends on the
        other rows; None where a record is all that its row says.
    """

    symbol: npt.NDArray[np.object_]
    capital: Floats
    efficiency: Floats
    observed_at: Floats | None = None
    weight: Floats | None = None
    source: str = ""
    kind: str = "records"
    clipped: int = 0
    left_out: int = 0
    notes: tuple[str, ...] = ()
    fingerprint: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return int(self.capital.size)

    def __repr__(self) -> str:
        return f"<EfficiencyRecords: {self._in_a_line()}>"

    def _in_a_line(self) -> str:
        parts = [f"{counted(len(self), 'record')} of {counted(len(set(self.symbol)), 'symbol')}"]
        parts += [f"{self.clipped:,} clipped"] if self.clipped else []
        parts += [f"{self.left_out:,} left out"] if self.left_out else []
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Give the columns symbol, capital and efficiency, with weight and observed_at if they are there."""
        columns: dict[str, Any] = {"symbol": self.symbol, "capital": self.capital, "efficiency": self.efficiency}
        if self.weight is not None:
            columns["weight"] = self.weight
        if self.observed_at is not None:
            columns["observed_at"] = self.observed_at
        return columns

    def to_dataframe(self) -> pandas.DataFrame:
        """Give a pandas data frame of the columns that :meth:`to_dict` has.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        return table_file.dataframe(self.to_dict())

    def _repr_html_(self) -> str:
        """Show the first records as a table in a notebook."""
        return html.table(self.to_dict(), repr(self))

    def summary(self) -> str:
        """Say in words what is there and what became of the rest."""
        lines = [self._in_a_line() + (f", from {in_line(self.source)}" if self.source else "")]
        if len(self):
            ends = f"{written(float(self.capital.min()))} to {written(float(self.capital.max()))}"
            mean, low = float(self.efficiency.mean()), float(self.efficiency.min())
            lines.append(f"capital {ends}, efficiency {low:.6f} to {float(self.efficiency.max()):.6f}, mean {mean:.6f}")
        return "\n".join([*lines, *map(in_line, self.notes)])


def names(symbols: Sequence[str], codes: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.object_]:
    """Give the symbol of each record from the different symbols and their places."""
    table = np.empty(len(symbols), dtype=object)
    table[:] = list(symbols)
    chosen: npt.NDArray[np.object_] = table[codes]
    return chosen
