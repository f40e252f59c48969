"""A model: what a design, a sweep, tuning, pictures and commands take; the lending loop is one, the market another.

A model says which columns a scenario has, what it gives, how it ends, and how many scenarios are worked through. What
takes a model knows no more of it than this, so another one needs no change there.
"""

from __future__ import annotations

import abc
import functools
import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np

from escala.arrays import FloatLike, Floats, check_interval, check_order, check_together
from escala.errors import InputError, ScenarioError, did_you_mean
from escala.tables import Code, Codes, Interval, Table, intervals, names

__all__ = ["DEFAULT", "Model", "Slices", "check_keys", "chosen", "default", "named", "table_of"]

#: The model that is meant where none is named: what was kept before there were others says nothing of it.
DEFAULT: Final = "lending"
#: Where models are that can be named in files: loaded when they are asked for.
_MODULES: Final[Mapping[str, str]] = {DEFAULT: "escala.lending.model", "market": "escala.market.model"}


class Slices(Protocol):
    """Scenarios in slices, in memory that is used again: one thread's alone, though others may help it."""

    def run(self, columns: Mapping[str, Floats], n: int) -> Iterator[None]:
        """Work through a slice of n scenarios, in steps of some milliseconds."""

    def result(self, columns: Mapping[str, Floats], n: int) -> Any:
        """Give what became of the slice, until the next one: an attribute (n,) an output, and ``stop``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Model(abc.ABC):
    """A model of scenarios, each of them a row of numbers; a class of its own says how they are worked through.

    Parameters
    ----------
    name : str
        By which files know it.
    function, settings_type : str
        The public function that runs it and the class of its settings, as messages name them.
    arguments : table
        Columns that every design must have.
    fields : table
        Numbers that are a column, or one for all scenarios: the settings'. Those with a default may be left out.
    outputs : table
        What it gives of each scenario; whole numbers are known by their interval.
    kept : tuple of str
        Outputs that a sweep keeps when nobody says.
    ordered : tuple of pairs of str, optional
        Arguments and fields of which the first must not exceed the second. Tuning lowers them in this order.
    strict : tuple of pairs of str, optional
        Those of `ordered` of which the first must be below the second.
    stops : codes, optional
        How a scenario may end, numbered from 0; ``doc`` is how a summary says it. None where scenarios do not end, but
        are, say, statistics over many paths.
    goal : code, optional
        The end that tuning lets no fewer scenarios come to; ``doc`` is what those do. None where there is no such end.
    tuned : mapping of str to (low, high), optional
        Fields that are tuned when nobody says.
    misleading : mapping of str to (str, str), optional
        Outputs that mislead alone: which one must be beside them, and what is said where it is not.
    errors : mapping of str to str, optional
        Outputs that are estimates, and which output is the standard error of each.
    unseen : str, optional
        What is kept back by tuning beside scenarios, see :meth:`halves`; empty where nothing is.
    sections : tuple of str, optional
        Tables of a file that hold settings.
    error : type, optional
        Of a scenario that is not allowed.
    """

    name: str
    function: str
    settings_type: str
    arguments: Table
    fields: Table
    outputs: Table
    kept: tuple[str, ...]
    ordered: tuple[tuple[str, str], ...] = ()
    stops: Codes = ()
    goal: Code | None = None
    tuned: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    misleading: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    strict: tuple[tuple[str, str], ...] = ()
    unseen: str = ""
    sections: tuple[str, ...] = ("strategy",)
    error: type[InputError] = ScenarioError

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Pickle a model that can be named by its name."""
        if _MODULES.get(self.name) is not None and named(self.name) is self:
            return named, (self.name,)
        return super().__reduce__()

    @functools.cached_property
    def argument_names(self) -> tuple[str, ...]:
        """Columns that every design must have."""
        return names(self.arguments)

    @functools.cached_property
    def field_names(self) -> tuple[str, ...]:
        """Numbers that may be a column."""
        return names(self.fields)

    @functools.cached_property
    def output_names(self) -> tuple[str, ...]:
        """Everything that it gives of a scenario, but for how it ends."""
        return names(self.outputs)

    @functools.cached_property
    def allowed(self) -> Mapping[str, Interval]:
        """What arguments and fields may be."""
        return intervals((*self.arguments, *self.fields))

    @functools.cached_property
    def defaults(self) -> Mapping[str, float]:
        """Fields that may be left out, and what they are then."""
        return {row.name: row.default for row in self.fields if row.default is not None}

    @functools.cached_property
    def whole(self) -> frozenset[str]:
        """Outputs that are whole numbers."""
        return frozenset(row.name for row in self.outputs if row.values.integer)

    @abc.abstractmethod
    def settings(self, given: Any) -> Any:
        """Check what a caller gave as settings: what all scenarios of a call share.

        Parameters
        ----------
        given : object
            None for the default.

        Raises
        ------
        InputError
            If these are no settings of this model, or there is no default.
        """

    @abc.abstractmethod
    def numbers(self, settings: Any) -> Mapping[str, Floats]:
        """Give the fields of settings: arrays of any shape, in the order of `fields`."""

    @abc.abstractmethod
    def replaced(self, settings: Any, changes: Mapping[str, FloatLike]) -> Any:
        """Give settings with other values for some fields.

        Raises
        ------
        InputError
            If a value is not allowed.
        """

    def described(self, settings: Any) -> dict[str, Any]:
        """Give settings of one number a field as JSON knows them: all that results depend on beside the columns."""
        return {name: float(array) for name, array in self.numbers(settings).items()}

    def read(self, content: Mapping[str, Any]) -> Any:
        """Give the settings that a file's tables describe.

        Parameters
        ----------
        content : mapping
            The file; of its tables those of `sections`, which may be missing.

        Raises
        ------
        InputError
            If a key is not known or a value not allowed; names the table and the key.
        """
        (section,) = self.sections
        return self.replaced(self.settings(None), table_of(content, section, self.field_names, self.error))

    def check_names(self, given: Sequence[str], settings: Any) -> None:  # noqa: B027  # most have nothing to check
        """Check that names of columns go with settings; those of arguments and fields always do.

        Raises
        ------
        InputError
            The class `error`; names the column.
        """

    def tuned_with(self, settings: Any) -> Mapping[str, tuple[float, float]]:  # noqa: ARG002
        """Give the fields that are tuned when nobody says, as far as they mean something with these settings."""
        return self.tuned

    def halves(self, settings: Any) -> tuple[Any, Any] | None:  # noqa: ARG002
        """Give settings to tune on, and others of chances that were not seen there; None if scenarios have no chances.

        Raises
        ------
        InputError
            If there are too few for two.
        """
        return None

    def check(self, columns: Mapping[str, Floats], settings: Any) -> None:
        """Check columns, alone and against each other and the settings.

        Raises
        ------
        InputError
            The class `error`; names arguments, indexes in the columns and values.
        """
        fixed = self.numbers(settings)
        for name, column in columns.items():
            check_interval(name, column, self.allowed[name], self.error)
        known = {**fixed, **columns}
        for low, high in self.ordered:
            if (low in columns or high in columns) and low in known and high in known:
                check_order(low, known[low], high, known[high], self.error)
        for low, high in self.strict:
            if (low in columns or high in columns) and low in known and high in known:
                pair = {low: known[low], high: known[high]}
                check_together(pair, np.less, f"{low} must be below {high}", self.error)

    @abc.abstractmethod
    def slices(self, varied: Sequence[str], settings: Any, rows: int, outputs: Sequence[str], threads: int) -> Slices:
        """Give what works through slices of at most so many rows, for one thread.

        Parameters
        ----------
        varied : sequence of str
            What each slice brings as columns that were checked: all arguments, and some fields.
        settings : object
            The other fields, one number each.
        rows : int
            Most rows of a slice.
        outputs : sequence of str
            What is asked of the results: others need not be worked out.
        threads : int
            Threads that may help where a scenario takes long.
        """

    @abc.abstractmethod
    def evaluate(
        self, columns: Mapping[str, Floats], settings: Any, threads: int, outputs: Sequence[str] | None = None
    ) -> Any:
        """Work through scenarios that are there as arrays; the bits are those of :meth:`slices`.

        Parameters
        ----------
        columns : mapping of str to array
            All arguments, and some fields; they broadcast.
        settings : object
            The other fields, one number each.
        threads : int
            Threads to use.
        outputs : sequence of str, optional
            What is asked of the results, by default everything: others need not be worked out.

        Returns
        -------
        object
            Its attributes are outputs, and ``stop`` if scenarios end: arrays of the common shape.

        Raises
        ------
        InputError
            If a value is not allowed.
        """


def named(name: str) -> Model:
    """Load the model of a name.

    Raises
    ------
    InputError
        If there is none.
    """
    if not isinstance(name, str) or name not in _MODULES:
        hint = did_you_mean(name, _MODULES, f"; there are {', '.join(_MODULES)}")
        raise InputError(f"model {name!r} is not known{hint}", arguments=("model",))
    model: Model = importlib.import_module(_MODULES[name]).MODEL
    return model


def default() -> Model:
    """Load the model that is meant where none is named."""
    return named(DEFAULT)


def chosen(given: Any, error: type[InputError]) -> Model:
    """Check what a caller gave as a model: itself, or its name.

    Raises
    ------
    InputError
        The class given, if it is none.
    """
    if isinstance(given, str):
        try:
            return named(given)
        except InputError as problem:
            raise error(str(problem), arguments=("model",)) from None
    if not isinstance(given, Model):
        raise error(f"model must be a Model or the name of one, not {given!r}", arguments=("model",))
    return given


def table_of(content: Mapping[str, Any], name: str, keys: Sequence[str], error: type[InputError]) -> dict[str, Any]:
    """Give a table of a file, which may be missing.

    Raises
    ------
    InputError
        The class given, if it is no table or has other keys; names the table and the key.
    """
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise error(f"{name} must be a table, not {table!r}", arguments=(name,))
    check_keys(table, keys, f"key of [{name}]", error)
    return table


def check_keys(given: Mapping[str, Any], known: Sequence[str], what: str, error: type[InputError]) -> None:
    """Check that a file has no keys but some.

    Raises
    ------
    InputError
        The class given; names the first other one.
    """
    for key in given:
        if key not in known:
            hint = did_you_mean(key, known, f"; there are {', '.join(known)}")
            raise error(f"{key!r} is no {what}{hint}", arguments=(key,))
