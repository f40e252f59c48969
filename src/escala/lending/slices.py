"""Lending scenarios in slices that are made as they are needed: what sweeps run on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from escala.arrays import Floats
from escala.kernels import layout
from escala.lending.result import LendingResult
from escala.lending.simulate import (
    BOUNDS_OF_WORK,
    INPUTS,
    LARGEST_CHUNK,
    OPERATIONS_AT_ONCE,
    at_once,
    named_result,
    room_for_outputs,
)
from escala.lending.strategy import ARGUMENTS, LendingStrategy


class LendingSlices:
    """Scenarios in slices that are made as they are needed: what :func:`simulate` does, in memory that is used again.

    One thread's alone. What varies was checked, as was the strategy when it was made.

    Parameters
    ----------
    varied : sequence of str
        Arguments and strategy fields that each slice brings as columns; all four arguments are among them.
    strategy : LendingStrategy
        The other fields, one number each.
    rows : int
        Most scenarios of a slice.
    """

    def __init__(self, varied: Sequence[str], strategy: LendingStrategy, rows: int) -> None:
        self._fields = {name: array.reshape(()) for name, array in strategy.arrays().items()}
        # Rows a power of two apart would all compete for the same cache lines: eight elements more keep them apart.
        self._columns = np.empty((len(INPUTS), LARGEST_CHUNK + 8), dtype=np.float64)
        for row, name in zip(self._columns, INPUTS, strict=True):
            row[:] = self._fields.get(name, 1.0)
        self._copied = [(name, INPUTS.index(name)) for name in varied if name in INPUTS]
        self._values, self._counts = room_for_outputs(rows)
        self._work = np.empty(layout.LENDING_WORK_SIZE, dtype=np.float64)
        self._cursor = np.empty(layout.lending_cursor.END, dtype=np.int64)

    def run(self, columns: Mapping[str, Floats], n: int) -> Iterator[None]:
        """Simulate a slice of n scenarios, in steps of some milliseconds."""
        from escala.kernels.lending import lanes as kernels

        bounds = {name: columns.get(name, self._fields[name]) for name in BOUNDS_OF_WORK}
        sweeps = at_once(bounds, OPERATIONS_AT_ONCE)
        for start in range(0, n, LARGEST_CHUNK):
            stop = min(start + LARGEST_CHUNK, n)
            for name, row in self._copied:
                self._columns[row, : stop - start] = columns[name][start:stop]
            self._cursor[:] = 0
            while True:
                kernels.lending(
                    self._columns, self._values, self._counts, self._work, self._cursor, start, stop, sweeps
                )
                yield
                if self._cursor[layout.lending_cursor.ACTIVE] == 0:
                    break

    def result(self, columns: Mapping[str, Floats], n: int) -> LendingResult:
        """Name what became of the slice: views that the next slice writes over."""
        arguments = {name: columns[name] for name in ARGUMENTS}
        fields = {name: columns.get(name, array) for name, array in self._fields.items()}
        return named_result(arguments, _checked_before(fields), (n,), self._values[:, :n], self._counts[:, :n])


def _checked_before(fields: Mapping[str, Floats]) -> LendingStrategy:
    """Make a strategy of fields that were checked, without checking them again."""
    strategy = object.__new__(LendingStrategy)
    for name, array in fields.items():
        object.__setattr__(strategy, name, array)
    return strategy
