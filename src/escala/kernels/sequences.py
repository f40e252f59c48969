"""Point sequences by index: Sobol, Halton, and a keyed permutation for the Latin hypercube, one coordinate a call."""

from __future__ import annotations

from typing import Final

import numpy as np

from escala.kernels.jit import (
    Floats,
    Integers,
    Words,
    floats_in,
    floats_out,
    helper,
    integer,
    integers_in,
    kernel,
    number,
    words_in,
)
from escala.kernels.philox import MULTIPLIER, WORD, block, uniform

_AT_ONCE: Final = 8  # digits added in one pass over a piece of Halton's points
MOST_DIGITS: Final = 64  # of Halton's points: what doubles can tell apart in base 2 is 54

_FEW: Final = 8  # one in so many strata is followed by itself
ROUNDS: Final = 10  # of the keyed permutation, as many as Philox has

#: Streams of the Latin hypercube's random numbers; a random design draws from stream 0.
JITTER: Final = 1
KEYS: Final = 2


@kernel(words_in, words_in, integer, number, floats_out, integer, integer)
def sobol(directions: Words, pattern: Words, shift: int, scale: float, out: Floats, start: int, stop: int) -> None:
    """Write points ``start <= i < stop`` of one coordinate of a digital sequence in Gray code order.

    Point i is ``shift`` XOR the directions of the bits of gray(i) = i XOR i/2, times `scale`. Gray codes of i = q + r,
    q a multiple of the pattern's length and r less than it, are gray(q) XOR gray(r): one pattern serves all.

    Parameters
    ----------
    directions : (bits,) int32
        Direction numbers, scrambled or not.
    pattern : (a power of two,) int32
        XOR of the directions of gray(r), for all r less than its length.
    shift : int64
        Digital shift: the point of index 0.
    scale : float64
        One unit: 2^−bits.
    out : (at least stop − start,) float64
        Output, in [0, 1).
    """
    i = start
    while i < stop:
        first = i & (pattern.size - 1)
        run = min(pattern.size - first, stop - i)
        gray = (i - first) ^ ((i - first) >> 1)
        base = shift
        bit = 0
        while gray > 0:
            if gray & 1:
                base ^= directions[bit]
            gray >>= 1
            bit += 1
        common = np.int32(base)
        source = pattern[first : first + run]
        piece = out[i - start : i - start + run]
        for k in range(run):
            piece[k] = float(np.int32(source[k] ^ common)) * scale
        i += run


@kernel(integer, floats_in, floats_in, integer, floats_out, floats_out, integer, integer)
def halton(base: int, low: Floats, high: Floats, digits: int, out: Floats, work: Floats, start: int, stop: int) -> None:
    """Write points ``start <= i < stop`` of one coordinate of a Halton sequence, digits summed from the first on.

    Parameters
    ----------
    base : int64
        A prime.
    low : (a power of base,) float64
        Sum of the terms of the low digits of every index below its length.
    high : (digits·base,) float64
        The terms that each digit above those may add, digit by digit: permuted digit times power of 1/base.
    digits : int64
        Number of digits above the low ones, at most `MOST_DIGITS`.
    out : (at least stop − start,) float64
        Output, in [0, 1].
    work : (MOST_DIGITS + 8,) float64
        Workspace.
    """
    passes = (digits + _AT_ONCE - 1) // _AT_ONCE
    i = start
    while i < stop:
        rest = i // low.size
        first = i - rest * low.size
        run = min(low.size - first, stop - i)
        for j in range(passes * _AT_ONCE):
            work[j] = 0.0  # adding it changes nothing
        for j in range(digits):
            following = rest // base
            work[j] = high[j * base + rest - following * base]
            rest = following
        piece = out[i - start : i - start + run]
        source = low[first : first + run]
        for k in range(run):
            piece[k] = source[k]
        for p in range(passes):
            j = p * _AT_ONCE
            a, b, c, d = work[j], work[j + 1], work[j + 2], work[j + 3]
            e, f, g, h = work[j + 4], work[j + 5], work[j + 6], work[j + 7]
            for k in range(run):
                piece[k] = piece[k] + a + b + c + d + e + f + g + h
        i += run


@helper
def permuted(i: int, keys: Integers, bits: int, left_mask: int, right_mask: int) -> int:
    """Permute the integers below a power of two: a Feistel network.

    The halves of the index take turns in being XORed with a hash of the other: Philox's own step, the two halves of a
    64-bit product. Whatever the hash is, each round is undone by itself, so the whole is a permutation.
    """
    left = i >> bits
    right = i & right_mask
    for j in range(0, ROUNDS, 2):
        product = ((right ^ keys[j]) & WORD) * MULTIPLIER
        left ^= ((product >> 32) ^ product) & left_mask
        product = ((left ^ keys[j + 1]) & WORD) * MULTIPLIER
        right ^= ((product >> 32) ^ product) & right_mask
    return (left << bits) | right


@helper
def _beyond(values: Floats, n: int) -> int:
    count = 0
    for i in range(values.size):
        count += values[i] >= n
    return count


@kernel(integers_in, integer, floats_out, integer, integer)
def strata(keys: Integers, n: int, out: Floats, start: int, stop: int) -> None:
    """Write p(i), ``start <= i < stop``, p being a keyed permutation of 0 … n − 1.

    It is that of the smallest power of two that holds n, followed from i on until it ends below n, which keeps it a
    permutation and takes less than two steps on average.

    Parameters
    ----------
    keys : (ROUNDS,) int64
        Words that choose the permutation.
    n : int64
        Number of strata, at most 2³².
    out : (at least stop − start,) float64
        Output: integers.
    """
    bits = 2
    while (1 << bits) < n:
        bits += 1
    half = bits // 2
    left_mask = (1 << (bits - half)) - 1
    right_mask = (1 << half) - 1
    piece = out[0 : stop - start]
    for i in range(piece.size):
        piece[i] = float(permuted(start + i, keys, half, left_mask, right_mask))
    # Side by side while many are still beyond n, then the rest one by one.
    beyond = _beyond(piece, n)
    while _FEW * beyond > piece.size:
        for i in range(piece.size):
            last = piece[i]
            following = float(permuted(int(last), keys, half, left_mask, right_mask))
            piece[i] = following if last >= n else last
        beyond = _beyond(piece, n)
    for i in range(piece.size):
        if piece[i] >= n:
            place = int(piece[i])
            while place >= n:
                place = permuted(place, keys, half, left_mask, right_mask)
            piece[i] = float(place)


@kernel(integer, integer, integer, integer, floats_out, integer, integer)
def jitter(n: int, k0: int, k1: int, column: int, out: Floats, start: int, stop: int) -> None:
    """Turn strata into points of [0, 1] at a random place in them: p into (p + v)/n.

    v = (2k + 1)/2^(m + 1), k having m = 50 − (bits of n − 1) random bits: few enough that p + v is exact and that
    rounding the quotient leaves no stratum.

    Parameters
    ----------
    n : int64
        Number of strata, at most 2³².
    k0, k1, column : int64
        Seed (low and high word) and column.
    out : (at least stop − start,) float64
        Strata of rows ``start <= i < stop``, and output.
    """
    bits = 0
    while (1 << bits) < n:
        bits += 1
    cells = float(1 << (50 - bits))
    cell = 1.0 / cells
    piece = out[0 : stop - start]
    for i in range(piece.size):
        w0, w1, _, _ = block(start + i, column, JITTER, 0, k0, k1)
        middle = float(int(uniform(w0, w1) * cells)) + 0.5
        piece[i] = (piece[i] + middle * cell) / n
