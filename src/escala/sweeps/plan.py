"""What is to be swept: rows, the outputs that are kept of each, and how the rows are cut."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala import __version__
from escala.arrays import whole_number
from escala.design.design import Design
from escala.design.scenarios import check_columns, model_of
from escala.errors import ScenarioError, did_you_mean
from escala.model import DEFAULT, Model

FORMAT: Final = 1  # of what a sweep keeps: raised when old directories cannot be gone on with
SAMPLE: Final = 32_768  # most rows that are kept whole for the sensitivities, as long as one a block is enough
MOST_BEST: Final = 1000


@dataclass(frozen=True, eq=False)
class Plan:
    """A sweep before it runs; the same on every machine that takes part.

    Attributes
    ----------
    design : Design
        Its rows are the scenarios.
    model : Model
        What they are scenarios of.
    strategy : object
        The model's settings: of the lending loop a LendingStrategy; fields that are no columns are one number each.
    outputs : tuple of str
        What is kept of each row.
    chunk : int
        Rows of a file, a multiple of the block; results do not depend on it.
    best : int
        Rows kept at each end of every output.
    """

    design: Design
    model: Model
    strategy: Any
    outputs: tuple[str, ...]
    chunk: int
    best: int

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.design)

    @property
    def chunks(self) -> int:
        """Number of chunks; the last one may be shorter."""
        return -(-self.n // self.chunk)

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of the design."""
        return self.design.names

    def bounds(self, chunk: int) -> tuple[int, int]:
        """First row of a chunk, and the one after its last."""
        return chunk * self.chunk, min((chunk + 1) * self.chunk, self.n)

    @functools.cached_property
    def blocks(self) -> int:
        """Number of blocks of rows that are summed together."""
        from escala.kernels.accumulate import BLOCK

        return -(-self.n // BLOCK)

    @functools.cached_property
    def spacing(self) -> int:
        """Of so many rows (a power of two) one is kept whole for the sensitivities."""
        from escala.kernels.accumulate import BLOCK

        wanted = -(-self.n // SAMPLE)
        return min(BLOCK, 1 << (wanted - 1).bit_length())

    def sampled(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """Rows of a range, bounded by multiples of the spacing or the end, that are kept whole: one of each group.

        Which one is drawn by a hash of the group's number, so that no period of a design is hit always or never.
        """
        if self.spacing == 1:
            return np.arange(start, stop)
        group = np.arange(start // self.spacing, -(-stop // self.spacing), dtype=np.uint64)
        hashed = (group + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)  # SplitMix64
        hashed = (hashed ^ (hashed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        hashed = (hashed ^ (hashed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        hashed ^= hashed >> np.uint64(31)
        chosen = (group * np.uint64(self.spacing) + (hashed & np.uint64(self.spacing - 1))).astype(np.int64)
        return chosen[chosen < stop]

    def content(self) -> dict[str, Any]:
        """Give everything that the answer depends on, as JSON knows it."""
        described = self.model.described(self.strategy)
        return {
            "format": FORMAT,
            "escala": __version__,
            **({} if self.model.name == DEFAULT else {"model": self.model.name}),
            "design": self.design.to_dict(),
            "design_digest": self.design.digest,
            "rows": self.n,
            "strategy": {name: value for name, value in described.items() if name not in self.names},
            "outputs": list(self.outputs),
            "best": self.best,
        }

    @functools.cached_property
    def digest(self) -> str:
        """Hash of :meth:`content`."""
        return hashlib.sha256(json.dumps(self.content(), sort_keys=True).encode()).hexdigest()


def make(
    design: Design,
    *,
    model: Model | str | None = None,
    strategy: Any = None,
    outputs: Sequence[str] | str | None = None,
    chunk: int = 65_536,
    best: int = 5,
) -> Plan:
    """Check what a sweep is asked for.

    Raises
    ------
    ScenarioError
        Names the argument and its value.
    """
    from escala.kernels.accumulate import BLOCK

    chosen = model_of(design, model)
    if len(design) < 1:
        raise ScenarioError("the design has no rows", arguments=("design",))
    check_columns(design, chosen)
    rows = whole_number("chunk", chunk, 1, 2**40)
    return Plan(
        design,
        chosen,
        _scalar_settings(strategy, design, chosen),
        _chosen_outputs(outputs, chosen),
        -(-rows // BLOCK) * BLOCK,
        whole_number("best", best, 0, MOST_BEST),
    )


def _scalar_settings(given: Any, design: Design, model: Model) -> Any:
    settings = model.settings(given)
    model.check_names(design.names, settings)
    scalars: dict[str, float] = {}
    for name, array in model.numbers(settings).items():
        if array.size == 1:
            scalars[name] = array.item()
        elif name in design.names:  # whatever it is, the column takes its place
            scalars[name] = model.defaults.get(name, array.flat[0])
        else:
            message = (
                f"{name} must be one number in a sweep, not of shape {array.shape}: make it a column of the design"
            )
            raise ScenarioError(message, arguments=(name,))
    return model.replaced(settings, scalars)


def _chosen_outputs(outputs: Sequence[str] | str | None, model: Model) -> tuple[str, ...]:
    known = model.output_names
    if outputs is None:
        return model.kept
    if isinstance(outputs, str):
        outputs = known if outputs == "all" else (outputs,)
    if not isinstance(outputs, Sequence):
        raise ScenarioError(f"outputs must be a name or a list of names, not {outputs!r}", arguments=("outputs",))
    for place, name in enumerate(outputs):
        if name not in known:
            hint = did_you_mean(name, known, f": there are {', '.join(known)}")
            raise ScenarioError(f"outputs[{place}] = {name!r} is no output{hint}", arguments=("outputs",))
        if name in outputs[:place]:
            raise ScenarioError(f"outputs[{place}] = {name!r} is given twice", arguments=("outputs",))
    if not outputs:
        raise ScenarioError("outputs must name at least one output", arguments=("outputs",))
    return tuple(outputs)
