"""What results of one array a name have in common: their shape, and how they become tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from escala.files import table as table_file
from escala.text import html
from escala.text.numerals import counted

if TYPE_CHECKING:
    import pandas


class NamedArrays:
    """Arrays of one shape by name; what inherits it says which (`NAMES`) and what one of them is called (`NOUN`)."""

    NAMES: ClassVar[tuple[str, ...]] = ()
    NOUN: ClassVar[str] = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Common shape of all arguments."""
        return np.shape(getattr(self, self.NAMES[0]))

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    def to_dict(self) -> dict[str, Any]:
        """Give every number by name.

        Returns
        -------
        dict
            Of arrays of the common shape.
        """
        return {name: np.broadcast_to(getattr(self, name), self.shape)[()] for name in self.NAMES}

    def to_dataframe(self) -> pandas.DataFrame:
        """Give one row an element (in C order of the common shape), one column a number.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        return table_file.dataframe({name: np.reshape(column, -1) for name, column in self.to_dict().items()})

    def one(self) -> dict[str, float]:
        """Give the numbers of the only element.

        Raises
        ------
        ValueError
            If there is more than one.
        """
        if self.size != 1:
            raise ValueError(f"there are {self.size:,} {self.NOUN}s, not one")
        return {name: float(np.reshape(value, ())) for name, value in self.to_dict().items()}

    def __repr__(self) -> str:
        """Say how many there are."""
        return f"<{type(self).__name__} of {counted(self.size, self.NOUN)}>"

    def _repr_html_(self) -> str:
        """Show the first as a table in a notebook."""
        columns = {name: np.reshape(column, -1)[: html.SHOWN].tolist() for name, column in self.to_dict().items()}
        return html.table(columns, repr(self), self.size)
