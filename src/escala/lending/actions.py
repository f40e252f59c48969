"""What is done in a plan, and how a plan ends: the codes of its tables."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from escala import tables


class PlanStatus(IntEnum):
    """How a plan ends; from `ROUNDS` on it is the nearest to the target that the rounds lead to."""

    REACHED = 0
    MET = 1
    BEYOND = 2
    ROUNDS = 3
    UNREACHABLE = 4
    STUCK = 5


class PlanAction(IntEnum):
    """What a person does in one operation of a plan."""

    DEPOSIT = 0
    BORROW = 1
    BUY = 2
    WITHDRAW = 3
    SELL = 4
    REPAY = 5
    FLASH_LOAN = 6
    REPAY_FLASH_LOAN = 7


#: What people read.
STATUS_WORDS: Final = {PlanStatus(row.value): row.doc for row in tables.PLAN_STATUS}
ACTION_WORDS: Final = {PlanAction(row.value): row.name.replace("_", " ") for row in tables.PLAN_ACTIONS}
