"""Reading TOML files."""

from __future__ import annotations

import tomllib
from os import PathLike
from pathlib import Path
from typing import Any

from escala.errors import InputError


def read(path: str | PathLike[str], error: type[InputError]) -> dict[str, Any]:
    """Read a TOML file, once: what comes through a pipe cannot be read again.

    Raises
    ------
    InputError
        The class given, if it is none; names the file.
    OSError
        If it cannot be read.
    """
    content = Path(path).read_bytes()
    try:
        return tomllib.loads(content.decode())
    except ValueError as reason:  # of the grammar, of UTF-8, or of an integer with thousands of digits
        raise error(f"{path}: not a TOML file: {reason}") from None
    except RecursionError:
        raise error(f"{path}: not a TOML file: its arrays and tables are nested too deeply") from None
