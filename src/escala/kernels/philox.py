"""Random numbers that are a function of their place: Philox 4x32-10, a block cipher in counter mode.

A block takes a counter of four 32-bit words and a key of two, and gives four random words. escala's counters are
(row, column, stream, draw) and its key is the seed, so a number depends on what it is for and on nothing that was drawn
before: any range of rows can be made anywhere, in any order.

Words are kept in int64, masked to 32 bits: products wrap as unsigned ones do, and the vector unit has one instruction
for the product of two such words.

References
----------
Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3. SC'11, 2011, doi:10.1145/2063384.2063405.
"""

from __future__ import annotations

from typing import Final

from escala.kernels.jit import Floats, Integers, floats_out, helper, integer, integers_out, kernel

WORD: Final = 0xFFFFFFFF
_ROUNDS: Final = 10
MULTIPLIER: Final = 0xD2511F53  # constants of the cipher
_OTHER_MULTIPLIER: Final = 0xCD9E8D57
_STEP: Final = 0x9E3779B9  # of the key: golden ratio and square root of 3 less 1
_OTHER_STEP: Final = 0xBB67AE85
_SPACING: Final = 2.0**-53


@helper
def block(c0: int, c1: int, c2: int, c3: int, k0: int, k1: int) -> tuple[int, int, int, int]:
    """Encrypt one counter: four words in, four random words out; higher bits of what is given do not count."""
    c0, c1, c2, c3 = c0 & WORD, c1 & WORD, c2 & WORD, c3 & WORD  # where that is known, products are of half the cost
    k0, k1 = k0 & WORD, k1 & WORD
    for _ in range(_ROUNDS):
        product = c0 * MULTIPLIER
        other = c2 * _OTHER_MULTIPLIER
        c0 = ((other >> 32) & WORD) ^ c1 ^ k0
        c2 = ((product >> 32) & WORD) ^ c3 ^ k1
        c1 = other & WORD
        c3 = product & WORD
        k0 = (k0 + _STEP) & WORD
        k1 = (k1 + _OTHER_STEP) & WORD
    return c0, c1, c2, c3


@helper
def two_blocks(
    c0: int, c1: int, other: int, c2: int, c3: int, k0: int, k1: int
) -> tuple[int, int, int, int, int, int, int, int]:
    """Encrypt two counters that differ in their second word, as :func:`block` does.

    A round waits for the one before; with two of them side by side the processor has something to do meanwhile.
    """
    c0, c1, c2, c3 = c0 & WORD, c1 & WORD, c2 & WORD, c3 & WORD
    d0, d1, d2, d3 = c0, other & WORD, c2, c3
    k0, k1 = k0 & WORD, k1 & WORD
    for _ in range(_ROUNDS):
        c_product, d_product = c0 * MULTIPLIER, d0 * MULTIPLIER
        c_other, d_other = c2 * _OTHER_MULTIPLIER, d2 * _OTHER_MULTIPLIER
        c0, d0 = ((c_other >> 32) & WORD) ^ c1 ^ k0, ((d_other >> 32) & WORD) ^ d1 ^ k0
        c2, d2 = ((c_product >> 32) & WORD) ^ c3 ^ k1, ((d_product >> 32) & WORD) ^ d3 ^ k1
        c1, d1 = c_other & WORD, d_other & WORD
        c3, d3 = c_product & WORD, d_product & WORD
        k0 = (k0 + _STEP) & WORD
        k1 = (k1 + _OTHER_STEP) & WORD
    return c0, c1, c2, c3, d0, d1, d2, d3


@helper
def uniform(first: int, second: int) -> float:
    """Make a number in (0, 1) of two words: (2k + 1)·2⁻⁵³, k being the first 52 of their 64 bits.

    These are the middles of 2⁵² equal cells: exact, symmetric about one half, and never 0 or 1.
    """
    return float(2 * ((first << 20) | (second >> 12)) + 1) * _SPACING


@kernel(integer, integer, integer, integer, integer, integers_out, integer, integer)
def words(k0: int, k1: int, c1: int, c2: int, c3: int, out: Integers, start: int, stop: int) -> None:
    """Write the blocks of the counters (i, c1, c2, c3), ``start <= i < stop``, i taken modulo 2³².

    Parameters
    ----------
    k0, k1 : int64
        Key: two words.
    c1, c2, c3 : int64
        The other words of the counter.
    out : (at least 4·(stop − start),) int64
        Output: four words a block.
    """
    for i in range(stop - start):
        w0, w1, w2, w3 = block(start + i, c1, c2, c3, k0, k1)
        out[4 * i] = w0
        out[4 * i + 1] = w1
        out[4 * i + 2] = w2
        out[4 * i + 3] = w3


@kernel(integer, integer, integer, integer, integer, floats_out, integer, integer)
def uniforms(k0: int, k1: int, column: int, stream: int, draw: int, out: Floats, start: int, stop: int) -> None:
    """Write the uniform of rows ``start <= i < stop`` (below 2³²): that of the first two words of their blocks.

    Parameters
    ----------
    k0, k1 : int64
        Seed: low and high word.
    column, stream, draw : int64
        The other words of the counter.
    out : (at least stop − start,) float64
        Output, in (0, 1).
    """
    piece = out[0 : stop - start]
    for i in range(piece.size):
        w0, w1, _, _ = block(start + i, column, stream, draw, k0, k1)
        piece[i] = uniform(w0, w1)
