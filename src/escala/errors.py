"""What escala raises.

EscalaError
├── InputError (ValueError)             bad input; nothing was computed
│   ├── ScenarioError                   of a lending scenario or strategy
│   │   └── ScenarioFileError           a file of scenarios that cannot be read as such
│   ├── RecordError                     of efficiency records; nothing of the batch was kept
│   │   └── RecordFileError             a file of records, quotes or books that cannot be read as such
│   ├── CurveError                      of a curve, or of what is asked of it
│   ├── ConfigError                     of a setting that is to be stored
│   ├── AllocationError                 of an argument of an allocation
│   ├── DesignError                     of a design of scenarios, or of a file of one
│   └── MarketError                     of a position, a market, a protocol or a policy
├── InfeasibleError (ValueError)        bounds that no allocation can meet together
├── SweepError (RuntimeError)           a directory of results that cannot be used, a cluster that cannot finish
├── StoreError (RuntimeError)           a store that cannot be opened, read or written
│   └── StoreUncertainError             nobody can tell whether it was written; the call may be repeated
├── BuildError (RuntimeError)           a C library that cannot be built or loaded
├── UnknownSymbolError (KeyError)       a symbol without records or model
├── FitError (ValueError)               an instrument without a curve, where that is to be an error
└── MissingExtraError (ImportError)     an optional library is not installed
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Final

#: Names that an unknown one is compared with at most: an error shall not take seconds.
_COMPARED: Final = 10_000
#: Names that go on where the unknown one ends, of which so many are suggested.
_SUGGESTED: Final = 2


def did_you_mean(name: object, known: Iterable[str], otherwise: str = "") -> str:
    """Give the end of a message about an unknown name: the known ones that it resembles, or else what is given."""
    import difflib

    names, asked = list(itertools.islice(known, _COMPARED)), str(name).casefold()
    longer = sorted(one for one in names if asked and one.casefold().startswith(asked))[:_SUGGESTED]
    near = longer or difflib.get_close_matches(str(name), names, n=1)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else otherwise


class EscalaError(Exception):
    """Base of everything that escala raises on purpose."""


class InputError(EscalaError, ValueError):
    """Bad input; nothing was computed.

    Parameters
    ----------
    message : str
        Names the argument, the first bad indexes, their values and what is allowed.
    arguments : tuple of str
        The argument, or both of a condition between two.
    indexes : tuple of tuple of int
        The first bad indexes; one empty tuple for a scalar, none where the fault is not an element's.
    requirement : str
        What was asked of the values, without their indexes.
    """

    def __init__(
        self,
        message: str,
        *,
        arguments: tuple[str, ...] = (),
        indexes: tuple[tuple[int, ...], ...] = (),
        requirement: str = "",
    ) -> None:
        super().__init__(message)
        self.arguments = arguments
        self.indexes = indexes
        self.requirement = requirement


class ScenarioError(InputError):
    """Bad input of a lending scenario or strategy."""


class RecordError(InputError):
    """Bad efficiency records; nothing of the batch was kept."""


class CurveError(InputError):
    """Bad parameters of a curve, or a bad argument of what is asked of it."""


class ConfigError(InputError):
    """Bad settings of the store; nothing was kept."""


class AllocationError(InputError):
    """Bad argument of an allocation."""


class DesignError(InputError):
    """Bad column or argument of a design of scenarios, or of a file of one."""


class MarketError(InputError):
    """Bad input of a position in a market, of the market, a protocol or a policy."""


class InfeasibleError(EscalaError, ValueError):
    """Bounds that no allocation can meet together; the message names them, and by how much they conflict.

    Parameters
    ----------
    message : str
        What conflicts.
    symbol : str or None
        The instrument whose own bounds conflict; None where it is all of them together.
    problem : tuple of int
        Index of the first such problem among many; empty for a single one.
    excess : float
        By how much; NaN where that is not known.
    """

    def __init__(
        self, message: str, *, symbol: str | None = None, problem: tuple[int, ...] = (), excess: float = float("nan")
    ) -> None:
        super().__init__(message)
        self.symbol = symbol
        self.problem = problem
        self.excess = excess


class FitError(EscalaError, ValueError):
    """Instruments without a curve, with ``on_error="raise"``; the message names the first and why.

    Parameters
    ----------
    message : str
        What happened.
    symbols : tuple of str
        The instruments.
    """

    def __init__(self, message: str, *, symbols: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.symbols = symbols


class SweepError(EscalaError, RuntimeError):
    """A sweep that cannot keep its results where it was told, or not finish; what was finished stays valid."""


class StoreError(EscalaError, RuntimeError):
    """A store that cannot be opened, read or written; the message says which and why, and holds no password."""


class StoreUncertainError(StoreError):
    """The connection broke while a write was being confirmed, and the database cannot be asked whether it was kept.

    The same call may be repeated with ``identity=error.identity``: what was kept the first time is not kept twice, and
    the answer is that of the first time. Calls without that argument (settings, deletions) are repeated as they are.

    Parameters
    ----------
    message : str
        What happened.
    identity : str
        What the write is known by; empty where it needs none.
    """

    def __init__(self, message: str, *, identity: str = "") -> None:
        super().__init__(message)
        self.identity = identity


class BuildError(EscalaError, RuntimeError):
    """A C library that cannot be built or loaded; the message says why in one line."""


class UnknownSymbolError(EscalaError, KeyError):
    """A symbol that nothing is known of; there is no made-up answer.

    Parameters
    ----------
    message : str
        Names the symbol.
    symbol : str
        The symbol.
    """

    def __init__(self, message: str, *, symbol: str = "") -> None:
        super().__init__(message)
        self.symbol = symbol

    @classmethod
    def among(cls, symbol: object, known: Iterable[str]) -> UnknownSymbolError:
        """Make the error of a symbol without records, with a suggestion."""
        return cls(f"there are no records of {symbol!r}{did_you_mean(symbol, known)}", symbol=str(symbol))

    def __str__(self) -> str:
        return str(self.args[0])


class ScenarioFileError(ScenarioError):
    """A file of scenarios that cannot be read: a missing or unknown column, a value that is no number."""


class RecordFileError(RecordError):
    """A file that gives no records: a missing or ambiguous column, a value that is not allowed, with its row."""


class MissingExtraError(EscalaError, ImportError):
    """An optional library is not installed; the message says which extra brings it."""
