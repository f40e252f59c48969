"""Where the points of a design lie: coordinates of any range of rows, made from their indexes alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats
from escala.errors import DesignError

_WORD: Final = 2**32
_MOST_ORDERED: Final = 4096  # points of a Latin hypercube whose permutations are kept
_BITS: Final = 30  # of scipy's Sobol points, unless told otherwise
_PATTERN: Final = 256  # Sobol points that share one computation of the higher bits
_LOW_DIGITS: Final = 4096  # most sums of low digits that are kept for a coordinate of Halton's points
_DIGITS_OF_DOUBLE: Final = 54  # in base 2
_BITS_OF_INDEX: Final = 53  # of Halton's points
_COMPARED: Final = 1024  # points that are held against scipy's
_COLUMNS_OF_SOBOL: Final = 21201  # that scipy has direction numbers for


class Points(Protocol):
    """One coordinate a call, for any range of rows."""

    def fill(self, dimension: int, out: Floats, start: int, stop: int) -> None:
        """Write the coordinate of rows ``start <= i < stop`` to ``out[0 : stop - start]``."""

    def tables(self) -> list[npt.NDArray[Any]]:
        """Give the numbers that the coordinates are made of, beside kind, number of points and seed."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """All combinations of some values; the last dimension varies fastest. Gives the values themselves."""

    values: tuple[Floats, ...]

    def fill(self, dimension: int, out: Floats, start: int, stop: int) -> None:
        """Write the values of rows ``start <= i < stop`` to ``out[0 : stop - start]``."""
        from escala.kernels.broadcast import take

        inner = math.prod(values.size for values in self.values[dimension + 1 :])
        outer = math.prod(values.size for values in self.values[:dimension])
        own = self.values[dimension]
        shape, strides = np.array([outer, own.size, inner]), np.array([0, 1, 0])
        axes = 2 if inner == 1 else 3
        take(own, shape[:axes], strides[:axes], out, start, stop)

    def tables(self) -> list[npt.NDArray[Any]]:
        """Give no tables: the values say all."""
        return []


@dataclass(frozen=True, eq=False)
class RandomPoints:
    """Independent uniforms: Philox with counter (row, dimension, 0, 0)."""

    seed: int

    def fill(self, dimension: int, out: Floats, start: int, stop: int) -> None:
        """Write the coordinate of rows ``start <= i < stop`` to ``out[0 : stop - start]``."""
        from escala.kernels.philox import uniforms

        uniforms(self.seed % _WORD, self.seed // _WORD, dimension, 0, 0, out, start, stop)

    def tables(self) -> list[npt.NDArray[Any]]:
        """Give no tables: the seed says all."""
        return []


@dataclass(frozen=True, eq=False)
class LatinPoints:
    """A Latin hypercube: in each dimension one point in each of n equal strata, in the order of a keyed permutation.

    Parameters
    ----------
    n, seed : int
        Number of points, and what permutations and places in the strata are made of.
    orders : (d, n) int16, or None
        The permutations, where n is so small that a keyed permutation would favour some: the order of n random numbers.
    """

    n: int
    seed: int
    orders: npt.NDArray[np.int16] | None

    @classmethod
    def of(cls, n: int, d: int, seed: int) -> LatinPoints:
        """Choose the permutations."""
        if n > _MOST_ORDERED:
            return cls(n, seed, None)
        from escala.kernels.philox import uniforms
        from escala.kernels.sequences import KEYS

        orders, drawn = np.empty((d, n), dtype=np.int16), np.empty(n)
        for dimension, order in enumerate(orders):
            uniforms(seed % _WORD, seed // _WORD, dimension, KEYS, 0, drawn, 0, n)
            order[:] = np.argsort(drawn, kind="stable")
        return cls(n, seed, orders)

    def fill(self, dimension: int, out: Floats, start: int, stop: int) -> None:
        """Write the coordinate of rows ``start <= i < stop`` to ``out[0 : stop - start]``."""
        from escala.kernels import philox, sequences

        low, high = self.seed % _WORD, self.seed // _WORD
        if self.orders is not None:
            out[: stop - start] = self.orders[dimension, start:stop]
        else:
            keys = np.empty(4 * -(-sequences.ROUNDS // 4), dtype=np.int64)
            philox.words(low, high, dimension, sequences.KEYS, 0, keys, 0, keys.size // 4)
            sequences.strata(keys[: sequences.ROUNDS], self.n, out, start, stop)
        sequences.jitter(self.n, low, high, dimension, out, start, stop)

    def tables(self) -> list[npt.NDArray[Any]]:
        """Give no tables: number of points and seed say all."""
        return []


@dataclass(frozen=True, eq=False)
class SobolPoints:
    """The points of :class:`scipy.stats.qmc.Sobol`, to the bit.

    Parameters
    ----------
    directions : (d, 30) int32
        Direction numbers, scrambled or not, in the order of the bits of a Gray code.
    pattern : (d, 256) int32
        XOR of the directions of the Gray codes of 0 … 255.
    shift : (d,) int64
        Digital shift.
    """

    directions: npt.NDArray[np.int32]
    pattern: npt.NDArray[np.int32]
    shift: npt.NDArray[np.int64]

    @classmethod
    def like_scipy(cls, n: int, d: int, seed: int, *, scramble: bool) -> SobolPoints:
        """Take direction numbers and scramble of ``Sobol(d, scramble=scramble, rng=seed)``.

        They are attributes of scipy's class that it does not document, so they count only if they give its first
        points; otherwise they are found from the points alone, which takes a walk through half of them.
        """
        from scipy.stats import qmc

        if d > _COLUMNS_OF_SOBOL:
            message = f"ranges must have at most {_COLUMNS_OF_SOBOL} columns that vary for sobol, not {d}"
            raise DesignError(message, arguments=("ranges",))

        def engine() -> Any:
            return qmc.Sobol(d, scramble=scramble, rng=seed)

        try:
            found = engine()
            directions = np.asarray(found._sv, dtype=np.int64).copy()
            directions[:, _bits(n) :] = 0  # no row needs them
            points = cls._of(directions, np.asarray(found._shift, dtype=np.int64))
            if points.agrees_with(engine(), n):
                return points
        except (AttributeError, TypeError, ValueError, IndexError):
            pass  # another scipy, with other attributes
        return cls.from_points_alone(engine(), n, d)

    @classmethod
    def from_points_alone(cls, engine: Any, n: int, d: int) -> SobolPoints:
        """Find the direction numbers below n in the points whose indexes are powers of two.

        The Gray code of 2^k has the bits k and k − 1, so point 2^k is the shift XOR two direction numbers.

        Raises
        ------
        DesignError
            If scipy's points are not made in this way.
        """
        directions = np.zeros((d, _BITS), dtype=np.int64)
        shift = _integers(engine.random(1))
        previous = np.zeros(d, dtype=np.int64)
        for bit in range(_bits(n)):
            engine.reset()
            engine.fast_forward(2**bit)
            previous = previous ^ shift ^ _integers(engine.random(1))
            directions[:, bit] = previous
        points = cls._of(directions, shift)
        engine.reset()
        if not points.agrees_with(engine, n):
            raise _another_scipy("Sobol")
        return points

    @classmethod
    def _of(cls, directions: npt.NDArray[np.int64], shift: npt.NDArray[np.int64]) -> SobolPoints:
        pattern = np.zeros((len(directions), _PATTERN), dtype=np.int32)
        gray = np.arange(_PATTERN) ^ np.arange(_PATTERN) >> 1
        for bit in range(_PATTERN.bit_length() - 1):
            pattern ^= np.where(gray >> bit & 1, directions[:, [bit]], 0).astype(np.int32)
        return cls(np.ascontiguousarray(directions, dtype=np.int32), pattern, shift)

    def agrees_with(self, engine: Any, n: int) -> bool:
        """Tell whether the first of n points are those of scipy's engine."""
        return _same_points(self, engine.random(min(n, _COMPARED)))

    def fill(self, dimension: int, out: Floats, start: int, stop: int) -> None:
        """Write the coordinate of rows ``start <= i < stop`` to ``out[0 : stop - start]``."""
        from escala.kernels.sequences import sobol

        directions, pattern = self.directions[dimension], self.pattern[dimension]
        sobol(directions, pattern, int(self.shift[dimension]), 2.0**-_BITS, out, start, stop)

    def tables(self) -> list[npt.NDArray[Any]]:
        """Give what scipy chose."""
        return [self.directions, self.shift]


@dataclass(frozen=True, eq=False)
class HaltonPoints:
    """The points of :class:`scipy.stats.qmc.Halton`, to the bit.

    Parameters
    ----------
    bases : tuple of int
        One prime a dimension.
    low : tuple of float64 arrays
        Sums of the terms of the low digits of 0, 1, 2 …, a power of the base long.
    high : tuple of float64 arrays
        Terms of each further digit, (digits, base).
    """

    bases: tuple[int, ...]
    low: tuple[Floats, ...]
    high: tuple[Floats, ...]

    @classmethod
    def like_scipy(cls, n: int, d: int, seed: int, *, scramble: bool) -> HaltonPoints:
        """Make the permutations of ``Halton(d, scramble=scramble, rng=seed)``.

        They are drawn as scipy draws them: from a generator spawned by ``numpy.random.default_rng(seed)``, one shuffle
        for each digit, base by base.

        Raises
        ------
        DesignError
            If the first of the points are not scipy's.
        """
        from scipy.stats import qmc

        generator = np.random.default_rng(seed).spawn(1)[0]
        bases, low, high = _primes(d), [], []
        for base in bases:
            terms = _terms(base, generator if scramble else None)
            kept = max(1, int(math.log(_LOW_DIGITS, base)))
            low.append(_sums(terms[:kept]))
            high.append(np.ascontiguousarray(terms[kept:]))
        points = cls(tuple(bases), tuple(low), tuple(high))
        engine = qmc.Halton(d, scramble=scramble, rng=seed)
        if not _same_points(points, engine.random(min(n, _COMPARED))):
            raise _another_scipy("Halton")
        return points

    def fill(self, dimension: int, out: Floats, start: int, stop: int) -> None:
        """Write the coordinate of rows ``start <= i < stop`` to ``out[0 : stop - start]``."""
        from escala.kernels import sequences

        work = np.empty(sequences.MOST_DIGITS + 8, dtype=np.float64)
        high = self.high[dimension]
        sequences.halton(
            self.bases[dimension], self.low[dimension], high.reshape(-1), len(high), out, work, start, stop
        )

    def tables(self) -> list[npt.NDArray[Any]]:
        """Give what the generator shuffled."""
        return [*self.low, *self.high]


def _primes(count: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found if prime * prime <= candidate):
            found.append(candidate)
        candidate += 1
    return found


def _terms(base: int, generator: np.random.Generator | None) -> Floats:
    """Make what each digit adds, (digits, base): the digit, permuted if there is a generator, times 1/base^(k + 1)."""
    if generator is None:  # scipy goes on for as long as the index has digits
        digits = next(k for k in range(1, _BITS_OF_INDEX + 1) if base**k >= 2**_BITS_OF_INDEX)
    else:
        digits = math.ceil(_DIGITS_OF_DOUBLE / math.log2(base)) - 1
    permutations = np.repeat(np.arange(base)[None], digits, axis=0)
    if generator is not None:
        for row in permutations:
            generator.shuffle(row)
    terms = np.empty((digits, base))
    weight = 1.0 / base
    for row, term in zip(permutations, terms, strict=True):
        term[:] = row * weight
        weight /= base
    return terms


def _sums(terms: Floats) -> Floats:
    """Add the terms of all combinations of digits, the first digit first."""
    base = terms.shape[1]
    index = np.arange(base ** len(terms))
    total = np.zeros(index.size)
    for term in terms:
        total += term[index % base]
        index //= base
    return total


def _bits(n: int) -> int:
    """Count the bits of the indexes below n."""
    return (n - 1).bit_length()


def _integers(points: Floats) -> npt.NDArray[np.int64]:
    return np.asarray(points[0] * 2.0**_BITS).astype(np.int64)


def _same_points(points: Points, theirs: Floats) -> bool:
    ours = np.empty(len(theirs))
    for dimension, column in enumerate(theirs.T):
        points.fill(dimension, ours, 0, ours.size)
        if not np.array_equal(ours, column):
            return False
    return True


def _another_scipy(which: str) -> DesignError:
    import scipy

    return DesignError(f"scipy {scipy.__version__} makes other {which} points than escala knows of: use another design")
