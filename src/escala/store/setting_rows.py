"""Settings in the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from sqlalchemy import Table, func, select
from sqlalchemy.dialects import postgresql, sqlite

from escala.errors import ConfigError, StoreError
from escala.store.database import Database
from escala.store.identities import Signature
from escala.store.schema import CONFIG, METADATA, SYMBOL
from escala.store.settings import ScalingConfig, SymbolConfig


async def config(database: Database, name: str) -> ScalingConfig:
    """Read settings; those never set are the defaults."""
    async with database.reading() as connection:
        row = (await connection.execute(select(CONFIG).where(CONFIG.c.name == name))).mappings().one_or_none()
    with _understood(database):
        return ScalingConfig(**{key: value for key, value in row.items() if key != "name"}) if row else ScalingConfig()


async def set_config(database: Database, config: ScalingConfig, name: str) -> None:
    """Keep settings."""
    await _upsert(database, CONFIG, {"name": name, **asdict(config)})


async def symbol_configs(database: Database) -> dict[str, SymbolConfig]:
    """Read the settings of all symbols that have some."""
    async with database.reading() as connection:
        rows = (await connection.execute(select(SYMBOL).order_by(SYMBOL.c.symbol))).mappings().all()
    with _understood(database):
        return {
            row["symbol"]: SymbolConfig(**{key: value for key, value in row.items() if key != "symbol"}) for row in rows
        }


async def set_symbol_config(database: Database, symbol: str, config: SymbolConfig) -> None:
    """Keep the settings of a symbol."""
    await _upsert(database, SYMBOL, {"symbol": symbol, **asdict(config)})


async def remove_symbol_config(database: Database, symbol: str) -> bool:
    """Forget the settings of a symbol and tell whether there were any."""
    signature = Signature.of("setting", None)
    async with database.writing(signature) as connection:
        removed = await connection.execute(SYMBOL.delete().where(SYMBOL.c.symbol == symbol))
        await signature.sign(connection, 0)
    return removed.rowcount > 0


async def counts(database: Database) -> dict[str, int]:
    """Count the rows of every table."""
    async with database.reading() as connection:
        return {
            name: int((await connection.execute(select(func.count()).select_from(table))).scalar_one())
            for name, table in METADATA.tables.items()
        }


@contextmanager
def _understood(database: Database) -> Iterator[None]:
    """Say of settings that nobody can have written that they are the store's, and no argument."""
    try:
        yield
    except ConfigError as error:
        raise StoreError(f"the settings in {database.location} are damaged: {error}") from None


async def _upsert(database: Database, table: Table, row: dict[str, Any]) -> None:
    insertion = (sqlite if database.is_sqlite else postgresql).insert(table).values(**row)
    key, *rest = row
    changed = {name: insertion.excluded[name] for name in rest}
    signature = Signature.of("setting", None)
    async with database.writing(signature) as connection:
        await connection.execute(insertion.on_conflict_do_update(index_elements=[key], set_=changed))
        await signature.sign(connection, 0)
