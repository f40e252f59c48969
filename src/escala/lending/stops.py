"""Why scenarios end."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from escala import tables


class StopReason(IntEnum):
    """Why a scenario ended."""

    TARGET_REACHED = 0
    STALLED = 1
    MAX_OPERATIONS = 2


#: The reasons in words, in the order of their codes.
STOP_WORDS: Final = tuple(row.doc for row in tables.STOPS)
