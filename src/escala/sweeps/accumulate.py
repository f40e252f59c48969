"""Running totals of a sweep: what rows leave behind, merged so that no order of work can be told from the answer.

Counts, histograms, extremes and best rows do not depend on the order in which they are merged. Means and sums of
squared deviations do, so they form a binary tree over the plan's blocks: node (level, k) is made of the nodes
(level − 1, 2k) and (level − 1, 2k + 1), whoever brings them and when; the last node of a level may have no partner and
then stands for itself one level up.
"""

from __future__ import annotations

import contextlib
import json
import mmap
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats
from escala.moments import merge_pairs

Integers = npt.NDArray[np.int64]
#: (level, position) -> count, mean and sum of squared deviations, (m, 3).
Nodes = dict[tuple[int, int], Floats]


@dataclass
class State:
    """What some rows of a plan left behind, for m outputs; small, and the same on every machine.

    Attributes
    ----------
    rows : int
        How many rows.
    stops : (s,) int64
        Scenarios by the code of their end, for a model with s of them.
    nodes : dict
        Nodes of the tree that could not yet be merged.
    lowest, highest : (m,) float64
        Extremes, NaN left out.
    bins, counts : list of m arrays
        Bins of the histogram that are not empty, in rising order, and how many values are in them.
    best, best_rows : (2·m, k) float64 and int64
        As in :func:`escala.kernels.accumulate.accumulate`.
    sample : dict of int to array
        First row of a range -> its rows that are kept whole, one column each: the design's columns, the outputs.
    """

    rows: int
    stops: Integers
    nodes: Nodes
    lowest: Floats
    highest: Floats
    bins: list[Integers]
    counts: list[Integers]
    best: Floats
    best_rows: Integers
    sample: dict[int, Floats] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Pack: a line of JSON that says which arrays follow, and the arrays."""
        places = sorted(self.nodes)
        ranges = sorted(self.sample)
        arrays: dict[str, npt.NDArray[Any]] = {
            "stops": self.stops,
            "places": np.array(places, dtype=np.int64).reshape(-1, 2),
            "nodes": np.array([self.nodes[place] for place in places]).reshape(len(places), -1, 3),
            "lowest": self.lowest,
            "highest": self.highest,
            "sizes": np.array([bins.size for bins in self.bins], dtype=np.int64),
            "bins": np.concatenate(self.bins),
            "counts": np.concatenate(self.counts),
            "best": self.best,
            "best_rows": self.best_rows,
            "ranges": np.array([(first, self.sample[first].shape[1]) for first in ranges], dtype=np.int64).reshape(
                -1, 2
            ),
            "sample": np.concatenate([self.sample[first] for first in ranges], axis=1) if ranges else np.empty((0, 0)),
        }
        header = {name: [array.dtype.str, array.shape] for name, array in arrays.items()}
        line = json.dumps({"rows": self.rows, "arrays": header}).encode() + b"\n"
        return line + b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())

    @classmethod
    def from_bytes(cls, packed: bytes) -> State:
        """Unpack what :meth:`to_bytes` packed; what a :class:`Total` keeps of it does not hold on to the rest."""
        line, _, _ = packed.partition(b"\n")
        header = json.loads(line)
        position = len(line) + 1
        a: dict[str, npt.NDArray[Any]] = {}
        for name, (kind, shape) in header["arrays"].items():
            size = int(np.prod(shape, dtype=np.int64))
            a[name] = np.frombuffer(packed, dtype=kind, count=size, offset=position).reshape(shape)
            position += a[name].nbytes
        ends = np.cumsum(a["sizes"])[:-1]
        bounds = np.cumsum(a["ranges"][:, 1])[:-1]
        parts = np.split(a["sample"], bounds, axis=1) if len(a["ranges"]) else []
        return cls(
            header["rows"],
            a["stops"],
            {(int(level), int(k)): node.copy() for (level, k), node in zip(a["places"], a["nodes"], strict=True)},
            a["lowest"],
            a["highest"],
            np.split(a["bins"], ends),
            np.split(a["counts"], ends),
            a["best"],
            a["best_rows"],
            {int(first): part.copy() for (first, _), part in zip(a["ranges"], parts, strict=True)},
        )


def grow(nodes: Nodes, place: tuple[int, int], node: Floats, blocks: int) -> None:
    """Put a node into a tree over `blocks` leaves, merging upwards as far as its partners are there."""
    level, k = place
    while (1 << level) < blocks:
        if k % 2 == 0 and (k + 1) << level >= blocks:
            pass  # the last of its level stands for itself
        elif (level, k ^ 1) not in nodes:
            break
        else:
            partner = nodes.pop((level, k ^ 1))
            node = merge_pairs(partner, node) if k % 2 else merge_pairs(node, partner)
        level, k = level + 1, k // 2
    nodes[level, k] = node


def grow_run(nodes: Nodes, first: int, leaves: Floats, blocks: int) -> None:
    """Put neighbouring leaves (c, m, 3), the first of which is leaf `first`, into a tree: a level at a time."""
    level = 0
    while len(leaves) > 1:
        if first % 2:
            grow(nodes, (level, first), leaves[0], blocks)
            first, leaves = first + 1, leaves[1:]
        if len(leaves) % 2:
            grow(nodes, (level, first + len(leaves) - 1), leaves[-1], blocks)
            leaves = leaves[:-1]
        leaves = merge_pairs(leaves[0::2], leaves[1::2])
        first, level = first // 2, level + 1
    if len(leaves):
        grow(nodes, (level, first), leaves[0], blocks)


def zeros(rows: int, columns: int) -> Integers:
    """Give zeros of which only the pages that are written to take memory: never in pages of two megabytes."""
    memory = mmap.mmap(-1, max(1, rows * columns * 8))
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without huge pages knows no such advice
            memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, dtype=np.int64, count=rows * columns).reshape(rows, columns)


class Total:
    """States added up, in any order.

    Parameters
    ----------
    outputs : int
        Number of outputs.
    best : int
        Rows kept at each end of an output.
    blocks : int
        Leaves of the tree.
    stops : int
        How many ways a scenario may end.
    """

    def __init__(self, outputs: int, best: int, blocks: int, stops: int) -> None:
        from escala.kernels.accumulate import BINS

        self._blocks = blocks
        self.rows = 0
        self._stops = np.zeros(stops, dtype=np.int64)
        self._nodes: Nodes = {}
        self._lowest = np.full(outputs, np.inf)
        self._highest = np.full(outputs, -np.inf)
        self._histogram = zeros(outputs, BINS)
        self._bins: list[list[Integers]] = [[] for _ in range(outputs)]
        self._best = np.full((2 * outputs, best), -np.inf)
        self._best_rows = np.full((2 * outputs, best), -1, dtype=np.int64)
        self._sample: dict[int, Floats] = {}

    def add(self, state: State) -> None:
        """Add what other rows left behind."""
        self.rows += state.rows
        self._stops += state.stops
        for place in sorted(state.nodes):
            grow(self._nodes, place, state.nodes[place], self._blocks)
        self._lowest = np.minimum(self._lowest, state.lowest)
        self._highest = np.maximum(self._highest, state.highest)
        for histogram, known, bins, counts in zip(self._histogram, self._bins, state.bins, state.counts, strict=True):
            fresh = bins[histogram[bins] == 0]
            if fresh.size:
                known.append(fresh)
            histogram[bins] += counts
        self._improve(state.best, state.best_rows)
        self._sample.update(state.sample)

    def _improve(self, best: Floats, best_rows: Integers) -> None:
        if best.shape[1] == 0:
            return
        for side in np.flatnonzero(best[:, 0] >= self._best[:, -1]):
            values = np.concatenate([self._best[side], best[side]])
            rows = np.concatenate([self._best_rows[side], best_rows[side]])
            empty = rows < 0
            order = np.lexsort((rows, -values, empty))[: best.shape[1]]
            self._best[side], self._best_rows[side] = values[order], rows[order]

    def state(self) -> State:
        """Give everything added so far as one state."""
        bins = [np.sort(np.concatenate(known)) if known else np.empty(0, np.int64) for known in self._bins]
        counts = [histogram[used] for histogram, used in zip(self._histogram, bins, strict=True)]
        return State(
            self.rows,
            self._stops.copy(),
            dict(self._nodes),
            self._lowest.copy(),
            self._highest.copy(),
            bins,
            counts,
            self._best.copy(),
            self._best_rows.copy(),
            dict(self._sample),
        )


def middles(bins: Integers) -> Floats:
    """Give the middle of bins of the histogram; of those that begin at zero or reach to infinity, where they begin."""
    from escala.kernels.accumulate import BINS, DROPPED_BITS

    near = (bins << DROPPED_BITS).view(np.float64)  # the bin's value nearest to zero
    far = ((bins & (BINS // 2 - 1)) + 1 << DROPPED_BITS).view(np.float64)
    with np.errstate(invalid="ignore"):
        middle = np.copysign(0.5 * np.abs(near) + 0.5 * far, near)
    return np.where((np.abs(near) < np.finfo(float).tiny) | ~np.isfinite(far), near, middle)


def quantiles(state: State, output: int, q: Floats, *, whole: bool) -> Floats:
    """Read quantiles (the ⌈q·n⌉-th smallest value) from the histogram: the middle of the bin, within the extremes."""
    from escala.kernels.accumulate import BINS, DROPPED_BITS

    infinity = BINS // 2 - (1 << (52 - DROPPED_BITS))  # bin of +inf
    bins, counts = state.bins[output], state.counts[output]
    magnitude = bins & (BINS // 2 - 1)
    numbers = magnitude <= infinity
    bins, counts, magnitude = bins[numbers], counts[numbers], magnitude[numbers]
    order = np.argsort(np.where(bins >= BINS // 2, -1 - magnitude, magnitude))
    bins, counts = bins[order], counts[order]
    if counts.size == 0:
        return np.full(q.shape, np.nan)
    reached = np.cumsum(counts)
    wanted = np.clip(np.ceil(q * reached[-1]), 1, reached[-1])
    middle = middles(bins[np.searchsorted(reached, wanted)])
    if whole:
        middle = np.floor(middle)
    return np.clip(middle, state.lowest[output], state.highest[output])


def merged(state: State) -> Floats:
    """Give count, mean and sum of squared deviations of each output, (m, 3), of a state that holds the whole plan."""
    (node,) = state.nodes.values()
    return node
