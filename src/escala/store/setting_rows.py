"""Settings in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Select, Table, bindparam, func, select

from escala.errors import ConfigError, StoreError
from escala.store.database import Database
from escala.store.identities import Signature
from escala.store.schema import CONFIG, METADATA, SYMBOL
from escala.store.settings import ScalingConfig, SymbolConfig

#: Settings by name, and those of all symbols.
_NAMED: Final = select(CONFIG).where(CONFIG.c.name == bindparam("name"))
_OF_SYMBOLS: Final = select(SYMBOL).order_by(SYMBOL.c.symbol)


def questions(name: str) -> list[tuple[Select[Any], dict[str, Any]]]:
    """Spell what :func:`understood` takes the answers of."""
    return [(_NAMED, {"name": name}), (_OF_SYMBOLS, {})]


def understood(
    database: Database, named: Sequence[Sequence[Any]], of_symbols: Sequence[Sequence[Any]]
) -> tuple[ScalingConfig, dict[str, SymbolConfig]]:
    """Take settings from rows; those that were never set are the defaults.

    Raises
    ------
    StoreError
        If nobody can have written them.
    """
    try:
        system = [ScalingConfig(**_fields(CONFIG, row, "name")) for row in named]
        own = {row[0]: SymbolConfig(**_fields(SYMBOL, row, "symbol")) for row in of_symbols}
    except ConfigError as error:
        raise StoreError(f"the settings in {database.location} are damaged: {error}") from None
    return system[0] if system else ScalingConfig(), own


def _fields(table: Table, row: Sequence[Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in zip(table.columns.keys(), row, strict=True) if name != key}


async def config(database: Database, name: str) -> ScalingConfig:
    """Read settings; those never set are the defaults."""
    [named] = await database.rows((_NAMED, {"name": name}))
    return understood(database, named, ())[0]


async def set_config(database: Database, config: ScalingConfig, name: str) -> None:
    """Keep settings."""
    await _upsert(database, CONFIG, {"name": name, **asdict(config)})


async def symbol_configs(database: Database) -> dict[str, SymbolConfig]:
    """Read the settings of all symbols that have some."""
    [rows] = await database.rows((_OF_SYMBOLS, {}))
    return understood(database, (), rows)[1]


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


async def _upsert(database: Database, table: Table, row: dict[str, Any]) -> None:
    insertion = database.upsert(table).values(**row)
    key, *rest = row
    changed = {name: insertion.excluded[name] for name in rest}
    signature = Signature.of("setting", None)
    async with database.writing(signature) as connection:
        await connection.execute(insertion.on_conflict_do_update(index_elements=[key], set_=changed))
        await signature.sign(connection, 0)
