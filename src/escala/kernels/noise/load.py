"""Records of an instrument in order of capital, with what belongs to each."""

from __future__ import annotations

from escala.kernels.jit import Floats, Integers, helper, routine
from escala.kernels.noise.rows import tag


@helper
def _after(
    capital: Floats, efficiency: Floats, weight: Floats, group: Integers, block: Integers, one: int, other: int
) -> bool:
    """Tell whether a record comes after another: by capital, efficiency, weight, group and block."""
    if capital[one] != capital[other]:
        return capital[one] > capital[other]
    if efficiency[one] != efficiency[other]:
        return efficiency[one] > efficiency[other]
    if weight.size > 0 and weight[one] != weight[other]:
        return weight[one] > weight[other]
    if group.size > 0 and group[one] != group[other]:
        return group[one] > group[other]
    return block.size > 0 and block[one] > block[other]


@routine
def _sort(
    capital: Floats, efficiency: Floats, weight: Floats, group: Integers, block: Integers, places: Integers
) -> None:  # fmt: skip
    """Sort places of records (Shell's gaps), so that the order in which records come changes no bit."""
    n = places.size
    gap = 1
    while gap < n // 9:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(gap, n):
            place = places[i]
            j = i
            while j >= gap and _after(capital, efficiency, weight, group, block, places[j - gap], place):
                places[j] = places[j - gap]
                j -= gap
            places[j] = place
        gap = (gap - 1) // 3 if gap > 1 else 0


@routine
def gather(
    capital: Floats,
    efficiency: Floats,
    weight: Floats,
    group: Integers,
    block: Integers,
    start: int,
    stop: int,
    points: Floats,
    tags: Integers,
) -> int:
    """Bring the records of positive weight into order of capital; returns how many.

    Writes capital, efficiency and weight of each to `points`, and the rows of `tags`.
    """
    n = 0
    places = tags[tag.PLACE]
    for k in range(start, stop):
        if weight.size == 0 or weight[k] > 0.0:
            places[n] = k
            n += 1
    _sort(capital, efficiency, weight, group, block, places[:n])
    for i in range(n):
        k = places[i]
        w = weight[k] if weight.size > 0 else 1.0
        points[3 * i], points[3 * i + 1], points[3 * i + 2] = capital[k], efficiency[k], w
        tags[tag.GROUP, i] = group[k] if group.size > 0 else -1
        tags[tag.BLOCK, i] = block[k] if block.size > 0 else 0
    return n
