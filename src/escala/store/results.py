"""What a store gives back."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats
from escala.curves.curveset import CurveSet
from escala.files import table as table_file
from escala.store.settings import ScalingConfig, SymbolConfig
from escala.text import html
from escala.text.numerals import counted

if TYPE_CHECKING:
    import pandas

Times: TypeAlias = npt.NDArray[np.datetime64]


@dataclass(frozen=True, eq=False)
class StoredRecords:
    """Efficiency records in the order in which they were added; arrays of shape (n,).

    Attributes
    ----------
    id : int64
        Numbers of the records; a later record has a higher one.
    symbol : object array of str
        What each is a record of.
    capital, efficiency, weight : float64
        As added.
    observed_at : datetime64[us]
        When it was observed, UTC; as :func:`escala.fit` takes it.
    """

    id: npt.NDArray[np.int64]
    symbol: npt.NDArray[np.object_]
    capital: Floats
    efficiency: Floats
    weight: Floats
    observed_at: Times

    def __len__(self) -> int:
        return int(self.id.size)

    def __repr__(self) -> str:
        return f"<StoredRecords: {counted(len(self), 'record')} of {counted(len(set(self.symbol)), 'symbol')}>"

    def _repr_html_(self) -> str:
        """Show the first records as a table in a notebook."""
        return html.table(self.to_dict(), repr(self))

    def to_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Give the columns by name, one entry a record; :func:`escala.fit` takes them."""
        return {
            "id": self.id, "symbol": self.symbol, "capital": self.capital, "efficiency": self.efficiency,
            "weight": self.weight, "observed_at": self.observed_at,
        }  # fmt: skip

    def to_dataframe(self) -> pandas.DataFrame:
        """Give one row a record.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        return table_file.dataframe(self.to_dict())


@dataclass(frozen=True, eq=False)
class RecordNews:
    """What is new of one symbol; arrays of shape (n,), in the order in which records were added.

    Attributes
    ----------
    id : int64
        Numbers of the records.
    capital, efficiency, weight : float64
        As added.
    observed_at : int64
        Microseconds since 1970.
    removal : int
        Number of the last removal of records; 0 if there was none.
    whole : bool
        Whether these are all records of the symbol, for some of those that were known are gone.
    """

    id: npt.NDArray[np.int64]
    capital: Floats
    efficiency: Floats
    weight: Floats
    observed_at: npt.NDArray[np.int64]
    removal: int
    whole: bool


@dataclass(frozen=True)
class Overview:
    """What tells whether there is anything new in a store, all of it of one moment.

    Attributes
    ----------
    symbols : dict
        As :meth:`Store.symbols`.
    removals : dict
        As :meth:`Store.removals`.
    version : int
        As :meth:`Store.latest_version`.
    config : ScalingConfig
        The settings of the whole system.
    symbol_config : dict
        Those of single symbols.
    """

    symbols: dict[str, int]
    removals: dict[str, int]
    version: int
    config: ScalingConfig
    symbol_config: dict[str, SymbolConfig]


@dataclass(frozen=True)
class News:
    """What is new in a store of some symbols, with the settings that their trainings go by.

    Attributes
    ----------
    records : dict
        Symbol → :class:`RecordNews`.
    config : ScalingConfig
        The settings of the whole system.
    symbol_config : dict
        Those of single symbols.
    """

    records: dict[str, RecordNews]
    config: ScalingConfig
    symbol_config: dict[str, SymbolConfig]


@dataclass(frozen=True)
class RecordRange:
    """What records there are of one symbol.

    Attributes
    ----------
    count : int
        How many.
    smallest, largest : float
        Of their capitals.
    first, last : datetime
        Of their times, UTC.
    """

    count: int
    smallest: float
    largest: float
    first: datetime.datetime
    last: datetime.datetime


@dataclass(frozen=True)
class Imported:
    """What became of the records of a file.

    Attributes
    ----------
    id : int
        Number of the import; 0 where nothing was added.
    added : int
        Records that were added.
    duplicates : int
        Records that the store had already; they were not added.
    known_from : tuple of str
        The files that had brought those, oldest first.
    """

    id: int
    added: int
    duplicates: int
    known_from: tuple[str, ...]


@dataclass(frozen=True)
class RecordImport:
    """One import of a file.

    Attributes
    ----------
    id : int
        Its number; a later one has a higher one.
    at : datetime or None
        When, UTC; None for imports of versions that did not keep it.
    file : str
        Name of the file.
    added : int
        Records that it added.
    duplicates : int
        Records of the file that were in the store already.
    records : int
        How many of those added are still there.
    """

    id: int
    at: datetime.datetime | None
    file: str
    added: int
    duplicates: int
    records: int


@dataclass(frozen=True, eq=False)
class StoredModels:
    """The latest training of n symbols, in the order in which they were saved.

    Attributes
    ----------
    curves : CurveSet
        The curves, equal to what was saved to the last bit.
    version : (n,) int64
        Numbers of the trainings; a later training has a higher one.
    last_record_id : (n,) int64
        Highest number of a record, or of a removal of records, that each has seen.
    trained_at : (n,) datetime64[us]
        When, UTC.
    """

    curves: CurveSet
    version: npt.NDArray[np.int64]
    last_record_id: npt.NDArray[np.int64]
    trained_at: Times

    def __len__(self) -> int:
        return len(self.curves)


@dataclass(frozen=True)
class SaturationPoint:
    """Where a curve has lost efficiency and where more capital returns no more: :class:`escala.Saturation` of one.

    Attributes
    ----------
    peak, saturation, saturation_low, saturation_high, capacity, capacity_low, capacity_high : float
        As in :class:`escala.Saturation`; inf is "not within the limit", NaN "there is no curve".
    drop : float
        Share of the peak efficiency that is lost at `saturation`.
    version : int
        Number of the training it belongs to.
    trained_at : datetime
        When that was, UTC.
    ceiling : float
        As in :class:`escala.Saturation`; NaN of a training by a version that did not keep it.
    """

    peak: float
    saturation: float
    saturation_low: float
    saturation_high: float
    capacity: float
    capacity_low: float
    capacity_high: float
    drop: float
    version: int
    trained_at: datetime.datetime
    ceiling: float = math.nan


@dataclass(frozen=True)
class Training:
    """One training of one symbol.

    Attributes
    ----------
    version : int
        Its number.
    symbol : str
        Of which symbol.
    trained_at : datetime
        When, UTC.
    last_record_id : int
        Highest record it has seen.
    family, status : str
        Of the curve, as text.
    params : tuple of float
        a, b, c, … over `origin`, as in :class:`escala.CurveSet`.
    origin, trusted_to : float
        As in :class:`escala.CurveSet`.
    n_points : int
        Records of positive weight.
    r_squared, rmse, mean_error, max_error, residual_sd, aicc : float
        How well the curve follows them; NaN where that is not known.
    saturation : SaturationPoint
        Where it saturates.
    """

    version: int
    symbol: str
    trained_at: datetime.datetime
    last_record_id: int
    family: str
    status: str
    params: tuple[float, ...]
    origin: float
    trusted_to: float
    n_points: int
    r_squared: float
    rmse: float
    mean_error: float
    max_error: float
    residual_sd: float
    aicc: float
    saturation: SaturationPoint


@dataclass(frozen=True)
class AllocationLine:
    """Capital of one instrument in a stored allocation.

    Attributes
    ----------
    symbol : str
        The instrument.
    amount : float
        Its capital.
    efficiency, marginal : float
        Efficiency and marginal utility there; NaN where they are not known.
    binding : str
        What keeps the capital where it is, as in :class:`escala.Binding`.
    current, cost : float
        Capital held before, and what trading it costs; NaN where they are not known.
    """

    symbol: str
    amount: float
    efficiency: float
    marginal: float
    binding: str
    current: float = math.nan
    cost: float = math.nan

    @property
    def trade(self) -> float:
        """Capital bought (above 0) or sold; NaN where it is not known."""
        return self.amount - self.current


@dataclass(frozen=True)
class AllocationGroup:
    """A group of instruments in a stored allocation.

    Attributes
    ----------
    name : str
        As in :attr:`escala.Allocation.groups`.
    symbols : tuple of str
        Its instruments, in the allocation's order.
    amount : float
        What they hold together.
    price : float
        What one more unit of its limit returns.
    upper, lower, share : float
        The limits as asked for: `group_upper` (inf: none), `group_lower`, `group_share` of the total (1: none).
    """

    name: str
    symbols: tuple[str, ...]
    amount: float
    price: float
    upper: float
    lower: float
    share: float


@dataclass(frozen=True)
class StoredAllocation:
    """An allocation as it was decided.

    Attributes
    ----------
    id : int
        Its number; a later one has a higher one.
    at : datetime
        When, UTC.
    total, unallocated : float
        Money there was, and what of it was left; the latter NaN where it is not known.
    utility, upper_bound, gap, shadow_price : float
        As in :class:`escala.Allocation`.
    status : str
        As in :class:`escala.AllocationStatus`, as text.
    lines : tuple of AllocationLine
        The instruments, in the allocation's order.
    hurdle, reserve : float
        What money returns elsewhere, and the share of the total that stays out; NaN where they are not known.
    goal : str
        "utility", "efficiency" or "marginal", where the total was sought for a target; else empty.
    target : float
        That target; NaN where the total was given.
    groups : tuple of AllocationGroup
        From the innermost outwards.
    """

    id: int
    at: datetime.datetime
    total: float
    unallocated: float
    utility: float
    upper_bound: float
    gap: float
    shadow_price: float
    status: str
    lines: tuple[AllocationLine, ...]
    hurdle: float = math.nan
    reserve: float = math.nan
    goal: str = ""
    target: float = math.nan
    groups: tuple[AllocationGroup, ...] = ()

    @property
    def cost(self) -> float:
        """What all trades cost; NaN where it is not known."""
        return math.fsum(line.cost for line in self.lines)
