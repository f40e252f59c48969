"""Compiled kernels that an administrator keeps for all users of a machine."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from escala.errors import BuildError

_FOLDER: Final = 0o755
_FILE: Final = 0o644
_OF_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def prepare(folder: Path) -> Path:
    """Make a folder whose kernels others may use, and have this process keep its own there.

    Raises
    ------
    BuildError
        If others would have to refuse it: they run what root has compiled and nobody else may have changed.
    """
    if os.geteuid() != 0:
        raise BuildError("--shared must be used by root: others run only what root has compiled")
    place = folder.absolute()
    os.umask(0o022)
    try:
        place.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
        for one in (place, *place.parents):
            _check(one)
    except OSError as error:
        raise BuildError(f"--shared {place}: {error.strerror}") from None
    os.environ["ESCALA_CACHE_DIR"] = os.fspath(place)
    return place


def _check(folder: Path) -> None:
    """Refuse a folder in which others may put something else in the kernels' place."""
    facts = folder.stat()
    if facts.st_uid != 0:
        raise BuildError(f"--shared: {folder} must be root's, but is that of user {facts.st_uid}")
    if facts.st_mode & _OF_OTHERS and not facts.st_mode & stat.S_ISVTX:  # in a sticky one all keep their own
        raise BuildError(f"--shared: {folder} may be written to by others")


def give(folder: Path) -> None:
    """Let everybody read the kernels that were kept in a folder, and nobody but root write them."""
    folder.chmod(_FOLDER)
    for file in folder.iterdir():
        file.chmod(_FILE)
