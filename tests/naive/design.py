"""Designs as their definitions say them, number by number, in plain Python: what the kernels are held against."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Block = tuple[int, int, int, int]


def philox(counter: Sequence[int], key: Sequence[int]) -> Block:
    """Philox 4x32-10, from the paper's description, with integers of any size."""
    x0, x1, x2, x3 = counter
    k0, k1 = key
    for _ in range(10):
        high_0, low_0 = divmod(0xD2511F53 * x0, 2**32)
        high_1, low_1 = divmod(0xCD9E8D57 * x2, 2**32)
        x0, x1, x2, x3 = high_1 ^ x1 ^ k0, low_1, high_0 ^ x3 ^ k1, low_0
        k0 = (k0 + 0x9E3779B9) % 2**32
        k1 = (k1 + 0xBB67AE85) % 2**32
    return x0, x1, x2, x3


def uniform(seed: int, row: int, column: int, stream: int, draw: int = 0) -> float:
    """The first 52 of the block's bits as the middle of a cell."""
    first, second, _, _ = philox((row, column, stream, draw), (seed % 2**32, seed // 2**32))
    k = (first * 2**32 + second) // 2**12
    return (2 * k + 1) / 2**53


def sobol(directions: Sequence[int], shift: int, i: int) -> float:
    """Point i of a digital sequence of 30 bits in Gray code order."""
    gray = i ^ (i // 2)
    point = shift
    for bit, direction in enumerate(directions):
        if gray >> bit & 1:
            point ^= direction
    return point / 2**30


def halton(base: int, permutations: Sequence[Sequence[int]], i: int) -> float:
    """Point i of a van der Corput sequence with permuted digits."""
    total, weight = 0.0, 1.0 / base
    for permutation in permutations:
        i, digit = divmod(i, base)
        total += int(permutation[digit]) * weight
        weight /= base
    return total


def permutations_of_digits(base: int, generator: np.random.Generator) -> list[list[int]]:
    """One shuffle a digit, for as many digits as doubles tell apart."""
    result = []
    for _ in range(math.ceil(54 / math.log2(base)) - 1):
        order = np.arange(base)
        generator.shuffle(order)
        result.append(order.tolist())
    return result


def stratum(keys: Sequence[int], n: int, i: int) -> int:
    """Where a Feistel network over the smallest power of two that holds n (and 4) sends i, until it is below n."""
    bits = max(2, (n - 1).bit_length())
    half = bits // 2
    while True:
        left, right = divmod(i, 2**half)
        for step, key in enumerate(keys):
            side = left if step % 2 else right
            high, low = divmod((side ^ key) * 0xD2511F53, 2**32)
            if step % 2:
                right ^= (high ^ low) % 2**half
            else:
                left ^= (high ^ low) % 2 ** (bits - half)
        i = left * 2**half + right
        if i < n:
            return i


def place(seed: int, n: int, row: int, column: int) -> float:
    """Random place inside a stratum, of as many bits as leave the sum with its number exact."""
    m = 50 - (n - 1).bit_length()
    k = int(math.ldexp(uniform(seed, row, column, 1), m))
    return math.ldexp(2 * k + 1, -m - 1)


def latin(seed: int, n: int, row: int, column: int) -> float:
    """Point of a Latin hypercube."""
    key = (seed % 2**32, seed // 2**32)
    if n <= 4096:
        drawn = [uniform(seed, i, column, 2) for i in range(n)]
        p = sorted(range(n), key=lambda i: (drawn[i], i))[row]
    else:
        words = list(itertools.chain(*(philox((i, column, 2, 0), key) for i in range(3))))
        p = stratum(words[:10], n, row)
    return (p + place(seed, n, row, column)) / n


def grid(columns: dict[str, list[float]]) -> dict[str, list[float]]:
    """All combinations, the last column varying fastest."""
    combinations = list(itertools.product(*columns.values()))
    return {name: [row[k] for row in combinations] for k, name in enumerate(columns)}


def mapped(u: float, given: Any) -> float:
    """What a coordinate means in a range, a list of choices, or a number."""
    if isinstance(given, tuple):
        low, high = given
        return float(min(u * (high - low) + low, high))
    if isinstance(given, list):
        return float(given[min(int(u * len(given)), len(given) - 1)])
    return float(given)
