"""The kinds of designs: how many points each may have, what they are made of, and the keys of its table in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from escala.arrays import is_integer, known_word
from escala.design.points import HaltonPoints, LatinPoints, Points, RandomPoints, SobolPoints
from escala.errors import DesignError, did_you_mean

MOST_COMBINATIONS: Final = 2**53
_MOST_POINTS: Final[Mapping[str, int]] = {
    "random": 2**32,  # a word of Philox's counter
    "latin_hypercube": 2**32,
    "sobol": 2**30,  # scipy's number of bits
    "halton": 2**53,
}
_KINDS: Final = ("grid", *_MOST_POINTS)
_MAKERS: Final[Mapping[str, Callable[..., Points]]] = {
    "sobol": SobolPoints.like_scipy,
    "halton": HaltonPoints.like_scipy,
}
#: Kinds whose points may be scrambled.
SCRAMBLED: Final = tuple(_MAKERS)


def checked_n(kind: str, n: Any) -> int:
    """Check the number of points of a kind.

    Raises
    ------
    DesignError
        If the kind cannot have so many; says which.
    """
    most = _MOST_POINTS[kind]
    if not is_integer(n) or not 1 <= n <= most:
        raise DesignError(f"n must be an integer in [1, {most}] for {kind}, not {n!r}", arguments=("n",))
    count = int(n)
    if kind == "sobol" and count & (count - 1):
        below = 1 << (count.bit_length() - 1)
        message = f"n must be a power of two for sobol, not {count}; the nearest are {below} and {2 * below}"
        raise DesignError(message, arguments=("n",))
    return count


def checked_seed(seed: Any) -> int:
    """Check a seed.

    Raises
    ------
    DesignError
        If it is none.
    """
    if not is_integer(seed) or not 0 <= seed < 2**64:
        raise DesignError(f"seed must be an integer in [0, 2^64), not {seed!r}", arguments=("seed",))
    return int(seed)


def points(kind: str, n: int, dimensions: int, seed: int, scramble: Any) -> Points:
    """Make the points of a kind that is no grid."""
    if kind == "random" or dimensions == 0:
        return RandomPoints(seed)
    if kind == "latin_hypercube":
        return LatinPoints.of(n, dimensions, seed)
    return _MAKERS[kind](n, dimensions, seed, scramble=scramble)


def check_keys(data: Any) -> None:
    """Check which keys a design as plain data has: see :meth:`escala.Design.from_dict`.

    Raises
    ------
    DesignError
        If one is unknown for the kind, or missing; names it.
    """
    if not isinstance(data, Mapping):
        raise DesignError(f"a design must be a table with kind and ranges, not {data!r}")
    kind = data.get("kind")
    if not known_word(kind, _KINDS):
        raise DesignError(f"kind must be one of {', '.join(_KINDS)}, not {kind!r}", arguments=("kind",))
    allowed = ["kind", "ranges", "columns", "free", "model"]
    allowed += [] if kind == "grid" else ["n", "seed"]
    allowed += ["scramble"] if kind in SCRAMBLED else []
    for key in data:
        if key not in allowed:
            hint = did_you_mean(key, allowed, f"; there are {', '.join(allowed)}")
            raise DesignError(f"{key} is no key of a {kind} design{hint}", arguments=(key,))
    for key in ("ranges", "n"):
        if key in allowed and key not in data:
            raise DesignError(f"{key} is missing", arguments=(key,))


def ranges_in_order(ranges: Any, names: Any) -> Any:
    """Put ranges in the order of the names, where one is given: the order of a table may get lost on the way.

    Raises
    ------
    DesignError
        If the names are others.
    """
    if names is None or not isinstance(ranges, Mapping):
        return ranges
    known = isinstance(names, list) and all(isinstance(name, str) and name in ranges for name in names)
    if not known or len(set(names)) != len(names) or len(names) != len(ranges):
        raise DesignError(f"columns must list the names of ranges, not {names!r}", arguments=("columns",))
    return {name: ranges[name] for name in names}
