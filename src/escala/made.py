"""Results of small calls, made without the cost of their constructors."""

from __future__ import annotations

from typing import Any, TypeVar

Made = TypeVar("Made")


def made(cls: type[Made], attributes: dict[str, Any]) -> Made:
    """Make a frozen dataclass of all its attributes; the dictionary is its own from then on.

    Its own constructor sets each of them through a function call: that is a third of what a prediction takes. The class
    must not check anything there.
    """
    result = cls.__new__(cls)
    object.__setattr__(result, "__dict__", attributes)
    return result
