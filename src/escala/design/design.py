"""Designs: which scenarios to run. Row i is a function of the design and i alone, so any slice can be made anywhere."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from typing import Any, Final

import numpy as np

from escala import model as models
from escala import parallel
from escala.arrays import Floats, is_integer
from escala.design import columns as design_columns
from escala.design import kinds
from escala.design import ranges as design_ranges
from escala.design.points import Lattice, Points
from escala.design.ranges import Choices, Column, Constant, Relative, Steps
from escala.errors import DesignError, InputError
from escala.files import toml
from escala.model import Model

__all__ = ["Design"]

_VERSION: Final = 1  # of the rows: it changes when an escala makes others of the same design
_PIECE: Final = 8192  # rows made together: a column of them fits a second-level cache many times


@dataclass(frozen=True, eq=False, repr=False)
class Design:
    """Named columns of scenarios, made slice by slice; use one of the class methods.

    A design holds how its rows are made, not the rows: ``rows(start, stop)`` makes any slice, in any process and on any
    number of threads, with the same bits.

    Attributes
    ----------
    kind : str
        ``grid``, ``random``, ``latin_hypercube``, ``sobol`` or ``halton``.
    n : int
        Number of rows.
    seed : int or None
        What random numbers are made of; None for a grid.
    scramble : bool or None
        Whether the points of a Sobol or Halton sequence are scrambled; None for the others.
    free : bool
        Whether the columns may have any names.
    columns : mapping of str to range
        What each column holds, in the given order.
    model : Model
        What the rows are scenarios of: the lending loop, unless told otherwise.

    Notes
    -----
    A column is one of

    * ``(low, high)``: real numbers, low + u·(high − low) for the coordinate u in [0, 1), evaluated as (u·(high −
      low)) + low like :func:`scipy.stats.qmc.scale`, and never above high. For a field that takes integers (such as
      ``max_operations``), the integers from low to high, both included: ⌊u·(high + 1 − low) + low⌋.
    * a list of choices: the one of index ⌊u·k⌋ of k.
    * a frozen distribution of :mod:`scipy.stats`: its quantile at u; u = 0, which only Sobol and Halton points may
      have, counts as 2⁻³¹ (the middle of the first cell that 30 bits tell apart), u = 1 as 1 − 2⁻⁵³.
    * a number: that number in every row. It takes no coordinate.
    * :meth:`relative`, or a tuple that begins with the name of another column: a multiple of that column. The factor is
      one of the above.

    and in a grid ``(low, high, count)``, a list, a number, or a multiple whose factor is one of these.
    """

    kind: str
    n: int
    seed: int | None
    scramble: bool | None
    free: bool
    columns: Mapping[str, Column]
    model: Model
    points: Points = field(repr=False)

    @classmethod
    def grid(cls, ranges: Mapping[str, Any], *, free: bool = False, model: Model | str | None = None) -> Design:
        """Make all combinations of some values; the last column varies fastest.

        Parameters
        ----------
        ranges : mapping
            For each column ``(low, high, count)`` (`count` values at equal distances, both ends included), a list of
            values, a number, or a multiple of another column.
        free : bool, default False
            Allow any names, and check no values.
        model : Model or str, optional
            What the rows are scenarios of, ``"lending"`` or ``"market"``; by default the lending loop.

        Returns
        -------
        Design
            With as many rows as there are combinations.

        Raises
        ------
        DesignError
            If a column has no such form or value; names it.

        Examples
        --------
        >>> design = Design.grid({"supply": 1000.0, "borrow": [400.0, 600.0], "target": (1500, 2000, 3), "wallet": 0})
        >>> len(design), design[3:5]["target"]
        (6, array([1500., 1750.]))
        """
        return cls._make("grid", ranges, free=free, model=model)

    @classmethod
    def random(
        cls, ranges: Mapping[str, Any], n: int, seed: int = 0, *, free: bool = False, model: Model | str | None = None
    ) -> Design:
        """Draw every number independently.

        Parameters
        ----------
        ranges : mapping
            What each column holds: see :class:`Design`.
        n : int
            Number of rows, at most 2³².
        seed : int, default 0
            In [0, 2⁶⁴).
        free : bool, default False
            Allow any names, and check no values.
        model : Model or str, optional
            What the rows are scenarios of, ``"lending"`` or ``"market"``; by default the lending loop.

        Raises
        ------
        DesignError
            If an argument is not allowed; names it.

        Notes
        -----
        The coordinate of row i in dimension j (columns that are not constant, counted from 0) comes from the block of
        Philox 4x32-10 with key = seed and counter = (i, j, 0, 0): (2k + 1)·2⁻⁵³, k being the first 52 of its bits.

        Examples
        --------
        >>> design = Design.random({"supply": (1000, 2000), "borrow": ("supply", 0.4, 0.7)}, 1_000_000, seed=7)
        >>> design.rows(999_998, 1_000_000)["supply"]
        array([1894.70783696, 1553.71924656])
        """
        return cls._make("random", ranges, n=n, seed=seed, free=free, model=model)

    @classmethod
    def latin_hypercube(
        cls, ranges: Mapping[str, Any], n: int, seed: int = 0, *, free: bool = False, model: Model | str | None = None
    ) -> Design:
        """Draw a Latin hypercube: in each column, exactly one row in each of n strata of equal probability.

        Parameters
        ----------
        ranges, n, seed, free, model
            As for :meth:`random`.

        Raises
        ------
        DesignError
            If an argument is not allowed; names it.

        Notes
        -----
        Row i lies in stratum p(i) of a dimension, at a random place in it. p is a permutation chosen by seed and
        dimension and computed for each i alone, so the rows cannot be those of :class:`scipy.stats.qmc.LatinHypercube`,
        which shuffles all of them.
        """
        return cls._make("latin_hypercube", ranges, n=n, seed=seed, free=free, model=model)

    @classmethod
    def sobol(
        cls,
        ranges: Mapping[str, Any],
        n: int,
        seed: int = 0,
        *,
        scramble: bool = True,
        free: bool = False,
        model: Model | str | None = None,
    ) -> Design:
        """Take the first n points of a Sobol sequence.

        Parameters
        ----------
        ranges : mapping
            What each column holds: see :class:`Design`.
        n : int
            Number of rows: a power of two, at most 2³⁰. The first point is one of them.
        seed : int, default 0
            Of the scramble.
        scramble : bool, default True
            Whether to scramble (a random linear map of the digits, and a shift).
        free : bool, default False
            Allow any names, and check no values.
        model : Model or str, optional
            What the rows are scenarios of, ``"lending"`` or ``"market"``; by default the lending loop.

        Raises
        ------
        DesignError
            If an argument is not allowed; names it.

        Notes
        -----
        The coordinates are those of ``scipy.stats.qmc.Sobol(d, scramble=scramble, rng=seed)``, to the bit. Mind the
        name: since scipy 1.15 ``rng=seed`` and the older ``seed=seed`` are different sequences.
        """
        return cls._make("sobol", ranges, n=n, seed=seed, scramble=scramble, free=free, model=model)

    @classmethod
    def halton(
        cls,
        ranges: Mapping[str, Any],
        n: int,
        seed: int = 0,
        *,
        scramble: bool = True,
        free: bool = False,
        model: Model | str | None = None,
    ) -> Design:
        """Take the first n points of a Halton sequence.

        Parameters
        ----------
        ranges : mapping
            What each column holds: see :class:`Design`.
        n : int
            Number of rows, at most 2⁵³.
        seed : int, default 0
            Of the permutations of the digits.
        scramble : bool, default True
            Whether to permute the digits.
        free : bool, default False
            Allow any names, and check no values.
        model : Model or str, optional
            What the rows are scenarios of, ``"lending"`` or ``"market"``; by default the lending loop.

        Raises
        ------
        DesignError
            If an argument is not allowed; names it.

        Notes
        -----
        The coordinates are those of ``scipy.stats.qmc.Halton(d, scramble=scramble, rng=seed)``, to the bit.
        """
        return cls._make("halton", ranges, n=n, seed=seed, scramble=scramble, free=free, model=model)

    @staticmethod
    def relative(of: str, *factor: Any) -> tuple[Any, ...]:
        """Say that a column is a multiple of another one.

        Parameters
        ----------
        of : str
            The other column.
        *factor
            Low and high of the factor (and its count in a grid), or one of a list of choices, a number and a
            distribution.

        Returns
        -------
        tuple
            What a range may be; the tuple itself will do as well.

        Examples
        --------
        >>> design = Design.sobol({"supply": (1e3, 1e4), "borrow": Design.relative("supply", 0.4, 0.7)}, 4)
        >>> rows = design.rows(0, 4)
        >>> bool((rows["borrow"] <= 0.7 * rows["supply"]).all())
        True
        """
        return (of, *factor)

    @classmethod
    def _make(
        cls,
        kind: str,
        ranges: Any,
        *,
        n: Any = None,
        seed: Any = None,
        scramble: Any = None,
        free: bool = False,
        model: Model | str | None = None,
    ) -> Design:
        if not isinstance(free, bool):
            raise DesignError(f"free must be true or false, not {free!r}", arguments=("free",))
        model = _checked_model(model)
        columns = design_columns.read(ranges, model, grid=kind == "grid", free=free)
        drawn = [design_ranges.factor(column) for column in columns.values()]
        if kind == "grid":
            values = tuple(np.array(own.values) for own in drawn if isinstance(own, Choices | Steps))
            n = math.prod(own.size for own in values)
            if n > kinds.MOST_COMBINATIONS:
                raise DesignError(f"ranges must make at most 2^53 combinations, not {n:,}", arguments=("ranges",))
            return cls(kind, n, None, None, free, columns, model, Lattice(values))
        n, seed = kinds.checked_n(kind, n), kinds.checked_seed(seed)
        dimensions = sum(not isinstance(own, Constant) for own in drawn)
        if kind in kinds.SCRAMBLED and not isinstance(scramble, bool):
            raise DesignError(f"scramble must be true or false, not {scramble!r}", arguments=("scramble",))
        points = kinds.points(kind, n, dimensions, seed, scramble)
        return cls(kind, n, seed, scramble, free, columns, model, points)

    def __len__(self) -> int:
        """Give the number of rows."""
        return self.n

    def __repr__(self) -> str:
        """Say which design it is."""
        how = "" if self.seed is None else f", seed {self.seed}"
        plain = ", not scrambled" if self.scramble is False else ""
        return f"<Design {self.kind} of {self.n:,} rows{how}{plain}: {', '.join(self.names)}>"

    def __eq__(self, other: object) -> bool:
        """Tell whether the other is a design of the same rows."""
        return self.digest == other.digest if isinstance(other, Design) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, in the given order."""
        return tuple(self.columns)

    @cached_property
    def bounds(self) -> Mapping[str, tuple[float, float]]:
        """Smallest and largest value that each column can have."""
        return design_columns.bounds(self.columns)

    @cached_property
    def digest(self) -> str:
        """Hash of everything that the rows are made of, in hexadecimal: the same in every process and machine.

        It covers what :meth:`to_dict` gives and, of Sobol and Halton sequences, the scrambled numbers themselves.
        """
        text = json.dumps({"version": _VERSION, **self.to_dict()}, sort_keys=True)
        made = hashlib.sha256(text.encode())
        for table in self.points.tables():
            made.update(repr(table.shape).encode())
            made.update(table.astype(table.dtype.newbyteorder("<")).tobytes())
        return made.hexdigest()

    def rows(
        self, start: int = 0, stop: int | None = None, *, out: Floats | None = None, threads: int = 1
    ) -> dict[str, Floats]:
        """Make the rows ``start <= i < stop``.

        Parameters
        ----------
        start, stop : int
            ``0 <= start <= stop <= len(design)``; `stop` is the number of rows if not given.
        out : float64 array, optional
            C-contiguous, (columns, at least stop − start): memory to use again. The result is views of it.
        threads : int, default 1
            Threads to use; the rows do not depend on it.

        Returns
        -------
        dict of str to float64 array
            One array a column, (stop − start,).

        Raises
        ------
        DesignError
            If an argument is not allowed; names it.
        """
        start, stop = self._slice(start, stop)
        size = stop - start
        # Rows that lie a power of two apart would all compete for the same cache lines.
        block = np.empty((len(self.columns), size + 8)) if out is None else self._checked_out(out, size)

        def make_part() -> parallel.Part:
            def part(first: int, last: int) -> Iterator[None]:
                self._fill([row[first:last] for row in block], start + first, start + last)
                yield

            return part

        threads = parallel.checked_threads(threads, DesignError)
        parallel.run(make_part, size, chunk=_PIECE, threads=threads)
        return {name: row[:size] for name, row in zip(self.columns, block, strict=True)}

    def __getitem__(self, index: slice) -> dict[str, Floats]:
        """Make a slice of rows, as ``design[start:stop]``."""
        if not isinstance(index, slice) or index.step not in (None, 1):
            raise DesignError(f"a design is sliced as design[start:stop], not with {index!r}")
        start, stop, _ = index.indices(self.n)
        return self.rows(start, max(start, stop))

    def _slice(self, start: Any, stop: Any) -> tuple[int, int]:
        stop = self.n if stop is None else stop
        for name, value in (("start", start), ("stop", stop)):
            if not is_integer(value) or not 0 <= value <= self.n:
                raise DesignError(f"{name} must be an integer in [0, {self.n}], not {value!r}", arguments=(name,))
        if start > stop:
            message = f"start must not exceed stop, but start = {start} and stop = {stop}"
            raise DesignError(message, arguments=("start", "stop"))
        return int(start), int(stop)

    def _checked_out(self, out: Floats, size: int) -> Floats:
        shape = (len(self.columns), size)
        good = isinstance(out, np.ndarray) and out.dtype == np.float64 and out.ndim == 2
        if not good or not out.flags.c_contiguous or not out.flags.writeable:
            raise DesignError("out must be a writable C-contiguous float64 array of two axes", arguments=("out",))
        if out.shape[0] != shape[0] or out.shape[1] < size:
            raise DesignError(f"out of shape {out.shape} must be of shape {shape} or wider", arguments=("out",))
        return out

    @cached_property
    def _order(self) -> tuple[tuple[int, Column, int, int], ...]:
        """Columns so that each follows the one it is a multiple of: place, range, dimension, place of that one."""
        places = {name: place for place, name in enumerate(self.columns)}
        dimensions: dict[str, int] = {}
        for name, column in self.columns.items():
            constant = isinstance(design_ranges.factor(column), Constant)
            dimensions[name] = -1 if constant else sum(dimension >= 0 for dimension in dimensions.values())
        return tuple(
            (places[name], column, dimensions[name], places[column.of] if isinstance(column, Relative) else -1)
            for name, column in ((name, self.columns[name]) for name in design_columns.in_order(self.columns))
        )

    def _fill(self, block: list[Floats], start: int, stop: int) -> None:
        for place, column, dimension, other in self._order:
            values, own = block[place], design_ranges.factor(column)
            if dimension >= 0:
                self.points.fill(dimension, values, start, stop)
            given_whole = self.kind == "grid" and dimension >= 0
            if not given_whole and not isinstance(own, Steps):
                own.fill(values)
            if other >= 0:
                values *= block[other]

    def to_dict(self) -> dict[str, Any]:
        """Give the design as plain data, for JSON or the ``[design]`` table of a TOML file.

        Returns
        -------
        dict
            ``kind``, ``n`` and ``seed`` (not for a grid), ``scramble`` (Sobol and Halton), ``free`` (if true),
            ``model`` (if it is not the lending loop), ``columns`` (the names in order) and ``ranges``.
        """
        given = {} if self.kind == "grid" else {"n": self.n, "seed": self.seed}
        scramble = {} if self.scramble is None else {"scramble": self.scramble}
        free = {"free": True} if self.free else {}
        model = {} if self.model.name == models.DEFAULT else {"model": self.model.name}
        ranges = {name: column.to_dict() for name, column in self.columns.items()}
        return {"kind": self.kind, **given, **scramble, **free, **model, "columns": list(ranges), "ranges": ranges}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, model: Model | str | None = None) -> Design:
        """Make the design that :meth:`to_dict` gave, or that a file describes.

        Parameters
        ----------
        data : mapping
            ``kind`` and ``ranges``; ``n`` and ``seed`` (default 0) except for a grid; ``scramble`` (default true) for
            Sobol and Halton; ``free`` (default false); ``model`` (default ``"lending"``); ``columns`` (default: the
            ranges in their order), because the order of a table may get lost on the way. A range is a number, a list of
            choices, or a table: ``{low, high}``, ``{low, high, count}`` in a grid, ``{choices}``,
            ``{distribution, …}`` with the parameters' names in :mod:`scipy.stats`; with ``of``, it is the factor of
            another column (``{of, factor}`` for a number).
        model : Model, optional
            What the rows are scenarios of, where its name alone does not tell.

        Raises
        ------
        DesignError
            If a key is unknown, missing or of another type, or a value is not allowed; names the key.

        Examples
        --------
        >>> ranges = {"supply": {"low": 1e3, "high": 1e4}, "borrow": {"of": "supply", "low": 0.4, "high": 0.7}}
        >>> design = Design.from_dict({"kind": "sobol", "n": 1024, "seed": 7, "ranges": ranges})
        >>> design
        <Design sobol of 1,024 rows, seed 7: supply, borrow>
        >>> Design.from_dict(design.to_dict()) == design
        True
        """
        kinds.check_keys(data)
        kind = data["kind"]
        ranges = kinds.ranges_in_order(data["ranges"], data.get("columns"))
        rest = {key: data[key] for key in ("n", "free") if key in data}
        if kind != "grid":
            rest["seed"] = data.get("seed", 0)
        if kind in kinds.SCRAMBLED:
            rest["scramble"] = data.get("scramble", True)
        return cls._make(kind, ranges, model=_of_name(data.get("model"), model), **rest)

    @classmethod
    def from_toml(cls, path: str | PathLike[str]) -> Design:
        """Read the ``[design]`` table of a TOML file; its keys are those of :meth:`from_dict`.

        Raises
        ------
        DesignError
            If it is no TOML file, or has no such design; names the file and the key.
        OSError
            If it cannot be read.

        Notes
        -----
        .. code-block:: toml

           [design]
           kind = "sobol"        # or grid, random, latin_hypercube, halton
           n = 65536
           seed = 7

           [design.ranges]
           supply = { distribution = "lognorm", s = 0.5, scale = 10000 }
           borrow = { of = "supply", low = 0.4, high = 0.7 }
           target = { of = "supply", factor = 1.5 }
           wallet = { low = 0, high = 2000 }
           max_operations = [100, 1000]
           fee_rate = 0.0025
        """
        return design_in(toml.read(path, DesignError), path)


def design_in(content: Mapping[str, Any], path: str | PathLike[str]) -> Design:
    """Make the design of the table ``[design]`` of a file.

    Raises
    ------
    DesignError
        If there is no such design; names the file and the key.
    """
    if not isinstance(content.get("design"), dict):
        raise DesignError(f"{path}: there is no table [design]", arguments=("design",))
    try:
        return Design.from_dict(content["design"])
    except DesignError as error:
        ranges = content["design"].get("ranges")
        of_column = isinstance(ranges, dict) and any(name in ranges for name in error.arguments)
        where = "design.ranges" if of_column else "design"
        message = f"{path}: {where}: {error}"
        raise DesignError(
            message, arguments=error.arguments, indexes=error.indexes, requirement=error.requirement
        ) from None


def _checked_model(model: Any) -> Model:
    return models.default() if model is None else models.chosen(model, DesignError)


def _of_name(name: Any, given: Model | str | None) -> Model | None:
    """Find the model that a table names; what the caller gave has to be that one."""
    given = None if given is None else models.chosen(given, DesignError)
    if name is None or (given is not None and name == given.name):
        return given
    if given is not None:
        raise DesignError(f"model is {name!r}, not {given.name!r}", arguments=("model",))
    try:
        return models.named(name)
    except InputError as error:
        raise DesignError(str(error), arguments=error.arguments) from None
