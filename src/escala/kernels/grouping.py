"""Records that belong together: their keys become numbers in order of first appearance, and they are put in that order.

Both look at records one after the other, so there is no range to give: what a record's number is depends on those
before it.
"""

from __future__ import annotations

from escala.kernels.jit import Integers, Words, integers_in, integers_out, kernel, words_in, words_out


@kernel(integers_in, integers_out, words_out, integers_out)
def rank(keys: Integers, places: Integers, codes: Words, firsts: Integers) -> None:
    """Number keys in order of first appearance.

    Parameters
    ----------
    keys : (n,) int64
        At least 0 and less than the length of `places`.
    places : (k,) int64
        −1 in all of it; afterwards the number of each key, −1 of one that does not come.
    codes : (n,) int32
        Output: the number of each record's key.
    firsts : (min(n, k),) int64
        Output: the first record of each number.
    """
    different = 0
    for i in range(keys.size):
        key = keys[i]
        code = places[key]
        if code < 0:
            code = different
            places[key] = code
            firsts[code] = i
            different += 1
        codes[i] = code


@kernel(words_in, integers_out, integers_out)
def order(codes: Words, cursors: Integers, places: Integers) -> None:
    """Sort records by their numbers, those of one number as they come.

    Parameters
    ----------
    codes : (n,) int32
        The number of each record.
    cursors : (k,) int64
        Where the records of each number begin in the order; afterwards where they end.
    places : (n,) int64
        Output: the records in order.
    """
    for i in range(codes.size):
        code = codes[i]
        places[cursors[code]] = i
        cursors[code] += 1
