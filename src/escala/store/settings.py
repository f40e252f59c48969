"""Settings that a store keeps: of the whole system, and of single symbols where they differ."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np

from escala.arrays import one_number
from escala.curves.families import family_code
from escala.errors import ConfigError, CurveError
from escala.tables import Interval

_FRACTION: Final = Interval(0.0, 1.0)
_RESERVE: Final = Interval(0.0, 1.0, high_open=True)
_FROM_ZERO: Final = Interval(0.0, np.inf, high_open=True)
_POSITIVE: Final = Interval(0.0, np.inf, low_open=True, high_open=True)
_UPPER: Final = Interval(0.0, np.inf)
_FIELDS: Final = {
    "min_efficiency": _FRACTION,
    "rebalance_threshold": _FROM_ZERO,
    "update_interval": _POSITIVE,
    "reserve": _RESERVE,
    "min_ticket": _FROM_ZERO,
    "max_share": _FRACTION,
    "lower": _FROM_ZERO,
    "upper": _UPPER,
    "priority": _FROM_ZERO,
}


@dataclass(frozen=True)
class ScalingConfig:
    """Settings of a whole system.

    Parameters
    ----------
    default_family : str
        Family of curves, as in :func:`escala.fit`.
    min_efficiency : float
        Least efficiency of capital, in [0, 1].
    rebalance_threshold : float
        Drift from which on trading is worth it, at least 0.
    update_interval : float
        Seconds between two trainings, positive.
    reserve : float
        Share of the total that stays out, in [0, 1).
    min_ticket : float
        Least capital of an instrument that holds any.
    max_share : float
        Most capital of an instrument as a share of the total, in [0, 1].

    Raises
    ------
    ConfigError
        Names the field and its value.
    """

    default_family: str = "auto"
    min_efficiency: float = 0.5
    rebalance_threshold: float = 0.1
    update_interval: float = 86400.0
    reserve: float = 0.05
    min_ticket: float = 0.0
    max_share: float = 0.5

    def __post_init__(self) -> None:
        """Check every field."""
        _check_family("default_family", self.default_family)
        _check_numbers(self)


@dataclass(frozen=True)
class SymbolConfig:
    """Settings of one symbol; None leaves a field to the settings of the whole system.

    Parameters
    ----------
    family : str, optional
        Family of its curve, as in :func:`escala.fit`.
    lower, upper : float, optional
        Least and most capital; `upper` may be inf.
    min_ticket : float, optional
        Least capital, if it holds any.
    max_share : float, optional
        Most capital as a share of the total, in [0, 1].
    priority : float, optional
        Weight of its utility, at least 0.

    Raises
    ------
    ConfigError
        Names the field and its value.
    """

    family: str | None = None
    lower: float | None = None
    upper: float | None = None
    min_ticket: float | None = None
    max_share: float | None = None
    priority: float | None = None

    def __post_init__(self) -> None:
        """Check every field that is given."""
        if self.family is not None:
            _check_family("family", self.family)
        _check_numbers(self)
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            message = f"lower must not exceed upper, but lower = {self.lower!r} and upper = {self.upper!r}"
            raise ConfigError(message, arguments=("lower", "upper"))


def _check_family(name: str, family: Any) -> None:
    try:
        family_code(family, wish=True)
    except CurveError as error:
        raise ConfigError(str(error).replace("family", name, 1), arguments=(name,)) from None


def _check_numbers(config: ScalingConfig | SymbolConfig) -> None:
    """Check every number that is given, and keep it as a float."""
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name not in _FIELDS or value is None:
            continue
        object.__setattr__(config, field.name, one_number(field.name, value, _FIELDS[field.name], ConfigError))
