"""Which records of a batch a store has already: compared as multisets, so that twins within a file stay twins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats
from escala.store.checks import Batch

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Known:
    """What a store has of the symbols of a batch.

    Parameters
    ----------
    codes
        Places of the symbols in the batch's names.
    capital, efficiency, weight, observed_at
        As in a batch.
    import_id
        0 where a record was not imported.
    fingerprint, has_fingerprint
        What the row of a file said, and whether that is known.
    """

    codes: Integers
    capital: Floats
    efficiency: Floats
    weight: Floats
    observed_at: Integers
    import_id: Integers
    fingerprint: Integers
    has_fingerprint: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return int(self.codes.size)


def twins(batch: Batch, known: Known, *, timed: bool) -> Integers:
    """Find for each record of a batch its own twin in the store; −1 where there is none left.

    Records made of rows that were compared with their neighbours are known by their rows, and only such as the store
    knows no row of by what they became.

    Parameters
    ----------
    batch : Batch
        The records.
    known : Known
        Those of the store.
    timed : bool
        Whether the records say when they were observed; those that do not are compared without times.
    """
    if batch.fingerprint is None:
        return _matched(_whole(batch, timed), _whole(known, timed))
    rows = np.flatnonzero(known.has_fingerprint)
    found = _matched([batch.codes.astype(np.int64), batch.fingerprint], [known.codes[rows], known.fingerprint[rows]])
    found[found >= 0] = rows[found[found >= 0]]
    open_, others = np.flatnonzero(found < 0), np.flatnonzero(~known.has_fingerprint)
    more = _matched(
        [column[open_] for column in _whole(batch, timed)], [column[others] for column in _whole(known, timed)]
    )
    found[open_[more >= 0]] = others[more[more >= 0]]
    return found


def _whole(records: Batch | Known, timed: bool) -> list[Integers]:
    columns = [records.codes.astype(np.int64)]
    columns += [part.view(np.int64) for part in (records.capital, records.efficiency, records.weight)]
    return [*columns, np.ascontiguousarray(records.observed_at)] if timed else columns


def _matched(wanted: list[Integers], there: list[Integers]) -> Integers:
    """Give for each row of `wanted` the place of an equal row of `there`, each place at most once."""
    n = there[0].size
    result = np.full(wanted[0].size, -1, dtype=np.int64)
    if not n or not result.size:
        return result
    columns = np.stack([np.concatenate(pair) for pair in zip(there, wanted, strict=True)])
    order = np.lexsort(columns)  # stable: of equal rows those that are there come first
    differs = np.ones(order.size, dtype=bool)
    differs[1:] = (np.diff(columns[:, order]) != 0).any(axis=0)
    starts = np.flatnonzero(differs)
    group = np.cumsum(differs) - 1
    is_there = order < n
    counts = np.bincount(group[is_there], minlength=starts.size)[group]
    place = np.arange(order.size) - starts[group]
    paired = np.flatnonzero(~is_there & (place < 2 * counts))
    result[order[paired] - n] = order[paired - counts[paired]]
    return result
