"""Files that are written whole or not at all: what was there stays until the new content is on disk."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

#: Bytes of a name that file systems take at least.
_LONGEST_NAME: Final = 255
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def write(path: Path, content: bytes | memoryview, *, forced: bool = True, mode: int | None = None) -> None:
    """Write a file whole or not at all.

    Parameters
    ----------
    path, forced, mode
        As in :func:`replacing`.
    content : bytes or memoryview
        All of it.

    Raises
    ------
    OSError
        If it cannot be written; what was there is as it was.
    """
    with replacing(path, forced=forced, mode=mode) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(path: Path, *, forced: bool = True, mode: int | None = None) -> Iterator[BinaryIO]:
    """Open a file to write; it takes its name when the block is left without error.

    The new content lies in a file of its own beside it, with a name that nobody can know before: where others may write
    to the folder, none of them can lay a link there. A link of the name itself is replaced, and what it points to left
    as it is. Pipes and devices are written to directly.

    Parameters
    ----------
    path : Path
        The name that it is to have.
    forced : bool
        Whether it shall be on disk when this returns, whatever happens then.
    mode : int, optional
        Permissions; by default those of the file that it replaces, or those of any new file.

    Yields
    ------
    binary file
        To be written.

    Raises
    ------
    OSError
        If it cannot be written; what was there is as it was.
    """
    there = _there(path)
    if there is not None and not stat.S_ISREG(there) and not stat.S_ISLNK(there):
        with path.open("wb") as plain:
            yield cast(BinaryIO, plain)
        return
    unfinished = beside(path)
    handle = os.open(unfinished, _NEW, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            yield cast(BinaryIO, file)
            file.flush()
            kept = stat.S_IMODE(there) if there is not None and stat.S_ISREG(there) else None
            permissions = kept if mode is None else mode
            if permissions is not None:
                os.chmod(unfinished, permissions)
            if forced:
                os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    if forced:
        flush(path.absolute().parent)


def beside(path: Path) -> Path:
    """Make a name for what becomes a file, which nobody can know before: hidden, in the same folder."""
    import secrets  # loads a library of cryptography, which runs that write nothing do without

    ending = f".{secrets.token_hex(16)}.part"
    room = _LONGEST_NAME - len(ending) - 1
    start = path.name.encode(errors="surrogateescape")[:room].decode(errors="ignore")
    return path.with_name(f".{start}{ending}")


def flush(path: Path) -> None:
    """See that what a folder lists is on disk, where its file system can be asked for that."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _there(path: Path) -> int | None:
    """Give the mode of what has the name now, without following it; None where that is nothing."""
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return None
