"""Trainings in the database: whole curves to the last bit, and their figures in columns for whoever reads tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import RowMapping, func, select
from sqlalchemy.dialects import postgresql, sqlite

from escala.curves.curveset import CurveSet
from escala.curves.prediction import Saturation
from escala.errors import StoreError
from escala.store.database import Database
from escala.store.results import SaturationPoint, StoredModels, Training
from escala.store.schema import SATURATION, TRAINING, date

#: Layout of the bytes in model_training.curve; another one gets another number, and this one stays readable.
LAYOUT: Final = 1
CURVE: Final = np.dtype(
    [
        ("family", "i1"),
        ("status", "i1"),
        ("params", "<f8", 3),
        ("origin", "<f8"),
        ("observed", "<f8", 2),
        ("limit", "<f8"),
        ("n_points", "<i8"),
        ("covariance", "<f8", (3, 3)),
        ("residual_sd", "<f8"),
        ("freedom", "<f8"),
        ("r_squared", "<f8"),
        ("mean_error", "<f8"),
        ("max_error", "<f8"),
        ("rmse", "<f8"),
        ("aicc", "<f8"),
        ("clipped", "<i8"),
        ("_root", "<f8", 6),
        ("_neumann", "<f8", 3),
    ]
)
_LIMITS: Final = (
    "peak", "saturation", "saturation_low", "saturation_high", "capacity", "capacity_low", "capacity_high",
)  # fmt: skip
_FIGURES: Final = ("r_squared", "rmse", "mean_error", "max_error", "residual_sd", "aicc")


async def insert(
    database: Database, curves: CurveSet, saturation: Saturation, last_record_id: npt.NDArray[np.int64], time: int
) -> npt.NDArray[np.int64]:
    """Insert a training a curve, make it the symbol's current one, and give the numbers."""
    trainings = _trainings(curves, saturation, last_record_id, time)
    async with database.writing() as connection:
        first = await database.take_ids(connection, TRAINING, len(curves))
        for number, row in enumerate(trainings, first):
            row["id"] = number
        rows = [tuple(row[name] for name in TRAINING.columns.keys()) for row in trainings]  # noqa: SIM118
        await connection.exec_driver_sql(database.insertion(TRAINING), rows)
        current = [
            {"training_id": row["id"], **{name: row[name] for name in ("symbol", "trained_at", *_LIMITS, _DROP)}}
            for row in trainings
        ]
        insertion = (sqlite if database.is_sqlite else postgresql).insert(SATURATION)
        changed = {name: insertion.excluded[name] for name in current[0] if name != "symbol"}
        await connection.execute(insertion.on_conflict_do_update(index_elements=["symbol"], set_=changed), current)
    return np.arange(first, first + len(curves), dtype=np.int64)


_DROP: Final = "saturation_drop"


def _trainings(
    curves: CurveSet, saturation: Saturation, last_record_id: npt.NDArray[np.int64], time: int
) -> list[dict[str, Any]]:
    columns: dict[str, list[Any]] = {
        "symbol": curves.symbols.tolist(),
        "trained_at": [time] * len(curves),
        "last_record_id": last_record_id.tolist(),
        "family": curves.family_names,
        "status": curves.status_names,
        **{name: _nullable(curves.params[:, k]) for k, name in enumerate("abc")},
        "origin": _nullable(curves.origin),
        "trusted_to": _nullable(curves.limit),
        "n_points": curves.n_points.tolist(),
        **{name: _nullable(getattr(curves, name)) for name in _FIGURES},
        **{name: _nullable(getattr(saturation, name)) for name in _LIMITS},
        _DROP: saturation.drop.tolist(),
        "layout": [LAYOUT] * len(curves),
        "curve": [row.tobytes() for row in pack(curves)],
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def pack(curves: CurveSet) -> npt.NDArray[Any]:
    """Put everything about each curve but its symbol side by side."""
    rows = np.empty(len(curves), CURVE)
    for name in CURVE.names or ():
        rows[name] = getattr(curves, name)
    return rows


def unpack(symbols: Sequence[str], rows: npt.NDArray[Any]) -> CurveSet:
    """Make curves of what :func:`pack` gave."""
    names = np.empty(len(symbols), dtype=object)
    names[:] = symbols
    columns = {name: np.ascontiguousarray(rows[name]) for name in CURVE.names or ()}
    return CurveSet(symbols=names, **{name: _native(column) for name, column in columns.items()})


def _native(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return column.astype(column.dtype.newbyteorder("="), copy=False)


async def models(database: Database, symbols: list[str] | None, newer_than: int) -> StoredModels:
    """Read the current trainings."""
    chosen = ("id", "symbol", "trained_at", "last_record_id", "layout", "curve")
    statement = (
        select(*(TRAINING.c[name] for name in chosen))
        .join(SATURATION, SATURATION.c.training_id == TRAINING.c.id)
        .where(SATURATION.c.training_id > newer_than)
        .order_by(TRAINING.c.id)
    )
    if symbols is not None:
        statement = statement.where(database.one_of(SATURATION.c.symbol, symbols))
    async with database.reading() as connection:
        rows = (await connection.execute(statement)).all()
    ids, names, times, last, layouts, curves = zip(*rows, strict=True) if rows else ((),) * 6
    for name, layout, curve in zip(names, layouts, curves, strict=True):
        if layout != LAYOUT or len(curve) != CURVE.itemsize:
            raise StoreError(f"the model of {name!r} in {database.location} cannot be read (layout {layout})")
    return StoredModels(
        curves=unpack(names, np.frombuffer(b"".join(curves), CURVE)),
        version=np.array(ids, np.int64),
        last_record_id=np.array(last, np.int64),
        trained_at=np.array(times, np.int64).view("datetime64[us]"),
    )


async def latest(database: Database) -> int:
    """Give the highest number of a training; 0 where there is none."""
    async with database.reading() as connection:
        return int((await connection.execute(select(func.max(TRAINING.c.id)))).scalar() or 0)


async def history(database: Database, symbol: str) -> list[Training]:
    """Read all trainings of a symbol, oldest first."""
    chosen = [column for column in TRAINING.c if column.name not in ("curve", "layout")]
    statement = select(*chosen).where(TRAINING.c.symbol == symbol).order_by(TRAINING.c.id)
    async with database.reading() as connection:
        return [_training(row) for row in (await connection.execute(statement)).mappings()]


def _training(row: RowMapping) -> Training:
    a, b, c = (_known(row[name]) for name in "abc")
    return Training(
        version=row["id"],
        symbol=row["symbol"],
        trained_at=date(row["trained_at"]),
        last_record_id=row["last_record_id"],
        family=row["family"],
        status=row["status"],
        params=(a, b, c),
        origin=_known(row["origin"]),
        limit=_known(row["trusted_to"]),
        n_points=row["n_points"],
        **{name: _known(row[name]) for name in _FIGURES},
        saturation=_point(row, row["id"]),
    )


async def saturation_points(database: Database) -> dict[str, SaturationPoint]:
    """Read the current point of every symbol."""
    async with database.reading() as connection:
        rows = (await connection.execute(select(SATURATION).order_by(SATURATION.c.training_id))).mappings()
        return {row["symbol"]: _point(row, row["training_id"]) for row in rows}


def _point(row: RowMapping, version: int) -> SaturationPoint:
    return SaturationPoint(
        **{name: _known(row[name]) for name in _LIMITS},
        drop=row[_DROP],
        version=version,
        trained_at=date(row["trained_at"]),
    )


def _nullable(values: npt.NDArray[np.float64]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def _known(value: float | None) -> float:
    return math.nan if value is None else value
