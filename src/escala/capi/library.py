"""A built libescala in Python, by its header: what any other program sees, for tests and for hosts without Numba."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from escala.arrays import FloatLike, Floats
from escala.capi.build import header
from escala.curves.curveset import CurveSet
from escala.errors import BuildError, InfeasibleError, InputError
from escala.tables import ALLOCATION_GROUPS, FIT_STATS, PARAMS, WISHES, names

Integers: TypeAlias = npt.NDArray[np.int64]
Codes: TypeAlias = npt.NDArray[np.int8]

_AUTO: Final = next(wish.value for wish in WISHES if wish.name == "auto")
_DECLARATIONS: Final = re.compile(r"/\* declarations \*/(.*)/\* end of declarations \*/", re.DOTALL)


@dataclass(frozen=True, eq=False)
class Fits:
    """What :meth:`Library.fit` found, as in ``escala_fits``: arrays of n rows."""

    family: Codes
    status: Codes
    n_points: Integers
    params: Floats
    origin: Floats
    trusted_to: Floats
    root: Floats
    covariance: Floats
    fit_stats: Floats
    steps: Floats


@dataclass(frozen=True, eq=False)
class Answers:
    """What :meth:`Library.allocate` found, as in ``escala_answers``: one row a problem."""

    amounts: Floats
    binding: Codes
    solution: Floats
    group_prices: Floats
    first: Answers | None


@dataclass(frozen=True, eq=False)
class Plans:
    """What :meth:`Library.plan_leverage` or :meth:`Library.plan_unwind` found.

    Attributes
    ----------
    outcomes : dict of str to (n,) array
        As in ``escala_leverage`` or ``escala_unwind``.
    offsets : (n + 1,) int64
        Plan i has the operations ``offsets[i] <= k < offsets[i + 1]``.
    operations : dict of str to array
        As in ``escala_operations``.
    """

    outcomes: dict[str, npt.NDArray[Any]]
    offsets: Integers
    operations: dict[str, npt.NDArray[Any]]


def load(path: str | os.PathLike[str]) -> Library:
    """Load a built library.

    Parameters
    ----------
    path : path
        Of ``libescala.so``.

    Returns
    -------
    Library

    Raises
    ------
    BuildError
        If there is no such library, or it does not belong to this version's header.
    """
    return Library(path)


class Library:
    """The functions of a libescala over NumPy arrays, which are used where they lie: nothing is copied.

    Arrays of another type or order than ``escala.h`` asks for are converted first. Calls release the interpreter's
    lock, and each has a workspace of its own: any number of threads may call.

    Parameters
    ----------
    path : path
        Of ``libescala.so``.

    Attributes
    ----------
    ffi, functions
        The declarations and the functions themselves, for what has no method here: ``functions.escala_abi()``.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        import cffi

        self.path = os.fspath(path)
        self.ffi: Any = cffi.FFI()
        found = _DECLARATIONS.search(header())
        assert found is not None
        self.ffi.cdef(found[1])
        try:
            # of a bare name dlopen would search the system's folders, and not this one
            self.functions: Any = self.ffi.dlopen(os.path.abspath(self.path))
            abi = self.functions.escala_abi()
            agrees = self.functions.escala_check_abi(self.functions.ESCALA_ABI) == self.functions.ESCALA_OK
        except (OSError, AttributeError) as reason:
            raise BuildError(f"{self.path!r} is no libescala: {_first_line(reason)}") from None
        if not agrees:
            raise BuildError(f"{self.path!r} has ABI {abi}, but escala.h has {self.functions.ESCALA_ABI}")

    @property
    def version(self) -> str:
        """Version of the library."""
        return self._text(self.functions.escala_version())

    def status_text(self, status: int) -> str:
        """Say in words what a status means."""
        return self._text(self.functions.escala_status_text(status))

    def efficiency(self, curves: CurveSet, capital: FloatLike, out: Floats | None = None) -> Floats:
        """Evaluate the efficiency of n curves at (n, m) or (1, m) capitals; `out` of shape (n, m) is written to."""
        return self._evaluate(self.functions.escala_efficiency, curves, capital, out)

    def utility(self, curves: CurveSet, capital: FloatLike, out: Floats | None = None) -> Floats:
        """Evaluate capital times efficiency; arguments as in :meth:`efficiency`."""
        return self._evaluate(self.functions.escala_utility, curves, capital, out)

    def marginal(self, curves: CurveSet, capital: FloatLike, out: Floats | None = None) -> Floats:
        """Evaluate the marginal utility; arguments as in :meth:`efficiency`."""
        return self._evaluate(self.functions.escala_marginal, curves, capital, out)

    def threshold(self, curves: CurveSet, min_efficiency: FloatLike) -> tuple[Floats, Floats]:
        """Find both ends of each curve's first stretch with at least an efficiency, (n,) or one number."""
        n = len(curves)
        least = np.ascontiguousarray(np.broadcast_to(np.asarray(min_efficiency, dtype=np.float64), (n,)))
        first, last = np.empty(n), np.empty(n)
        call = _Call(self)
        call(
            self.functions.escala_threshold,
            call.curves(curves), call.read("double", least), call.write("double", first), call.write("double", last),
        )  # fmt: skip
        return first, last

    def fit(
        self,
        offsets: npt.ArrayLike,
        capital: FloatLike,
        efficiency: FloatLike,
        *,
        weights: FloatLike | None = None,
        family: npt.ArrayLike = _AUTO,
    ) -> Fits:
        """Fit n instruments; instrument i has the records ``offsets[i] <= k < offsets[i + 1]``.

        `family` is a code of ``escala_family``, or one for each instrument; by default ``ESCALA_AUTO``.
        """
        call = _Call(self)
        records, n = call.records(offsets, capital, efficiency, weights, family)
        fits = Fits(
            family=np.empty(n, dtype=np.int8),
            status=np.empty(n, dtype=np.int8),
            n_points=np.empty(n, dtype=np.int64),
            params=np.empty((n, PARAMS)),
            origin=np.empty(n),
            trusted_to=np.empty(n),
            root=np.empty((n, 6)),
            covariance=np.empty((n, PARAMS, PARAMS)),
            fit_stats=np.empty((n, len(FIT_STATS))),
            steps=np.zeros(max(0, self.functions.escala_fit_steps(records))),
        )
        out = call.new("escala_fits")
        for name, array in vars(fits).items():
            setattr(out, name, call.write(_C_NAMES[array.dtype.char], array))
        out.steps_size = fits.steps.size
        size = self.functions.escala_fit_workspace(n, records.offsets)
        call(self.functions.escala_fit, records, out, *call.workspace(size))
        return fits

    def decay(
        self,
        offsets: npt.ArrayLike,
        times: FloatLike,
        half_life: float,
        *,
        weights: FloatLike | None = None,
    ) -> Floats:
        """Give weights that halve every `half_life` before an instrument's newest record; 0 outside the offsets."""
        call = _Call(self)
        given = np.require(times, np.float64, ["C", "A"])
        records, _ = call.records(offsets, given, given, weights, 0)
        out = np.zeros(given.size)
        call(self.functions.escala_decay, records, call.read("double", given), half_life, call.write("double", out))
        return out

    def allocate(
        self,
        curves: CurveSet,
        total: FloatLike,
        *,
        params: Floats | None = None,
        groups: tuple[npt.NDArray[np.int64], ...] | None = None,
        target: FloatLike | None = None,
        **settings: FloatLike,
    ) -> Answers:
        """Allocate totals over n curves, as :func:`escala.allocate` does, with the fields of ``escala_allocation``.

        `groups` are `group_of` and `group_around`, then, where they overlap, `kind_begins` and `kind_groups`; `target`
        goes with a `goal`. `exactly`, `distribute` and `greedy` are 0 or 1; `params` of shape (draws, n, 4) takes the
        place of the curves'.
        """
        call = _Call(self)
        problem = call.new("escala_allocation")
        self.functions.escala_allocation_defaults(problem)
        drawn = np.require(curves.params[None] if params is None else params, np.float64, ["C", "A"])
        if drawn.ndim != 3 or drawn.shape[1:] != (len(curves), PARAMS):
            message = f"params of shape {drawn.shape} must be of shape (draws, {len(curves)}, {PARAMS})"
            raise InputError(message, arguments=("params",))
        totals = np.require(total, np.float64, ["C", "A"]).reshape(-1)
        problem.curves = call.curves(curves, drawn)[0]
        problem.draws, problem.totals = drawn.shape[0], totals.size
        problem.total = call.read("double", totals)
        if target is not None:
            sought = np.require(target, np.float64, ["C", "A"]).reshape(-1)
            if sought.size != totals.size:
                message = f"target of {sought.size} values does not go with {totals.size} totals"
                raise InputError(message, arguments=("target",))
            problem.target = call.read("double", sought)
        sizes = dict.fromkeys(names(ALLOCATION_GROUPS), 0)
        if groups is not None:
            inside, around, *kinds = (np.require(one, np.int64, ["C", "A"]) for one in groups)
            problem.groups, sizes = around.size, dict.fromkeys(sizes, around.size)
            problem.group_of, problem.group_around = call.read("int64_t", inside), call.read("int64_t", around)
            if kinds:
                begins, listed = kinds
                problem.kinds = begins.size - 1
                problem.kind_begins, problem.kind_groups = call.read("int64_t", begins), call.read("int64_t", listed)
        for name, value in settings.items():
            call.set(problem, name, value, sizes.get(name, len(curves)))
        problems = drawn.shape[0] * totals.size
        both = []
        for _ in range(2):
            found = (
                np.empty((problems, len(curves))),
                np.empty((problems, len(curves)), dtype=np.int8),
                np.empty((problems, self.functions.ESCALA_SOLUTION_SIZE)),
                np.full((problems, int(problem.groups)), np.nan),  # of a first solve there are none
            )
            row = call.new("escala_answers")
            for name, array in zip(("amounts", "binding", "solution", "group_prices"), found, strict=True):
                setattr(row, name, call.write(_C_NAMES[array.dtype.char], array))
            both.append((row, found))
        (answers, found), (first, begun) = both
        size = self.functions.escala_allocate_workspace(problem)
        call(self.functions.escala_allocate, problem, answers, first, *call.workspace(size))
        return Answers(*found, first=Answers(*begun, first=None))

    def simulate(
        self, supply: FloatLike, borrow: FloatLike, target: FloatLike, wallet: FloatLike, **fields: FloatLike
    ) -> dict[str, npt.NDArray[Any]]:
        """Run lending scenarios, as :func:`escala.simulate` does; every argument is a number or of shape (n,)."""
        inputs = {"supply": supply, "borrow": borrow, "target": target, "wallet": wallet, **fields}
        n = max((np.size(value) for value in inputs.values() if np.ndim(value)), default=1)
        call = _Call(self)
        scenarios = call.new("escala_scenarios")
        self.functions.escala_scenarios_defaults(scenarios)
        scenarios.n = n
        for name, value in inputs.items():
            call.set(scenarios, name, value, n)
        outcomes, found = call.results("escala_outcomes", n)
        size = self.functions.escala_simulate_workspace(n)
        call(self.functions.escala_simulate, scenarios, outcomes, *call.workspace(size))
        return found

    def plan_leverage(
        self, kind: str, target: FloatLike = np.nan, *, depth: FloatLike | CurveSet = 0.0, **fields: FloatLike
    ) -> Plans:
        """Plan positions up, as :func:`escala.plan_leverage` does, with the fields of ``escala_plans``.

        `kind` is the end of a name of ``escala_plan_target``: ``"leverage"``, ``"ltv"``, ``"supply"`` or ``"rounds"``,
        which has no target. Every other argument is a number or of shape (n,).
        """
        return self._plan("leverage", kind, {**fields, "target": target, "depth": depth})

    def plan_unwind(
        self, kind: str, target: FloatLike = np.nan, *, depth: FloatLike | CurveSet = 0.0, **fields: FloatLike
    ) -> Plans:
        """Plan positions down, as :func:`escala.plan_unwind` does; arguments as of :meth:`plan_leverage`.

        `kind` is ``"leverage"``, ``"ltv"``, ``"repay"`` or ``"close"``, which has no target.
        """
        return self._plan("unwind", kind, {**fields, "target": target, "depth": depth})

    def _plan(self, way: str, kind: str, fields: dict[str, Any]) -> Plans:
        call = _Call(self)
        plans = call.new("escala_plans")
        self.functions.escala_plans_defaults(plans)
        depth = fields["depth"]
        if isinstance(depth, CurveSet):
            plans.curves = call.curves(depth)[0]
            fields = {name: value for name, value in fields.items() if name != "depth"}
        n = max((np.size(value) for value in fields.values() if np.ndim(value)), default=max(1, plans.curves.n))
        plans.n = n
        code = getattr(self.functions, f"ESCALA_PLAN_TO_{kind.upper()}", None)
        if code is None:
            raise InputError(f"kind must be a target of escala.h, not {kind!r}", arguments=("kind",))
        plans.kind = code
        for name, value in fields.items():
            call.set(plans, name, value, n)
        function = getattr(self.functions, f"escala_plan_{way}")
        room = call.workspace(self.functions.escala_plan_workspace(plans))
        outcomes, found = call.results(f"escala_{way}", n)
        call(function, plans, outcomes, self.ffi.NULL, *room)
        size = int(found["operations_made"].sum())
        listed, operations = call.results("escala_operations", size)
        offsets = np.zeros(n + 1, dtype=np.int64)
        listed.capacity, listed.offsets = size, call.write("int64_t", offsets)
        call(function, plans, call.new(f"escala_{way}"), listed, *room)
        return Plans(found, offsets, operations)

    def _evaluate(self, function: Any, curves: CurveSet, capital: FloatLike, out: Floats | None) -> Floats:
        rows = np.require(capital, np.float64, ["C", "A"])
        if rows.ndim != 2:
            raise InputError(f"capital of shape {rows.shape} must be of shape (n, m) or (1, m)", arguments=("capital",))
        shape = (len(curves), rows.shape[1])
        result = np.empty(shape) if out is None else out
        if result.shape != shape:
            raise InputError(f"out of shape {result.shape} must be of shape {shape}", arguments=("out",))
        call = _Call(self)
        call(
            function,
            call.curves(curves), call.read("double", rows), rows.shape[0], rows.shape[1], call.write("double", result),
        )  # fmt: skip
        return result

    def _text(self, chars: Any) -> str:
        return str(self.ffi.string(chars).decode())


_C_NAMES: Final = {"d": "double", "l": "int64_t", "q": "int64_t", "b": "int8_t"}
_SIZES: Final = ("n", "draws", "totals", "kind", "curves")  # they follow from the arguments
_DTYPES: Final = {"double": np.float64, "int64_t": np.int64, "int8_t": np.int8}


class _Call:
    """One call: keeps what its pointers point at, and turns a status into an exception."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._ffi = library.ffi
        self._kept: list[Any] = []

    def __call__(self, function: Any, *arguments: Any) -> None:
        fault = self.new("escala_fault")
        status = function(*arguments, fault)
        if status:
            self._raise(status, fault)

    def new(self, structure: str) -> Any:
        """Make a structure of zeros."""
        return self._keep(self._ffi.new(f"{structure} *"))

    def read(self, c_name: str, array: npt.ArrayLike) -> Any:
        """Point at an array's own memory, or at that of its conversion."""
        given = np.require(array, _DTYPES[c_name], ["C", "A"])
        return self._keep(self._ffi.cast(f"const {c_name} *", self._keep(self._ffi.from_buffer(given))))

    def write(self, c_name: str, array: npt.NDArray[Any]) -> Any:
        """Point at the memory of an array that is written to."""
        if array.dtype != _DTYPES[c_name] or not array.flags.carray:
            raise InputError(f"out must be a writable, aligned, C-contiguous array of {_DTYPES[c_name].__name__}")
        buffer = self._keep(self._ffi.from_buffer(array, require_writable=True))
        return self._ffi.cast(f"{c_name} *", buffer)

    def curves(self, curves: CurveSet, params: Floats | None = None) -> Any:
        """Describe curves."""
        made = self.new("escala_curves")
        made.n = len(curves)
        made.family = self.read("int8_t", curves.family)
        placed = curves._placed(curves.params if params is None else params)
        made.params = self.read("double", placed)
        steps = curves._steps.values
        made.steps = self.read("double", steps) if steps.size else self._ffi.NULL
        made.steps_size = steps.size
        made.origin = self.read("double", curves.origin)
        made.trusted_to = self.read("double", curves.trusted_to)
        return made

    def records(
        self, offsets: npt.ArrayLike, capital: Any, efficiency: Any, weights: Any, family: npt.ArrayLike
    ) -> tuple[Any, int]:
        """Describe records; gives the number of instruments too."""
        bounds = np.require(offsets, np.int64, ["C", "A"])
        size = np.size(capital)
        columns = {"efficiency": efficiency, "weights": weights}
        for name, column in columns.items():
            if column is not None and np.size(column) != size:
                message = f"{name} has {np.size(column):,} values, capital has {size:,}"
                raise InputError(message, arguments=(name, "capital"))
        if bounds.ndim != 1 or bounds.size < 1:
            raise InputError("offsets must be of shape (n + 1,)", arguments=("offsets",))
        made = self.new("escala_records")
        made.n, made.size = bounds.size - 1, size
        made.offsets = self.read("int64_t", bounds)
        made.capital = self.read("double", capital)
        made.efficiency = self.read("double", efficiency)
        if weights is not None:
            made.weights = self.read("double", weights)
        made.family = self.read("int8_t", np.broadcast_to(np.asarray(family, dtype=np.int8), (bounds.size - 1,)))
        return made, bounds.size - 1

    def set(self, structure: Any, name: str, value: FloatLike, n: int) -> None:
        """Set a field: a number, or where the header says so one for each of n."""
        field = None if name in _SIZES else getattr(structure, name, None)
        if isinstance(field, int | float):
            try:
                setattr(structure, name, value)
            except (TypeError, OverflowError) as reason:
                raise InputError(f"{name} must be one number, not {value!r}: {reason}", arguments=(name,)) from None
        elif not isinstance(field, self._ffi.CData) or not hasattr(field, "values"):
            raise InputError(f"{name} is no field of escala.h that can be set here", arguments=(name,))
        elif np.ndim(value) == 0:
            field.value = float(np.asarray(value))
            field.values = self._ffi.NULL
        elif np.shape(value) == (n,):
            field.values = self.read("double", value)
        else:
            raise InputError(
                f"{name} of shape {np.shape(value)} must be a number or of shape ({n},)", arguments=(name,)
            )

    def results(self, structure: str, n: int) -> tuple[Any, dict[str, npt.NDArray[Any]]]:
        """Make a structure of pointers at results, and the arrays of n that they point at; `offsets` is left out."""
        made = self.new(structure)
        found: dict[str, npt.NDArray[Any]] = {}
        for name, declared in self._ffi.typeof(structure).fields:
            if declared.type.kind == "pointer" and name != "offsets":
                c_name = declared.type.item.cname
                found[name] = np.empty(n, dtype=_DTYPES[c_name])
                setattr(made, name, self.write(c_name, found[name]))
        return made, found

    def workspace(self, size: int) -> tuple[Any, int]:
        """Give memory that is this call's alone."""
        room = np.empty(max(size, 1), dtype=np.uint8)
        return self._ffi.cast("void *", self._keep(self._ffi.from_buffer(room))), room.size

    def _keep(self, thing: Any) -> Any:
        self._kept.append(thing)
        return thing

    def _raise(self, status: int, fault: Any) -> None:
        said = self._library.status_text(status)
        name = self._ffi.string(fault.argument).decode() if fault.argument else ""
        other = f" and {self._ffi.string(fault.other).decode()}" if fault.other else ""
        place = f"[{fault.index}]" if fault.index >= 0 else ""
        value = (
            ""
            if np.isnan(fault.value) and status != self._library.functions.ESCALA_BAD_VALUE
            else f" = {fault.value!r}"
        )
        message = f"{name}{place}{value}{other}: {said}"
        if status == self._library.functions.ESCALA_INFEASIBLE:
            raise InfeasibleError(message, problem=(int(fault.index),), excess=float(fault.value))
        indexes = ((int(fault.index),),) if fault.index >= 0 else ()
        raise InputError(message, arguments=(name,), indexes=indexes, requirement=said)


def _first_line(reason: Exception) -> str:
    lines = str(reason).strip().splitlines()
    return lines[0] if lines else type(reason).__name__
