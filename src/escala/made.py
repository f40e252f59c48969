"""Results of small calls, made without the cost of their constructors."""

from __future__ import annotations

from typing import Any, TypeVar

Made = TypeVar("Made")


def made(cls: type[Made], /, **attributes: Any) -> Made:
    """Make a frozen dataclass of all its attributes.

    Its own constructor sets each of them through a function call: that is a third of what a prediction takes. The class
    must not check anything there.
    """
    result = cls.__new__(cls)
    result.__dict__.update(attributes)
    return result
