"""The store."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import numpy as np
import numpy.typing as npt

from escala import keyed
from escala.allocation.result import Allocation
from escala.arrays import check_flag, check_interval, one_number, to_floats
from escala.curves.curveset import CurveSet
from escala.curves.prediction import Saturation
from escala.errors import AllocationError, ConfigError, CurveError, RecordError
from escala.store import checks
from escala.store.results import (
    Imported,
    News,
    Overview,
    RecordImport,
    RecordRange,
    SaturationPoint,
    StoredAllocation,
    StoredModels,
    StoredRecords,
    Training,
)
from escala.store.settings import ScalingConfig, SymbolConfig
from escala.store.writer import GroupWriter
from escala.tables import Interval

if TYPE_CHECKING:
    from escala.store.database import Database

Answer = TypeVar("Answer")
_NUMBER: Final = Interval(0, 2.0**53, integer=True)
_COUNT: Final = Interval(1, 2.0**31 - 1, integer=True)


class Store:
    """Records, trainings, settings and allocations in a database: SQLite (one file) or PostgreSQL.

    Made by :meth:`open`, closed by :meth:`close` or at the end of ``async with``. What a call that returned has written
    is on disk; a call that is cancelled has written all it was to write, or nothing. Tasks and processes may use one
    database at the same time: one transaction writes, the others wait.

    Examples
    --------
    >>> import asyncio, tempfile
    >>> async def example(folder):
    ...     async with await Store.open(f"{folder}/escala.db") as store:
    ...         await store.add_record("BTC/USDT", 10_000.0, 0.92, metrics={"roi": 0.15})
    ...         await store.add_records(["BTC/USDT", "ETH/USDT"], [20_000.0, 20_000.0], [0.88, 0.91])
    ...         return await store.symbols()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     asyncio.run(example(folder))
    {'BTC/USDT': 2, 'ETH/USDT': 3}
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._singles = GroupWriter(self._write_singles)

    @classmethod
    async def open(cls, url: str | os.PathLike[str] = "escala.db", *, create: bool = True) -> Store:
        """Open a store, and create it or bring it up to date if need be.

        Parameters
        ----------
        url : str or path
            A path, ``sqlite:///PATH`` or ``postgresql://USER:PASSWORD@HOST:PORT/NAME``; the drivers may be spelled out
            (``sqlite+aiosqlite``, ``postgresql+asyncpg``).
        create : bool
            Whether to make one where there is none.

        Raises
        ------
        StoreError
            If it cannot be opened; what is no store, another program's or of a newer escala is left as it is.
        MissingExtraError
            If libraries are not installed.
        """
        from escala.store.location import Location

        location = Location.of(url)
        from escala.store.database import Database

        return cls(await Database.open(location, create=create))

    async def close(self) -> None:
        """Write what waits to be written, and close all connections."""
        await self._singles.finish()
        await self._database.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Store {self.url}>"

    @property
    def url(self) -> str:
        """Where the store lies, without password and options."""
        return str(self._database.location)

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written: the file is on a read-only medium, or another user's."""
        return self._database.location.read_only

    # --- records --------------------------------------------------------------------------------------------------

    async def add_record(
        self,
        symbol: str,
        capital: float,
        efficiency: float,
        *,
        weight: float = 1.0,
        observed_at: Any = None,
        source: str = "system",
        metrics: Mapping[str, float] | None = None,
        identity: str | None = None,
    ) -> int:
        """Add a record; it is on disk when this returns. Records that come together share a commit.

        Parameters
        ----------
        symbol : str
            What it is a record of: any text of 1 to 500 characters.
        capital, efficiency : float
            In [1e-100, 1e100] and in [0, 1].
        weight : float
            Relative, at least 0.
        observed_at : datetime, datetime64 or float, optional
            When it was observed: a date (UTC where it has no zone) or seconds since 1970; by default now.
        source : str
            Who says so.
        metrics : mapping, optional
            Further numbers by name, such as roi, sharpe, max_drawdown, win_rate.
        identity : str, optional
            Text that is this record's alone: a call that is repeated with it keeps nothing twice, and gives the answer
            of the first time. By default one is made; :class:`escala.StoreUncertainError` has it.

        Returns
        -------
        int
            Its number; later records have higher ones.

        Raises
        ------
        RecordError
            Names the argument and its value; the record was not kept, others that came with it were.
        StoreError
            If the database fails; the record was not kept.
        StoreUncertainError
            If the connection broke while it was being confirmed, and the database cannot be asked.
        """
        row = checks.record(
            symbol,
            capital,
            efficiency,
            weight=weight,
            observed_at=observed_at,
            source=source,
            metrics=metrics,
        )
        return await self._singles.add(row, checks.identity(identity))

    async def _write_singles(self, rows: Sequence[Any]) -> list[int | RecordError]:
        from escala.store import record_rows

        return await record_rows.insert_rows(self._database, rows)

    async def add_records(
        self,
        symbols: Any,
        capital: Any,
        efficiency: Any,
        *,
        weights: Any = None,
        observed_at: Any = None,
        sources: str | Sequence[str] = "system",
        metrics: Sequence[Mapping[str, float] | None] | None = None,
        identity: str | None = None,
    ) -> int:
        """Add any number of records in one transaction: all of them, or none.

        Parameters
        ----------
        symbols : sequence of str
            n symbols.
        capital, efficiency : (n,) float64
            As in :meth:`add_record`.
        weights, observed_at, sources : one value or n, optional
            As in :meth:`add_record`.
        metrics : sequence of n mappings or None, optional
            As in :meth:`add_record`.
        identity : str, optional
            Text that is this batch's alone: a call that is repeated with it keeps nothing twice, and gives the answer
            of the first time. By default one is made; :class:`escala.StoreUncertainError` has it.

        Returns
        -------
        int
            How many.

        Raises
        ------
        RecordError
            Names the argument, the first bad records and their values; nothing was kept.
        StoreError
            If the database fails; nothing was kept.
        StoreUncertainError
            If the connection broke while it was being confirmed, and the database cannot be asked.
        """
        batch = checks.batch(
            symbols,
            capital,
            efficiency,
            weights=weights,
            observed_at=observed_at,
            sources=sources,
            metrics=metrics,
        )
        await self.add_batch(batch, identity)
        return len(batch)

    async def add_batch(
        self, batch: checks.Batch, identity: str | None = None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Insert a batch; of each of its names give the place and the number of the last record."""
        identity = checks.identity(identity)
        place = np.empty(len(batch.names), np.int64)
        place[batch.codes] = np.arange(len(batch))  # the last one stays
        if not len(batch):
            return place, place
        from escala.store import record_rows

        given_up = asyncio.Event()
        insertion = record_rows.insert_batch(self._database, batch, given_up, identity)
        return place, place + await self._to_the_end(insertion, given_up)

    async def import_records(
        self,
        symbols: Any,
        capital: Any,
        efficiency: Any,
        *,
        file: str,
        weights: Any = None,
        observed_at: Any = None,
        fingerprints: Any = None,
        allow_duplicates: bool = False,
        identity: str | None = None,
    ) -> Imported:
        """Add the records of a file that the store does not have yet, in one transaction, as an import with a number.

        Records are compared as multisets of whole rows (symbol, capital, efficiency, weight, time): a row that the file
        has twice and the store once is added once. No other import comes in between.

        Parameters
        ----------
        symbols, capital, efficiency, weights
            As in :meth:`add_records`.
        file : str
            What the file is called; the records' source too.
        observed_at : one value or n, optional
            As in :meth:`add_records`; by default now, and then records are compared without times.
        fingerprints : (n,) int64, optional
            What tells the row that a record was made of; rows with equal ones are the same, whatever their efficiency
            is: that of an execution changes with the others of its file.
        allow_duplicates : bool
            Add all, whether the store has them or not.
        identity : str, optional
            Text that is this import's alone: a call that is repeated with it keeps nothing twice, and gives the answer
            of the first time. By default one is made; :class:`escala.StoreUncertainError` has it.

        Returns
        -------
        Imported
            How many were added, and how many were there already.

        Raises
        ------
        RecordError
            Names the argument, the first bad records and their values; nothing was kept.
        StoreError
            If the database fails; nothing was kept.
        StoreUncertainError
            If the connection broke while it was being confirmed, and the database cannot be asked.
        """
        file = checks.file_name(file)
        check_flag("allow_duplicates", allow_duplicates, RecordError)
        batch = checks.batch(
            symbols, capital, efficiency, weights=weights, observed_at=observed_at, sources=file, metrics=None
        )
        from escala.store import import_rows

        given_up = asyncio.Event()
        work = import_rows.insert(
            self._database,
            batch if fingerprints is None else batch.with_fingerprints(fingerprints),
            file,
            given_up,
            timed=observed_at is not None,
            allow_duplicates=allow_duplicates,
            time=checks.microseconds("at", None),
            identity=checks.identity(identity),
        )
        return await self._to_the_end(work, given_up)

    async def imports(self) -> list[RecordImport]:
        """Read all imports, oldest first.

        Raises
        ------
        StoreError
            If the database fails.
        """
        from escala.store import import_rows

        return await self._to_the_end(import_rows.imports(self._database))

    async def delete_records(
        self,
        symbols: str | Sequence[str] | None = None,
        *,
        imports: int | Sequence[int] | None = None,
        since: Any = None,
        before: Any = None,
        dry_run: bool = False,
    ) -> dict[str, int]:
        """Delete records and make the models of their symbols stale, in one transaction. What is deleted is gone.

        All that is given must hold for a record. A symbol without records left is known no more; its trainings stay in
        :meth:`history`.

        Parameters
        ----------
        symbols : str or sequence of str, optional
            Of which symbols; those without records are passed over.
        imports : int or sequence of int, optional
            Of which imports, by their numbers.
        since, before : datetime, datetime64 or float, optional
            Observed at this time or later; before this time.
        dry_run : bool
            Only count.

        Returns
        -------
        dict
            Symbol → how many.

        Raises
        ------
        RecordError
            If nothing is given, there is no such import, or an argument cannot be what it should; nothing was deleted.
        StoreError
            If the database fails; nothing was deleted.
        """
        given = {"symbols": symbols, "imports": imports, "since": since, "before": before}
        if all(value is None for value in given.values()):
            raise RecordError(f"delete_records must be told which: {', '.join(given)}", arguments=tuple(given))
        check_flag("dry_run", dry_run, RecordError)
        from escala.store import import_rows

        work = import_rows.delete(
            self._database,
            None if symbols is None else checks.some_symbols(symbols),
            None if imports is None else _numbers("imports", imports),
            None if since is None else checks.microseconds("since", since),
            None if before is None else checks.microseconds("before", before),
            dry_run=dry_run,
            time=checks.microseconds("at", None),
        )
        return await self._to_the_end(work)

    async def removals(self) -> dict[str, int]:
        """Give the number of the last removal of records of every symbol that had one.

        It lies between the numbers of records: a training that has seen less knows records that are no longer there.

        Raises
        ------
        StoreError
            If the database fails.
        """
        from escala.store import record_rows

        return await self._to_the_end(record_rows.removals(self._database))

    async def records(self, symbols: str | Sequence[str] | None = None, *, after_id: int = 0) -> StoredRecords:
        """Read records in the order in which they were added.

        Parameters
        ----------
        symbols : str or sequence of str, optional
            Of which symbols; by default of all. Those without records are passed over.
        after_id : int
            Only records with higher numbers.

        Raises
        ------
        RecordError
            If an argument cannot be what it should.
        StoreError
            If the database fails.
        """
        from escala.store import record_rows

        chosen = None if symbols is None else checks.some_symbols(symbols)
        return await self._to_the_end(record_rows.records(self._database, chosen, _number("after_id", after_id)))

    async def overview(self, name: str = "default") -> Overview:
        """Read what tells whether there is anything new, all of it of one moment, and the settings of this name.

        Raises
        ------
        ConfigError
            If `name` is no text.
        StoreError
            If the database fails.
        """
        from escala.store import record_rows

        return await self._to_the_end(record_rows.overview(self._database, _name(name)))

    async def news(self, known: Mapping[str, tuple[int, int]], name: str = "default") -> News:
        """Read of some symbols the records that are new: for whoever has the others; with the settings of this name.

        Parameters
        ----------
        known : mapping
            Symbol → numbers of the last record and of the last removal that are known; 0 and 0 where nothing is.
        name : str
            As in :meth:`config`.

        Returns
        -------
        News
            Of each symbol the records with higher numbers; all of them where some have been removed since.

        Raises
        ------
        RecordError, ConfigError
            If an argument cannot be what it should.
        StoreError
            If the database fails.
        """
        from escala.store import record_rows

        symbols = checks.some_symbols(list(known))
        numbers = {
            symbol: (_number(f"known[{symbol!r}]", record), _number(f"known[{symbol!r}]", removal))
            for symbol, (record, removal) in zip(symbols, known.values(), strict=True)
        }
        return News(*await self._to_the_end(record_rows.news(self._database, numbers, _name(name))))

    async def record_ranges(self) -> dict[str, RecordRange]:
        """Give how many records of which capitals and times every symbol has, in order of symbols.

        Raises
        ------
        StoreError
            If the database fails.
        """
        from escala.store import record_rows

        return await self._to_the_end(record_rows.ranges(self._database))

    async def record_sources(self) -> dict[str, int]:
        """Count the records of every source.

        Raises
        ------
        StoreError
            If the database fails.
        """
        from escala.store import record_rows

        return await self._to_the_end(record_rows.sources(self._database))

    async def metrics_of(self, symbol: str, *, after_id: int = 0) -> dict[int, dict[str, float]]:
        """Read the metrics of a symbol's records, by number; records without metrics are passed over.

        Raises
        ------
        RecordError
            If an argument cannot be what it should.
        StoreError
            If the database fails.
        """
        from escala.store import record_rows

        symbol = checks.one_symbol(symbol)
        return await self._to_the_end(record_rows.metrics(self._database, symbol, _number("after_id", after_id)))

    async def symbols(self) -> dict[str, int]:
        """Give of every symbol with records the highest number of a record or removal.

        A training that has seen less is stale.

        Raises
        ------
        StoreError
            If the database fails.
        """
        from escala.store import record_rows

        return await self._to_the_end(record_rows.highest(self._database))

    # --- models ---------------------------------------------------------------------------------------------------

    async def save_models(
        self,
        curves: CurveSet,
        *,
        last_record_id: Sequence[int] | npt.NDArray[np.integer[Any]],
        saturation: Saturation | None = None,
        trained_at: Any = None,
        identity: str | None = None,
        keep: int | None = None,
    ) -> npt.NDArray[np.int64]:
        """Keep trainings, and make them the current ones of their symbols, in one transaction.

        Parameters
        ----------
        curves : CurveSet
            n curves; all about them is kept to the last bit.
        last_record_id : (n,) int
            Highest number of a record, or of a removal of records, that each has seen.
        saturation : Saturation, optional
            By default that of the curves with its default drop.
        trained_at : datetime, datetime64 or float, optional
            One time, or n; by default now.
        identity : str, optional
            Text that is this call's alone: a call that is repeated with it keeps nothing twice, and gives the answer
            of the first time. By default one is made; :class:`escala.StoreUncertainError` has it.
        keep : int, optional
            How many trainings of each of these symbols stay in :meth:`history`, this one counted, and the curve of the
            last alone; by default all of them, whole.

        Returns
        -------
        (n,) int64
            Numbers of the trainings, the models' versions.

        Raises
        ------
        CurveError, RecordError
            If an argument does not go with the curves; nothing was kept.
        StoreError
            If the database fails; nothing was kept.
        StoreUncertainError
            If the connection broke while it was being confirmed, and the database cannot be asked.
        """
        if not isinstance(curves, CurveSet):
            raise CurveError(f"curves must be a CurveSet, not {type(curves).__name__}", arguments=("curves",))
        n = len(curves)
        symbols = checks.some_symbols(curves.symbols)
        if len(set(symbols)) < n:
            raise CurveError("curves holds a symbol twice", arguments=("curves",))
        last = keyed.by_symbol("last_record_id", last_record_id, curves.symbols, RecordError)
        last = to_floats("last_record_id", last, RecordError)
        if last.shape != (n,):
            message = f"last_record_id of shape {last.shape} must be of shape ({n},)"
            raise RecordError(message, arguments=("last_record_id",))
        check_interval("last_record_id", last, _NUMBER, RecordError)
        limits = curves.saturation() if saturation is None else saturation
        if limits.peak.shape != (n,):
            message = f"saturation of {limits.peak.size:,} curves does not go with {n:,}"
            raise CurveError(message, arguments=("saturation", "curves"))
        if limits.symbols.tolist() != symbols:
            raise CurveError("saturation is not of these curves in this order", arguments=("saturation", "curves"))
        times = checks.some_microseconds("trained_at", trained_at, n)
        identity = checks.identity(identity)
        kept = None if keep is None else _number("keep", keep, _COUNT)
        if not n:
            return np.empty(0, np.int64)
        from escala.store import model_rows

        return await self._to_the_end(
            model_rows.insert(self._database, curves, limits, last.astype(np.int64), times, identity, kept)
        )

    async def models(self, symbols: str | Sequence[str] | None = None, *, newer_than: int = 0) -> StoredModels:
        """Read the latest training of every symbol.

        Parameters
        ----------
        symbols : str or sequence of str, optional
            Of which symbols; by default of all. Those without training are passed over.
        newer_than : int
            Only trainings with higher numbers.

        Raises
        ------
        RecordError
            If an argument cannot be what it should.
        StoreError
            If the database fails.
        """
        from escala.store import model_rows

        chosen = None if symbols is None else checks.some_symbols(symbols)
        return await self._to_the_end(model_rows.models(self._database, chosen, _number("newer_than", newer_than)))

    async def latest_version(self) -> int:
        """Give the highest number of a training, 0 where there is none; it grows when another process trains.

        Raises
        ------
        StoreError
            If the database fails.
        """
        from escala.store import model_rows

        return await self._to_the_end(model_rows.latest(self._database))

    async def history(self, symbol: str) -> list[Training]:
        """Read the trainings of a symbol that were kept, oldest first.

        Raises
        ------
        RecordError
            If `symbol` is no text.
        StoreError
            If the database fails.
        """
        from escala.store import model_rows

        return await self._to_the_end(model_rows.history(self._database, checks.one_symbol(symbol)))

    async def saturation_points(self) -> dict[str, SaturationPoint]:
        """Read where each symbol saturates by its latest training.

        Raises
        ------
        StoreError
            If the database fails.
        """
        from escala.store import model_rows

        return await self._to_the_end(model_rows.saturation_points(self._database))

    # --- settings -------------------------------------------------------------------------------------------------

    async def config(self, name: str = "default") -> ScalingConfig:
        """Read settings of the whole system; those that were never set are the defaults.

        Raises
        ------
        ConfigError
            If `name` is no text.
        StoreError
            If the database fails.
        """
        from escala.store import setting_rows

        return await self._to_the_end(setting_rows.config(self._database, _name(name)))

    async def set_config(self, config: ScalingConfig, name: str = "default") -> None:
        """Keep settings of the whole system.

        Raises
        ------
        ConfigError
            If an argument cannot be what it should.
        StoreError
            If the database fails.
        """
        from escala.store import setting_rows

        if not isinstance(config, ScalingConfig):
            raise ConfigError(f"config must be a ScalingConfig, not {type(config).__name__}", arguments=("config",))
        await self._to_the_end(setting_rows.set_config(self._database, config, _name(name)))

    async def symbol_config(self) -> dict[str, SymbolConfig]:
        """Read the settings of all symbols that have some.

        Raises
        ------
        StoreError
            If the database fails.
        """
        from escala.store import setting_rows

        return await self._to_the_end(setting_rows.symbol_configs(self._database))

    async def set_symbol_config(self, symbol: str, config: SymbolConfig) -> None:
        """Keep the settings of a symbol, in place of those it had.

        Raises
        ------
        ConfigError, RecordError
            If an argument cannot be what it should.
        StoreError
            If the database fails.
        """
        from escala.store import setting_rows

        if not isinstance(config, SymbolConfig):
            raise ConfigError(f"config must be a SymbolConfig, not {type(config).__name__}", arguments=("config",))
        await self._to_the_end(setting_rows.set_symbol_config(self._database, checks.one_symbol(symbol), config))

    async def remove_symbol_config(self, symbol: str) -> bool:
        """Forget the settings of a symbol, and tell whether there were any.

        Raises
        ------
        RecordError
            If `symbol` is no text.
        StoreError
            If the database fails.
        """
        from escala.store import setting_rows

        return await self._to_the_end(setting_rows.remove_symbol_config(self._database, checks.one_symbol(symbol)))

    # --- allocations ----------------------------------------------------------------------------------------------

    async def save_allocation(self, allocation: Allocation, *, at: Any = None, identity: str | None = None) -> int:
        """Keep an allocation and give its number.

        Parameters
        ----------
        allocation : Allocation
            Of one problem.
        at : datetime, datetime64 or float, optional
            When it was decided; by default now.
        identity : str, optional
            Text that is this allocation's alone: a call that is repeated with it keeps nothing twice, and gives the
            answer of the first time. By default one is made; :class:`escala.StoreUncertainError` has it.

        Raises
        ------
        AllocationError, RecordError
            If an argument cannot be what it should.
        StoreError
            If the database fails; nothing was kept.
        StoreUncertainError
            If the connection broke while it was being confirmed, and the database cannot be asked.
        """
        if not isinstance(allocation, Allocation):
            message = f"allocation must be an Allocation, not {type(allocation).__name__}"
            raise AllocationError(message, arguments=("allocation",))
        if allocation.amounts.ndim != 1:
            message = f"allocation must be of one problem, not of shape {allocation.amounts.shape[:-1]}"
            raise AllocationError(message, arguments=("allocation",))
        checks.some_symbols(allocation.symbols)
        time = checks.microseconds("at", at)
        from escala.store import allocation_rows

        return await self._to_the_end(
            allocation_rows.insert(self._database, allocation, time, checks.identity(identity))
        )

    async def allocations(self, limit: int = 100) -> list[StoredAllocation]:
        """Read the last allocations, newest first.

        Raises
        ------
        RecordError
            If `limit` is no number of at least 1.
        StoreError
            If the database fails.
        """
        from escala.store import allocation_rows

        return await self._to_the_end(allocation_rows.latest(self._database, _number("limit", limit, _COUNT)))

    async def stats(self) -> dict[str, Any]:
        """Give the URL without its password, the schema's revision, and how many rows each table has.

        Raises
        ------
        StoreError
            If the database fails.
        """
        from escala.store import setting_rows

        revision = await self._to_the_end(self._database.revision())
        rows = await self._to_the_end(setting_rows.counts(self._database))
        return {"url": self.url, "revision": revision, "rows": rows}

    async def _to_the_end(self, work: Coroutine[Any, Any, Answer], given_up: asyncio.Event | None = None) -> Answer:
        from escala.store.database import to_the_end

        with self._database.undamaged():
            return await to_the_end(work, given_up)


def _number(name: str, value: Any, allowed: Interval = _NUMBER) -> int:
    return int(one_number(name, value, allowed, RecordError))


def _numbers(name: str, values: Any) -> list[int]:
    given = [values] if np.ndim(values) == 0 else list(values)
    return [_number(name if np.ndim(values) == 0 else f"{name}[{k}]", value) for k, value in enumerate(given)]


def _name(name: Any) -> str:
    try:
        return checks.one_symbol(name)
    except RecordError as error:
        raise ConfigError(str(error).replace("symbol", "name", 1), arguments=("name",)) from None
