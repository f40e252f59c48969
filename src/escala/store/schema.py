"""The tables. Times are whole microseconds since 1970, UTC; numbers that are not known are NULL."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)

if TYPE_CHECKING:
    from sqlalchemy import Dialect
    from sqlalchemy.types import TypeEngine

from escala.tables import ALLOCATION_GROUPS, SYMBOL_SETTINGS, SYSTEM_SETTINGS, names

#: Schema revisions, oldest first; each has its migration in migrations/versions.
REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
#: Where the revision is kept: a name of its own, for other programs with Alembic may share a PostgreSQL database.
REVISION_TABLE: Final = "escala_schema"
#: "ESCA" at its place in the header of an SQLite file: what tells a store from another program's file.
APPLICATION_ID: Final = 0x45534341

#: Figures of a training that have a column each, for whoever reads tables; all others are in the curve itself.
FIGURES: Final = ("r_squared", "rmse", "mean_error", "max_error", "residual_sd", "aicc")
#: Columns of a :class:`escala.Saturation`.
LIMITS: Final = (
    "peak", "saturation", "saturation_low", "saturation_high", "capacity", "capacity_low", "capacity_high", "ceiling",
)  # fmt: skip

METADATA: Final = MetaData()


def date(microseconds: int) -> datetime.datetime:
    """Turn a stored time into a date, UTC."""
    return datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(microseconds=microseconds)


class _Json(TypeDecorator[Any]):
    """JSON, on PostgreSQL in its binary form: that dialect, with all its drivers, is loaded where it is used alone."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name != "postgresql":
            return super().load_dialect_impl(dialect)
        from sqlalchemy.dialects.postgresql import JSONB

        return dialect.type_descriptor(JSONB(none_as_null=True))


def _id() -> Column[Any]:
    # SQLite counts only a plain INTEGER, which has 64 bits there.
    return Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


def _numbers(*names: str) -> list[Column[Any]]:
    return [Column(name, Double) for name in names]


RECORD: Final = Table(
    "efficiency_record",
    METADATA,
    _id(),
    Column("symbol", Text, nullable=False),
    Column("capital", Double, nullable=False),
    Column("efficiency", Double, nullable=False),
    Column("weight", Double, nullable=False),
    Column("observed_at", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("metrics", _Json(none_as_null=True)),
    Column("import_id", BigInteger),  # no foreign key: it would cost as much as the row
    Column("fingerprint", BigInteger),  # of what a row of a file said, where its efficiency depends on its neighbours
    Index("efficiency_record_symbol", "symbol", "id"),
    sqlite_autoincrement=True,  # a number is never given twice, whatever is deleted
)

IMPORT: Final = Table(
    "record_import",
    METADATA,
    _id(),
    Column("at", BigInteger),  # NULL: by a version that did not keep it
    Column("file", Text, nullable=False),
    Column("added", BigInteger, nullable=False),
    Column("duplicates", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

#: The last time that records of a symbol were deleted, as a number between those of records: a training that has seen
#: less is stale.
REMOVAL: Final = Table(
    "record_removal",
    METADATA,
    Column("symbol", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
)

#: By what every write is known; `number` is that of the first row it wrote, 0 where these have none.
WRITE: Final = Table(
    "write_identity",
    METADATA,
    Column("identity", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

TRAINING: Final = Table(
    "model_training",
    METADATA,
    _id(),
    Column("symbol", Text, nullable=False),
    Column("trained_at", BigInteger, nullable=False),
    Column("last_record_id", BigInteger, nullable=False),
    Column("family", Text, nullable=False),
    Column("status", Text, nullable=False),
    *_numbers("a", "b", "c", "d", "origin", "trusted_to"),
    Column("n_points", BigInteger, nullable=False),
    *_numbers(*FIGURES, *LIMITS),
    Column("saturation_drop", Double, nullable=False),
    # The whole curve to the last bit, see curve_bytes: columns of SQLite know neither NaN nor the sign of zero.
    Column("layout", Integer, nullable=False),
    Column("curve", LargeBinary, nullable=False),
    Index("model_training_symbol", "symbol", "id"),
    sqlite_autoincrement=True,
)

SATURATION: Final = Table(
    "saturation_point",
    METADATA,
    Column("symbol", Text, primary_key=True),
    Column("training_id", BigInteger, ForeignKey("model_training.id"), nullable=False),
    Column("trained_at", BigInteger, nullable=False),
    *_numbers(*LIMITS),
    Column("saturation_drop", Double, nullable=False),
    Index("saturation_point_training", "training_id"),
)

CONFIG: Final = Table(
    "scaling_config",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("default_family", Text, nullable=False),
    *(Column(name, Double, nullable=False) for name in names(SYSTEM_SETTINGS)),
)

SYMBOL: Final = Table(
    "symbol_config",
    METADATA,
    Column("symbol", Text, primary_key=True),
    Column("family", Text),
    *_numbers(*names(SYMBOL_SETTINGS)),
)

ALLOCATION: Final = Table(
    "allocation",
    METADATA,
    _id(),
    Column("at", BigInteger, nullable=False),
    Column("total", Double, nullable=False),
    *_numbers("utility", "upper_bound", "gap", "shadow_price"),
    Column("status", Text, nullable=False),
    Column("unallocated", Double),
    *_numbers("hurdle", "reserve", "target"),
    Column("goal", Text),  # what the target is of, where the total was sought; NULL also by versions that kept none
    sqlite_autoincrement=True,
)

LINE: Final = Table(
    "allocation_line",
    METADATA,
    Column("allocation_id", BigInteger, ForeignKey("allocation.id"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("symbol", Text, nullable=False),
    Column("amount", Double, nullable=False),
    Column("efficiency", Double),
    Column("binding", Text, nullable=False),
    *_numbers("marginal", "held", "cost"),
)

#: Groups of an allocation; a limit that is none is NULL.
GROUP: Final = Table(
    "allocation_group",
    METADATA,
    Column("allocation_id", BigInteger, ForeignKey("allocation.id"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("amount", Double, nullable=False),
    *_numbers("price", *names(ALLOCATION_GROUPS)),
)

#: Which lines of an allocation lie in which of its groups.
MEMBER: Final = Table(
    "allocation_member",
    METADATA,
    Column("allocation_id", BigInteger, ForeignKey("allocation.id"), primary_key=True),
    Column("group_place", Integer, primary_key=True),
    Column("place", Integer, primary_key=True),
)
