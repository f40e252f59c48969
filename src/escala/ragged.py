"""Rows of different lengths, one an instrument, as one array of numbers and where each row begins."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_FEW: Final = 64  # rows of which empty ones are made once


@dataclass(frozen=True, eq=False)
class Ragged:
    """n rows of numbers: row i is ``values[offsets[i]:offsets[i + 1]]``.

    Attributes
    ----------
    values : (size,) float64
    offsets : (n + 1,) int64
        Rising, from 0 to the size.
    """

    values: Floats
    offsets: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        """Let nobody write into them."""
        self.values.setflags(write=False)
        self.offsets.setflags(write=False)

    @classmethod
    def empty(cls, n: int) -> Ragged:
        """Make n rows without numbers."""
        return _of_few(n) if n <= _FEW else cls(np.empty(0), np.zeros(n + 1, dtype=np.int64))

    @classmethod
    def of(cls, rows: Sequence[Floats]) -> Ragged:
        """Put rows one after the other."""
        sizes = np.fromiter(map(len, rows), np.int64, len(rows))
        return cls.sized(np.concatenate([np.empty(0), *rows]), sizes)

    @classmethod
    def sized(cls, values: Floats, sizes: npt.NDArray[np.int64]) -> Ragged:
        """Take rows that lie one after the other, by their sizes."""
        return cls(values, _offsets(sizes))

    @classmethod
    def concatenate(cls, parts: Iterable[Ragged]) -> Ragged:
        """Put the rows of several one after the other."""
        given = list(parts)
        sizes = np.concatenate([np.empty(0, dtype=np.int64), *(part.sizes for part in given)])
        return cls(np.concatenate([np.empty(0), *(part.values for part in given)]), _offsets(sizes))

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Numbers in each row."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return int(self.offsets.size - 1)

    def row(self, i: int) -> Floats:
        """Give the numbers of one row."""
        return self.values[self.offsets[i] : self.offsets[i + 1]]

    def __getitem__(self, chosen: Any) -> Ragged:
        """Take some rows: by slice, mask or sequence of numbers."""
        if self.values.size == 0:
            return Ragged.empty(int(self.offsets[:-1][chosen].size))
        places = np.arange(len(self))[chosen]
        sizes = self.sizes[places]
        offsets = _offsets(sizes)
        shift = np.repeat(self.offsets[places] - offsets[:-1], sizes)
        return Ragged(self.values[np.arange(offsets[-1]) + shift], offsets)


@functools.lru_cache(maxsize=_FEW + 1)
def _of_few(n: int) -> Ragged:
    """Keep rows without numbers, of few instruments: nobody can write into them."""
    return Ragged(np.empty(0), np.zeros(n + 1, dtype=np.int64))


def _offsets(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    offsets = np.zeros(sizes.size + 1, dtype=np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return offsets
