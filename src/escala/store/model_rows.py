"""Trainings in the database: whole curves to the last bit, and their figures in columns for whoever reads tables."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import LargeBinary, RowMapping, bindparam, func, select, text

from escala.curves.curveset import CurveSet
from escala.curves.prediction import Saturation
from escala.store import curve_bytes
from escala.store.database import Database
from escala.store.identities import Signature
from escala.store.results import SaturationPoint, StoredModels, Training
from escala.store.schema import FIGURES, LIMITS, SATURATION, TRAINING, date

#: Columns of the coefficients; those that no curve has yet stay NULL.
_COEFFICIENTS: Final = "abcd"
_DROP: Final = "saturation_drop"
#: The highest number of a training.
LATEST: Final = select(func.max(TRAINING.c.id))
#: Walks the index back to the last one that stays.
_PRUNE: Final = text(
    "DELETE FROM model_training WHERE symbol = :symbol AND id <"
    " (SELECT id FROM model_training WHERE symbol = :symbol ORDER BY id DESC LIMIT 1 OFFSET :older)"
)
#: A curve is read as long as it is the current one, and is as large as its records are many.
_EMPTY: Final = text(
    "UPDATE model_training SET curve = :nothing WHERE id ="
    " (SELECT max(id) FROM model_training WHERE symbol = :symbol AND id < :first)"
).bindparams(bindparam("nothing", type_=LargeBinary))


async def insert(
    database: Database,
    curves: CurveSet,
    saturation: Saturation,
    last_record_id: npt.NDArray[np.int64],
    times: npt.NDArray[np.int64],
    identity: str | None = None,
    keep: int | None = None,
) -> npt.NDArray[np.int64]:
    """Insert a training a curve, make it the symbol's current one, and give the numbers; with `keep` old ones go."""
    trainings = _trainings(curves, saturation, last_record_id, times)
    signature = Signature.of("training", identity)
    async with database.writing(signature) as connection:
        before = await signature.kept_before(connection)
        if before is not None:
            return np.arange(before, before + len(curves), dtype=np.int64)
        first = await database.take_ids(connection, TRAINING, len(curves))
        for number, row in enumerate(trainings, first):
            row["id"] = number
        rows = [tuple(row[name] for name in TRAINING.columns.keys()) for row in trainings]  # noqa: SIM118
        await connection.exec_driver_sql(database.insertion(TRAINING), rows)
        current = [
            {"training_id": row["id"], **{name: row[name] for name in ("symbol", "trained_at", *LIMITS, _DROP)}}
            for row in trainings
        ]
        insertion = database.upsert(SATURATION)
        changed = {name: insertion.excluded[name] for name in current[0] if name != "symbol"}
        await connection.execute(insertion.on_conflict_do_update(index_elements=["symbol"], set_=changed), current)
        if keep is not None:
            await connection.execute(
                _EMPTY, [{"symbol": row["symbol"], "first": first, "nothing": b""} for row in trainings]
            )
            await connection.execute(_PRUNE, [{"symbol": row["symbol"], "older": keep - 1} for row in trainings])
        await signature.sign(connection, first)
    return np.arange(first, first + len(curves), dtype=np.int64)


def _trainings(
    curves: CurveSet, saturation: Saturation, last_record_id: npt.NDArray[np.int64], times: npt.NDArray[np.int64]
) -> list[dict[str, Any]]:
    columns: dict[str, list[Any]] = {
        "symbol": curves.symbols.tolist(),
        "trained_at": times.tolist(),
        "last_record_id": last_record_id.tolist(),
        "family": curves.family_names,
        "status": curves.status_names,
        **_coefficients(curves),
        "origin": _nullable(curves.origin),
        "trusted_to": _nullable(curves.trusted_to),
        "n_points": curves.n_points.tolist(),
        **{name: _nullable(getattr(curves, name)) for name in FIGURES},
        **{name: _nullable(getattr(saturation, name)) for name in LIMITS},
        _DROP: saturation.drop.tolist(),
        "layout": [curve_bytes.LAYOUT] * len(curves),
        "curve": curve_bytes.pack(curves),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _coefficients(curves: CurveSet) -> dict[str, list[Any]]:
    columns = {name: _nullable(column) for name, column in zip(_COEFFICIENTS, curves.params.T, strict=False)}
    return {name: columns.get(name, [None] * len(curves)) for name in _COEFFICIENTS}


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
        rows = [row async for block in database.blocks(connection, statement) for row in block]
    ids, names, times, last, layouts, curves = zip(*rows, strict=True) if rows else ((),) * 6
    return StoredModels(
        curves=curve_bytes.unpack(names, layouts, curves, str(database.location)),
        version=np.array(ids, np.int64),
        last_record_id=np.array(last, np.int64),
        trained_at=np.array(times, np.int64).view("datetime64[us]"),
    )


async def latest(database: Database) -> int:
    """Give the highest number of a training; 0 where there is none."""
    async with database.reading() as connection:
        return int((await connection.execute(LATEST)).scalar() or 0)


async def history(database: Database, symbol: str) -> list[Training]:
    """Read all trainings of a symbol, oldest first."""
    chosen = [column for column in TRAINING.c if column.name not in ("curve", "layout")]
    statement = select(*chosen).where(TRAINING.c.symbol == symbol).order_by(TRAINING.c.id)
    async with database.reading() as connection:
        return [_training(row) for row in (await connection.execute(statement)).mappings()]


def _training(row: RowMapping) -> Training:
    return Training(
        version=row["id"],
        symbol=row["symbol"],
        trained_at=date(row["trained_at"]),
        last_record_id=row["last_record_id"],
        family=row["family"],
        status=row["status"],
        params=_params(row),
        origin=_known(row["origin"]),
        trusted_to=_known(row["trusted_to"]),
        n_points=row["n_points"],
        **{name: _known(row[name]) for name in FIGURES},
        saturation=_point(row, row["id"]),
    )


def _params(row: RowMapping) -> tuple[float, ...]:
    """Give the coefficients that a curve has; of trainings of before the last ones are 0, as in the curve itself."""
    known = [row[name] for name in _COEFFICIENTS[: curve_bytes.no_curves().params.shape[1]]]
    missing = math.nan if all(value is None for value in known) else 0.0
    return tuple(missing if value is None else value for value in known)


async def saturation_points(database: Database) -> dict[str, SaturationPoint]:
    """Read the current point of every symbol."""
    async with database.reading() as connection:
        rows = (await connection.execute(select(SATURATION).order_by(SATURATION.c.training_id))).mappings()
        return {row["symbol"]: _point(row, row["training_id"]) for row in rows}


def _point(row: RowMapping, version: int) -> SaturationPoint:
    return SaturationPoint(
        **{name: _known(row[name]) for name in LIMITS},
        drop=row[_DROP],
        version=version,
        trained_at=date(row["trained_at"]),
    )


def _nullable(values: npt.NDArray[np.float64]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def _known(value: float | None) -> float:
    return math.nan if value is None else value
