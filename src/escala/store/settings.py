"""Settings that a store keeps: of the whole system, and of single symbols where they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from escala.arrays import one_number
from escala.curves.families import family_code
from escala.errors import ConfigError, CurveError
from escala.tables import SYMBOL_SETTINGS, SYSTEM_SETTINGS, Table


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
        _check_numbers(self, SYSTEM_SETTINGS)


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
        _check_numbers(self, SYMBOL_SETTINGS)
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            message = f"lower must not exceed upper, but lower = {self.lower!r} and upper = {self.upper!r}"
            raise ConfigError(message, arguments=("lower", "upper"))


def _check_family(name: str, family: Any) -> None:
    try:
        family_code(family, wish=True)
    except CurveError as error:
        raise ConfigError(str(error).replace("family", name, 1), arguments=(name,)) from None


def _check_numbers(config: ScalingConfig | SymbolConfig, settings: Table) -> None:
    """Check every number, or that it is None where it may be, and keep it as a float."""
    for setting in settings:
        value = getattr(config, setting.name)
        if value is not None or setting.default is not None:
            number = one_number(setting.name, value, setting.values, ConfigError)
            object.__setattr__(config, setting.name, number)
