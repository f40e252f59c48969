"""Where a store lies: a path or a URL, whose password nobody gets to see; what is no store is refused unopened."""

from __future__ import annotations

import math
import os
import re
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from escala.errors import MissingExtraError, StoreError
from escala.text.visible import in_line

if TYPE_CHECKING:
    from sqlalchemy import URL

_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
#: Options of a URL: seconds to wait for a connection, for other writers, and for the answer to one statement.
TIMEOUTS: Final = {"connect_timeout": 10.0, "lock_timeout": 60.0, "command_timeout": 90.0}
_LONGEST_TIMEOUT: Final = 1e6
#: How schemas are called, today and later.
_REVISION: Final = re.compile(r"[0-9]{4}")
_MAGIC: Final = b"SQLite format 3\0"
#: A journal of SQLite begins with this, and with the pages that the database had in the four bytes up to the other.
_JOURNAL_MAGIC: Final = bytes.fromhex("d9d505f920a163d7")
_JOURNAL_SIZE_ENDS: Final = 20


@dataclass(frozen=True)
class Location:
    """Where a store lies.

    Parameters
    ----------
    url : sqlalchemy.URL
        With the driver; the password is in its own field, whichever way it was given.
    path : Path or None
        The file of an SQLite store.
    connect_timeout, lock_timeout, command_timeout : float
        Seconds; of PostgreSQL.
    read_only : bool
        Whether the file is on a medium, or of a user, that this one may not write to.
    """

    url: URL
    path: Path | None
    connect_timeout: float = TIMEOUTS["connect_timeout"]
    lock_timeout: float = TIMEOUTS["lock_timeout"]
    command_timeout: float = TIMEOUTS["command_timeout"]
    read_only: bool = False

    @classmethod
    def of(cls, url: str | os.PathLike[str]) -> Location:
        """Read a path or URL.

        Raises
        ------
        StoreError
            If it is neither, or a database of another kind.
        MissingExtraError
            If libraries are not installed.
        """
        check_libraries()
        if isinstance(url, os.PathLike):
            return cls._at(os.fspath(url))
        if not isinstance(url, str):
            raise StoreError(f"url must be a path or the URL of a database, not {type(url).__name__}")
        if "://" not in url:
            if url.partition(":")[0] in _DRIVERS:  # a slash is missing; it may hold a password, so nobody quotes it
                raise StoreError("the URL of a database begins with SCHEME:// (two slashes)")
            return cls._at(url)
        parsed = _parsed(url)
        if parsed.drivername.startswith("sqlite"):
            if parsed.query or parsed.host or parsed.username:
                raise StoreError("an SQLite URL is sqlite:///PATH, without user, host or options")
            return cls._at(parsed.database or "")
        load_postgres()
        timeouts = {name: _seconds(name, parsed.query.get(name, default)) for name, default in TIMEOUTS.items()}
        located = cls(_with_password_in_its_place(parsed.difference_update_query(TIMEOUTS)), None)
        return replace(located, **timeouts)  # type: ignore[arg-type]  # all of them seconds

    @classmethod
    def _at(cls, path: str) -> Location:
        from sqlalchemy import URL

        if path in ("", ":memory:") or "\0" in path:
            raise StoreError(f"a store needs a file, not {path!r}")
        absolute = Path(path).absolute()
        if absolute.is_file() and not _may_be_written(absolute):
            # Where nobody can write there is no log that would have to be read or made beside the file.
            how = {"mode": "ro", "uri": "true", **({"immutable": "1"} if _is_on_read_only_medium(absolute) else {})}
            uri = f"file:{quote(str(absolute))}"
            return cls(URL.create("sqlite+aiosqlite", database=uri, query=how), absolute, read_only=True)
        return cls(URL.create("sqlite+aiosqlite", database=str(absolute)), absolute)

    def __str__(self) -> str:
        """Give the URL without password, and of its options only where the server is."""
        if self.path is not None:
            return f"sqlite:///{self.path}"
        hidden = [option for option in self.url.query if option not in ("host", "port")]
        plain = self.url.set(drivername=self.url.get_backend_name()).difference_update_query(hidden)
        return plain.render_as_string(hide_password=True)

    def __repr__(self) -> str:
        return f"<Location {self}>"

    def hide(self, text: str) -> str:
        """Take the password out of a message."""
        password = str(self.url.password or "")
        return text.replace(password, "***") if password else text


def _is_on_read_only_medium(path: Path) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _may_be_written(path: Path) -> bool:
    return os.access(path, os.W_OK) and not _is_on_read_only_medium(path)


def check_libraries() -> None:
    """See that what every store needs is installed.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    # Alembic takes longer to load than all else, and only a store that is made or brought up to date needs it.
    if any(find_spec(name) is None for name in ("sqlalchemy", "greenlet", "aiosqlite", "alembic")):
        raise MissingExtraError("a store needs SQLAlchemy, aiosqlite and Alembic: install escala[store]")


def load_postgres() -> None:
    """Load the driver of PostgreSQL.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import asyncpg  # noqa: F401
    except ImportError:
        raise MissingExtraError("a store on PostgreSQL needs asyncpg: install escala[postgres]") from None


def _parsed(url: str) -> URL:
    """Parse a URL; what it says may be secret, so no message quotes more of it than the scheme."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    scheme = url.split("://", 1)[0]
    driver = _DRIVERS.get(scheme)
    if driver is None:
        known = ", ".join(f"{name}://" for name in _DRIVERS)
        shown = repr(scheme) if scheme.replace("+", "").isalnum() else "this"
        raise StoreError(f"a store needs a path or a URL that begins with one of {known}; {shown} is none of them")
    parsed = None
    with suppress(ArgumentError, ValueError):
        parsed = make_url(driver + url[len(scheme) :])
    if parsed is None:  # outside of the handler: not even the context of the error shall quote the URL
        raise StoreError(f"a URL that begins with {scheme}:// cannot be read: {scheme}://USER:PASSWORD@HOST:PORT/NAME")
    return parsed


def _with_password_in_its_place(url: URL) -> URL:
    given: Any = url.query.get("password")
    if given is None:
        return url
    return url.difference_update_query(["password"]).set(password=given if isinstance(given, str) else given[-1])


def _seconds(name: str, value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0.0 < seconds <= _LONGEST_TIMEOUT:
        raise StoreError(f"{name} of a URL must be seconds in (0, {_LONGEST_TIMEOUT:g}], not {value!r}")
    return seconds


def is_new(path: Path) -> bool:
    """Look at a file without changing it: tell a place for a new store from a store.

    Raises
    ------
    StoreError
        If it can be neither: a folder, no database, another program's database, a store of a newer escala.
    """
    try:
        return _is_new(path)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"cannot read {path}: {in_line(' '.join(str(error).split()))}") from None
    except (TypeError, ValueError) as error:  # text that is none, rows that are not there
        said = in_line(f"{type(error).__name__}: {error}")
        raise StoreError(f"cannot read {path}: it is damaged ({said})") from None


def _is_new(path: Path) -> bool:
    if not path.parent.is_dir():
        raise StoreError(f"there is no folder {path.parent} for the store {path.name}")
    if not path.exists():
        return True
    if not path.is_file():
        raise StoreError(f"{path} is a folder, not a store" if path.is_dir() else f"{path} is no file")
    with path.open("rb") as file:
        magic = file.read(len(_MAGIC))
    if not magic or _was_empty(path):
        return True
    if magic != _MAGIC:
        raise StoreError(f"{path} is no SQLite database; it was left as it is")
    try:
        # With nothing beside the file all of it is in there; this way of reading leaves no file beside it either.
        if _beside(path, "-wal") or _beside(path, "-journal"):
            return _holds_nothing(path, "mode=ro")
        return _holds_nothing(path, "mode=ro&immutable=1")
    except sqlite3.DatabaseError:  # it may just have been written to
        return _holds_nothing(path, "mode=ro")


def _beside(path: Path, ending: str) -> Path | None:
    other = path.with_name(path.name + ending)
    return other if other.exists() else None


def _was_empty(path: Path) -> bool:
    """Tell whether the file was new to whoever was killed while writing to it: SQLite will empty it again."""
    journal = _beside(path, "-journal")
    if journal is None:
        return False
    with journal.open("rb") as file:
        head = file.read(_JOURNAL_SIZE_ENDS)
    return head[: len(_JOURNAL_MAGIC)] == _JOURNAL_MAGIC and head[-4:] == bytes(4) and len(head) == _JOURNAL_SIZE_ENDS


def _holds_nothing(path: Path, how: str) -> bool:
    from escala.store.schema import APPLICATION_ID, REVISION_TABLE

    with closing(sqlite3.connect(f"{path.as_uri()}?{how}", uri=True, timeout=30.0)) as connection:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
        if application == 0 and version == 0 and not tables:
            return True
        if application != APPLICATION_ID or REVISION_TABLE not in tables:
            raise StoreError(f"{path} is another program's SQLite database; it was left as it is")
        (revision,) = connection.execute(f"SELECT version_num FROM {REVISION_TABLE}").fetchone()
        check_revision(str(path), revision)
    return False


def check_revision(store: str, revision: str) -> None:
    """Refuse a store that a newer escala has migrated.

    Raises
    ------
    StoreError
        If its revision is not known here.
    """
    from escala.store.schema import REVISIONS

    if not (isinstance(revision, str) and _REVISION.fullmatch(revision)):
        raise StoreError(f"cannot read {store}: it is damaged (its schema is called {revision!r})")
    if revision not in REVISIONS:
        raise StoreError(
            f"{store} is of a newer escala (schema {revision}, this one knows up to {REVISIONS[-1]}); "
            "it was left as it is"
        )
