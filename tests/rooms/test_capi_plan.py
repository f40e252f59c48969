"""Plans of the C library: the bits of the Python functions, operations in arrays of the caller, refusals, examples."""

from __future__ import annotations

import itertools
import math
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from escala import CurveSet, InputError, plan_leverage, plan_unwind, tables
from escala.capi import Built, Library, load
from escala.capi.build import _tools
from escala.lending.planned import Planned
from tests.capi.guarded import same
from tests.capi.libraries import native_library
from tests.places import ROOT, TESTS

LIMITS: dict[str, Any] = {"max_ltv": 0.9, "liquidation_threshold": 0.93, "min_health_factor": 1.01}
COSTS: dict[str, Any] = {"fee_rate": 1e-3, "swap_fee": 5e-4, "flash_fee": 9e-4, "flash_steps": 2.5}
UP = {"leverage": "leverage", "ltv": "ltv", "supply": "to_supply"}
DOWN = {"leverage": "to_leverage", "ltv": "to_ltv", "repay": "repay"}
TRACE = tables.names(tables.PLAN_TRACE)
N = 2100  # more than are planned together
NAN, INF = math.nan, math.inf
OK, NULL_POINTER, BAD_SIZE, SHORT, BAD_VALUE, BAD_ORDER, BAD_CODE = 0, 2, 3, 4, 5, 6, 7


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return native_library(tmp_path_factory)


@pytest.fixture(scope="session")
def library(native: Built) -> Library:
    return load(native.shared)


def positions(seed: int, n: int = N) -> dict[str, Any]:
    """Supplies and debts of every kind: none, some, and such as are over the limit."""
    rng = np.random.default_rng(seed)
    supply = np.exp(rng.uniform(0.0, 15.0, n))
    supply[::7] = 0.0
    return {"supply": supply, "borrow": supply * rng.choice([0.0, 0.4, 0.8, 0.95], n)}


def some_curves(n: int) -> CurveSet:
    """Curves of several families, ladders among them."""

    def one(k: int) -> CurveSet:
        name = [f"C{k}"]
        if k % 4 == 3:
            return CurveSet.from_ladders(name, [[0.0, 1e4, 5e4, 3e5]], [[0.999, 0.99, 0.9, 0.0]], trusted_to=3e5)
        families = [
            ("exponential", [0.4, 1e-6, 0.59], 2e5),
            ("linear", [-1e-7, 0.999], math.inf),
            ("depth", [0.998, 5e5, 1.5], 1e7),
        ]
        family, params, trusted_to = families[k % 4]
        return CurveSet.from_params(name, family, [params], trusted_to=trusted_to)

    return CurveSet.concatenate([one(k) for k in range(n)])


def assert_same(plan: Planned, found: Any) -> None:
    """Compare outcomes of all plans, and the operations of some."""
    assert tuple(found.outcomes) == tables.names((*plan.VALUES, *plan.COUNTS))
    for name, values in found.outcomes.items():
        same(values, np.broadcast_to(getattr(plan, name), values.shape))
    same(np.diff(found.offsets), np.broadcast_to(plan.operations_made, found.outcomes["status"].shape))
    for k in range(0, plan.size, 1 + plan.size // 40):
        listed = plan.operations_of((k,) * len(plan.shape))
        for name in TRACE:
            same(found.operations[name][found.offsets[k] : found.offsets[k + 1]], listed[name])


# --- the same bits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*UP, "rounds"])
def test_plans_up_have_the_bits_of_python(kind: str, library: Library) -> None:
    rng = np.random.default_rng(1)
    equity = np.where(rng.uniform(size=N) < 0.3, rng.uniform(0.0, 1e4, N), 0.0)
    given: dict[str, Any] = {**positions(2), **LIMITS, **COSTS, "depth": rng.choice([0.0, 0.002], N)}
    equity[given["supply"] == 0.0] = 500.0
    if kind == "rounds":
        rounds = np.floor(rng.uniform(0.0, 30.0, N))
        plan = plan_leverage(equity, rounds=rounds, **given)
        found = library.plan_leverage(kind, equity=equity, rounds=rounds, **given)
    else:
        targets: dict[str, Any] = {
            "leverage": rng.uniform(1.0, 12.0, N),
            "ltv": rng.uniform(0.0, 0.95, N),
            "supply": 1e5,
        }
        target = targets[kind]
        plan = plan_leverage(equity, **{UP[kind]: target}, **given)
        found = library.plan_leverage(kind, target, equity=equity, **given)
    assert len(set(plan.status.tolist())) >= (2 if kind == "rounds" else 3)
    assert_same(plan, found)


@pytest.mark.parametrize("limit", [None, 0.9])
@pytest.mark.parametrize("kind", [*DOWN, "close"])
def test_plans_down_have_the_bits_of_python(kind: str, limit: float | None, library: Library) -> None:
    rng = np.random.default_rng(3)
    given: dict[str, Any] = {**positions(4), **LIMITS, **COSTS, "max_ltv": limit, "depth": 0.001}
    plain = {name: value for name, value in given.items() if value is not None}
    if kind == "close":
        assert_same(plan_unwind(close=True, **given), library.plan_unwind(kind, **plain))
        return
    target = {
        "leverage": rng.uniform(1.0, 5.0, N), "ltv": rng.uniform(0.0, 0.8, N), "repay": given["borrow"] / 3.0,
    }[kind]  # fmt: skip
    assert_same(plan_unwind(**{DOWN[kind]: target}, **given), library.plan_unwind(kind, target, **plain))


@pytest.mark.parametrize("n", [1, 12])
def test_trades_by_curves_have_the_bits_of_python(n: int, library: Library) -> None:
    curves = some_curves(n)
    rng = np.random.default_rng(5)
    equity, leverage = rng.uniform(1e2, 1e6, 12), rng.uniform(1.0, 6.0, 12)
    plan = plan_leverage(equity, leverage=leverage, depth=curves, **LIMITS, **COSTS)
    assert_same(plan, library.plan_leverage("leverage", leverage, equity=equity, depth=curves, **LIMITS, **COSTS))
    position: dict[str, Any] = {"supply": plan.final_supply, "borrow": plan.final_borrow}
    down = plan_unwind(**position, close=True, depth=curves, **LIMITS, **COSTS)
    assert_same(down, library.plan_unwind("close", **position, depth=curves, **LIMITS, **COSTS))


def test_no_plans_at_all(library: Library) -> None:
    found = library.plan_leverage("leverage", 2.0, equity=np.empty(0), **LIMITS)
    assert found.offsets.tolist() == [0]
    assert found.outcomes["status"].size == found.operations["amount"].size == 0


# --- operations in arrays of the caller -------------------------------------------------------------------------------


class Host:
    """Sound arguments of both functions, to be spoiled one at a time."""

    def __init__(self, library: Library) -> None:
        self.ffi, self.functions, self.kept = library.ffi, library.functions, list[Any]()
        ffi = self.ffi
        self.plans, self.fault = ffi.new("escala_plans *"), ffi.new("escala_fault *")
        self.functions.escala_plans_defaults(self.plans)
        self.plans.n, self.plans.kind = 2, self.functions.ESCALA_PLAN_TO_LEVERAGE
        self.target = self.array("double", [2.5, 1.5])
        self.plans.target.values = self.target
        values = {**LIMITS, "supply": 1000.0, "borrow": 200.0, "max_ltv": 0.8}
        for name, value in values.items():
            getattr(self.plans, name).value = value
        self.curves = ffi.new("escala_curves *")
        self.curves.n, self.curves.family = 1, self.array("int8_t", [2])
        self.params = self.array("double", [0.4, 1e-6, 0.6, 0.0])
        self.curves.params, self.curves.origin = self.params, self.array("double", [0.0])
        self.curves.trusted_to = self.array("double", [1e6])
        self.leverage, self.unwind = ffi.new("escala_leverage *"), ffi.new("escala_unwind *")
        self.status = self.array("int64_t", [7, 7])
        self.leverage.status = self.unwind.status = self.status
        self.operations = ffi.new("escala_operations *")
        self.operations.capacity, self.offsets = 50, self.array("int64_t", [7] * 3)
        self.operations.offsets, self.amount = self.offsets, self.array("double", [7.0] * 50)
        self.operations.amount = self.amount
        self.size = 200_000
        self.room = self.array("char", b"\0" * self.size)

    def array(self, kind: str, values: Any) -> Any:
        self.kept.append(self.ffi.new(f"{kind}[]", values))
        return self.kept[-1]

    def ask(self, way: str) -> tuple[int, str, int]:
        function = getattr(self.functions, f"escala_plan_{way}")
        arguments = (self.plans, getattr(self, way), self.operations, self.room, self.size)
        status = function(*arguments, self.fault)
        assert status == function(*arguments, self.ffi.NULL)
        assert bool(self.fault.argument) == bool(status)
        name = self.ffi.string(self.fault.argument).decode() if self.fault.argument else ""
        return status, name, self.fault.index

    def other(self) -> str:
        return self.ffi.string(self.fault.other).decode() if self.fault.other else ""


def test_operations_need_room_and_say_how_much(library: Library) -> None:
    host = Host(library)
    assert host.ask("leverage") == (OK, "", -1)
    plan = plan_leverage(0, supply=1000, borrow=200, leverage=np.array([2.5, 1.5]), **{**LIMITS, "max_ltv": 0.8})
    needed = int(plan.operations_made.sum())
    assert list(host.offsets) == [0, int(plan.operations_made[0]), needed]
    first = plan.operations_of(0)["amount"].tolist()
    assert list(host.amount[0 : len(first)]) == first
    for capacity, written in ((needed, needed), (needed - 1, len(first)), (0, 0)):
        host = Host(library)
        host.operations.capacity = capacity
        expected = (OK, "", -1) if capacity == needed else (BAD_SIZE, "operations->capacity", -1)
        assert host.ask("leverage") == expected
        assert list(host.offsets)[-1] == needed
        assert list(host.status) == plan.status.tolist()
        assert list(host.amount[0:50])[written:] == [7.0] * (50 - written)
        assert 7.0 not in list(host.amount[0:written])


def test_what_is_null_is_not_wanted(library: Library) -> None:
    host = Host(library)
    host.operations.amount = host.ffi.NULL
    assert host.ask("leverage") == (OK, "", -1)
    host.operations = host.ffi.NULL
    assert host.ask("leverage") == (OK, "", -1)
    assert list(host.amount) == [7.0] * 50
    host.leverage.status = host.ffi.NULL
    assert host.ask("leverage") == (OK, "", -1)


def test_so_many_bytes_are_enough_wherever_they_begin(library: Library) -> None:
    host = Host(library)
    exact = host.functions.escala_plan_workspace(host.plans)
    for shift in (0, 1, 8, 63):
        host.room, host.size = host.array("char", b"\0" * (exact + shift)) + shift, exact
        assert host.ask("leverage") == (OK, "", -1)
    host.plans.rounds.value = 10_000.0  # their operations need more
    assert host.functions.escala_plan_workspace(host.plans) > exact
    for rounds in (NAN, -INF, INF, 1e300):
        host.plans.rounds.value = rounds
        assert host.functions.escala_plan_workspace(host.plans) > 0
    for name, size in (("n", -1), ("n", 2**62)):
        setattr(host.plans, name, size)
        assert host.functions.escala_plan_workspace(host.plans) == -1
    assert host.functions.escala_plan_workspace(host.ffi.NULL) == -1


# --- refusals ---------------------------------------------------------------------------------------------------------


def put(path: str, value: Any) -> Callable[[Host], None]:
    """Set a member, an element or an attribute."""

    def spoil(host: Host) -> None:
        *owners, last = path.split(".")
        owner: Any = host
        for name in owners:
            owner = getattr(owner, name)
        given = host.ffi.NULL if value is None else value
        if last.endswith("]"):
            name, index = last[:-1].split("[")
            getattr(owner, name)[int(index)] = given
        else:
            setattr(owner, last, given)

    return spoil


REFUSED: list[tuple[str, str, Any, int, str, int]] = [
    ("leverage", "plans", None, NULL_POINTER, "plans", -1),
    ("leverage", "leverage", None, NULL_POINTER, "outcomes", -1),
    ("unwind", "unwind", None, NULL_POINTER, "outcomes", -1),
    ("leverage", "room", None, NULL_POINTER, "workspace", -1),
    ("leverage", "size", 1000, SHORT, "workspace_size", -1),
    ("leverage", "size", -1, SHORT, "workspace_size", -1),
    ("leverage", "plans.n", -1, BAD_SIZE, "n", -1),
    ("leverage", "plans.n", 2**62, BAD_SIZE, "n", -1),
    ("leverage", "plans.curves.n", 3, BAD_SIZE, "curves.n", -1),
    ("leverage", "plans.curves.n", -1, BAD_SIZE, "curves.n", -1),
    ("leverage", "plans.curves.n", 1, NULL_POINTER, "family", -1),
    ("leverage", "operations.capacity", -1, BAD_SIZE, "operations->capacity", -1),
    ("leverage", "operations.capacity", 2**62, BAD_SIZE, "operations->capacity", -1),
    ("leverage", "operations.offsets", None, NULL_POINTER, "operations->offsets", -1),
    ("leverage", "plans.kind", 6, BAD_CODE, "kind", -1),
    ("leverage", "plans.kind", -1, BAD_CODE, "kind", -1),
    ("leverage", "plans.kind", 4, BAD_CODE, "kind", -1),
    ("unwind", "plans.kind", 0, BAD_CODE, "kind", -1),
    ("unwind", "plans.kind", 3, BAD_CODE, "kind", -1),
    ("leverage", "target[1]", 0.5, BAD_VALUE, "target", 1),
    ("unwind", "target[0]", NAN, BAD_VALUE, "target", 0),
    ("leverage", "plans.max_ltv.value", NAN, BAD_VALUE, "max_ltv", -1),
    ("leverage", "plans.max_ltv.value", 0.95, BAD_ORDER, "max_ltv", -1),
    ("unwind", "plans.max_ltv.value", 0.95, BAD_ORDER, "max_ltv", -1),
    ("leverage", "plans.liquidation_threshold.value", NAN, BAD_VALUE, "liquidation_threshold", -1),
    ("leverage", "plans.min_health_factor.value", 0.99, BAD_VALUE, "min_health_factor", -1),
    ("leverage", "plans.rounds.value", 2.5, BAD_VALUE, "rounds", -1),
    ("leverage", "plans.rounds.value", 10_001.0, BAD_VALUE, "rounds", -1),
    ("leverage", "plans.supply.value", -1.0, BAD_VALUE, "supply", -1),
    ("leverage", "plans.supply.value", 0.0, BAD_VALUE, "equity", -1),
    ("unwind", "plans.equity.value", 1.0, BAD_VALUE, "equity", -1),
    ("leverage", "plans.depth.value", 1.0, BAD_VALUE, "depth", -1),
    ("leverage", "plans.depth.value", -0.1, BAD_VALUE, "depth", -1),
    ("leverage", "plans.swap_fee.value", 1.0, BAD_VALUE, "swap_fee", -1),
    ("unwind", "plans.flash_steps.value", INF, BAD_VALUE, "flash_steps", -1),
]


@pytest.mark.parametrize(("way", "path", "value", "status", "argument", "index"), REFUSED)
def test_refusals(way: str, path: str, value: Any, status: int, argument: str, index: int, library: Library) -> None:
    host = Host(library)
    assert host.ask(way) == (OK, "", -1)
    host = Host(library)
    put(path, value)(host)
    assert host.ask(way) == (status, argument, index)
    assert list(host.status) == [7, 7]
    assert list(host.offsets) == [7] * 3
    assert list(host.amount) == [7.0] * 50


def test_what_must_not_exceed_what_is_named(library: Library) -> None:
    host = Host(library)
    host.plans.swap_fee.value, host.plans.depth.value = 0.5, 0.5
    assert host.ask("leverage") == (BAD_ORDER, "swap_fee", -1)
    assert host.other() == "depth"
    host = Host(library)
    host.plans.kind = host.functions.ESCALA_PLAN_TO_REPAY
    host.target[1] = 201.0
    assert host.ask("unwind") == (BAD_ORDER, "target", 1)
    assert host.other() == "borrow"
    host = Host(library)
    host.plans.supply.values = host.array("double", [10.0, 0.0])
    assert host.ask("leverage") == (BAD_VALUE, "equity", 1)
    assert host.other() == "supply"


def test_curves_of_trades_are_looked_at(library: Library) -> None:
    host = Host(library)
    host.plans.curves = host.curves[0]
    assert host.ask("leverage") == host.ask("unwind") == (OK, "", -1)
    host.plans.depth.value = 0.01  # one or the other
    assert host.ask("leverage") == (BAD_VALUE, "depth", -1)
    host.plans.depth.value, host.plans.swap_fee.value = 0.0, 0.999
    assert host.ask("leverage") == (OK, "", -1)
    host.params[2] = 0.5
    assert host.ask("leverage") == (BAD_ORDER, "swap_fee", -1)
    host.plans.swap_fee.value = 0.0
    for k in range(4):
        host.params[k] = NAN
    assert host.ask("leverage") == (BAD_VALUE, "params", 0)
    host.params[0] = INF
    assert host.ask("leverage") == (BAD_VALUE, "params", 0)


@pytest.mark.parametrize("row", tables.PLAN_GIVEN, ids=lambda row: row.name)
def test_ranges_are_those_of_python(row: tables.Quantity, library: Library) -> None:
    ends = [row.values.low, row.values.high]
    tried = [*ends, *np.nextafter(ends, -np.inf), *np.nextafter(ends, np.inf), -0.0, NAN, INF, -INF, 0.5, 1.5, 3.0]
    for value in map(float, tried):
        host = Host(library)
        host.plans.equity.value = 1.0
        getattr(host.plans, row.name).value = value
        host.size = max(host.size, host.functions.escala_plan_workspace(host.plans))
        host.room = host.array("char", b"\0" * host.size)
        status, argument, _ = host.ask("leverage")
        refused = status == BAD_VALUE and argument == row.name
        assert refused != bool(row.values.contains(np.array([value]))[0]), value


def test_python_says_what_is_refused(library: Library) -> None:
    with pytest.raises(InputError, match=re.escape("target[1] = 0.5: a value is not finite or outside of what")):
        library.plan_leverage("leverage", np.array([2.0, 0.5]), equity=1.0, **LIMITS)
    with pytest.raises(InputError, match=r"^kind must be a target of escala\.h, not 'moon'$"):
        library.plan_leverage("moon", equity=1.0, **LIMITS)
    with pytest.raises(InputError, match=r"^gas is no field of escala\.h that can be set here$"):
        library.plan_leverage("leverage", 2.0, equity=1.0, gas=1.0, **LIMITS)


# --- the header -------------------------------------------------------------------------------------------------------


def test_the_header_says_what_the_tables_say(library: Library) -> None:
    for prefix, rows in (
        ("PLAN_TO", tables.PLAN_TARGETS),
        ("PLAN", tables.PLAN_STATUS),
        ("ACTION", tables.PLAN_ACTIONS),
    ):
        for row in rows:
            assert getattr(library.functions, f"ESCALA_{prefix}_{row.name.upper()}") == row.value


def test_defaults_are_those_of_the_tables(library: Library) -> None:
    plans = library.ffi.new("escala_plans *")
    library.functions.escala_plans_defaults(plans)
    library.functions.escala_plans_defaults(library.ffi.NULL)
    assert (plans.n, plans.kind, plans.curves.n, plans.depth.value) == (0, 0, 0, 0.0)
    assert math.isnan(plans.target.value)
    for row in tables.PLAN_GIVEN:
        value = getattr(plans, row.name).value
        assert math.isnan(value) if row.default is None else value == row.default


# --- programs ---------------------------------------------------------------------------------------------------------


def run(source: Path, built: Built, folder: Path) -> str:
    """Compile a program and give what it prints."""
    program = folder / "program"
    warnings = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-Wpedantic")
    for command in (
        [*_tools().compiler, *warnings, source, f"-I{built.header.parent}", built.static, "-o", program],
        [program],
    ):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_example_in_c(native: Built, tmp_path: Path) -> None:
    printed = dict(line.split(" ", 1) for line in run(TESTS / "examples/capi/plan.c", native, tmp_path).splitlines())
    plan = plan_leverage(
        1000.0, leverage=[2.5, 4.0, 8.0], max_ltv=0.8, liquidation_threshold=0.85, min_health_factor=1.01,
        swap_fee=5e-4,
    )  # fmt: skip
    expected = {name: np.asarray(getattr(plan, name)) for name in ("final_supply", "final_borrow", "flash_supply")}
    listed = [plan.operations_of(k) for k in range(3)]
    expected |= {name: np.concatenate([one[name] for one in listed]) for name in ("amount", "health_factor")}
    for name, values in expected.items():
        same([float.fromhex(word) for word in printed[name].split()], values)
    assert list(map(int, printed["status"].split())) == plan.status.tolist()
    ends = [0, *itertools.accumulate(plan.operations_made.tolist())]
    assert list(map(int, printed["offsets"].split())) == ends
    curve = CurveSet.from_params(["A"], "exponential", [[0.05, 1e-6, 0.949]], trusted_to=1e6)
    down = plan_unwind(2500.0, 1500.0, close=True, liquidation_threshold=0.85, min_health_factor=1.05, depth=curve)
    same(float.fromhex(printed["cash_out"]), down.cash_out)
    assert printed["refused"] == "target: a value is not finite or outside of what is allowed"


def test_example_of_the_guide(native: Built, tmp_path: Path) -> None:
    text = (ROOT / "docs/guide/plan.md").read_text()
    [source] = re.findall(r"^```c\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    [printed] = re.findall(r"^prints\n\n```text\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    (tmp_path / "plan.c").write_text(source)
    assert run(tmp_path / "plan.c", native, tmp_path) == printed
