"""How an engine works."""

from __future__ import annotations

from dataclasses import dataclass

from escala import parallel
from escala.arrays import one_number
from escala.errors import ConfigError
from escala.tables import ENGINE_SETTINGS


@dataclass(frozen=True)
class EngineConfig:
    """How an engine works; what the whole system shares is kept in the store (:class:`escala.ScalingConfig`).

    Parameters
    ----------
    name : str
        Which of the store's settings apply. Trainings and allocations read them anew.
    level, tolerance : float
        Of predictions, as in :meth:`escala.CurveSet.predict`.
    drop : float
        Share of the peak efficiency that is lost at saturation, in (0, 1].
    half_life : float, optional
        Seconds after which a record counts half; by default all count alike.
    refresh_interval : float
        Seconds after which the training and the records of other processes are seen at the latest.
    refresh_timeout : float
        Seconds that an answer whose model is up to date, as far as this engine knows, waits for that at most: a
        database that is silent or fails holds up no answer that is known.
    cache_size : int
        Predictions that are remembered.
    record_cache : int
        Records that stay in memory, 32 bytes each: a training reads those that are new. The symbols whose use is
        longest ago go first.
    max_staleness : float
        Seconds. With 0 an answer knows every record that this engine has acknowledged, and waits for the training of
        its symbol. Above 0 it waits for nothing: it may miss records that are younger than that, and its `as_of` says
        which. A symbol is then trained beside as its records come, for a minute after each question; the first one
        after a longer rest waits. Where more is added than the machine can train in that time, answers miss more, and
        say so too.
    history_size : int
        Trainings of each symbol that stay in the store; those that come by themselves are written once a second at
        most.
    threads : int, optional
        Threads of fits and predictions; by default all processors.

    Raises
    ------
    ConfigError
        Names the field and its value.
    """

    name: str = "default"
    level: float = 0.95
    tolerance: float = 0.05
    drop: float = 0.10
    half_life: float | None = None
    refresh_interval: float = 5.0
    refresh_timeout: float = 1.0
    cache_size: int = 100_000
    record_cache: int = 5_000_000
    max_staleness: float = 0.0
    history_size: int = 1000
    threads: int | None = None

    def __post_init__(self) -> None:
        """Check every number."""
        if not isinstance(self.name, str) or not self.name:
            raise ConfigError(f"name must be text that is not empty, not {self.name!r}", arguments=("name",))
        for setting in ENGINE_SETTINGS:
            value = getattr(self, setting.name)
            if value is not None or setting.default is not None:
                one_number(setting.name, value, setting.values, ConfigError)
        if self.threads is not None:
            parallel.checked_threads(self.threads, ConfigError)
