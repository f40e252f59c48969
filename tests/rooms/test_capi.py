"""The C library: same bits as the Python functions, from C, Rust and cffi; refusals; nothing touched beyond buffers."""

from __future__ import annotations

import hashlib
import importlib
import itertools
import json
import math
import os
import platform
import pwd
import re
import runpy
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.integrate import quad

import escala
from escala import AllocationStatus, Binding, CurveSet, Family, FitStatus, LendingStrategy, StopReason, tables
from escala.capi import Built, Library, build, load, pointers
from escala.capi.build import _compile_entries, _link, _tools, header
from escala.errors import BuildError, InfeasibleError, InputError
from escala.kernels.curves import evaluate as curve_kernels
from escala.tables import ALLOCATION_GROUPS, FIT_STATS, PARAMS, WISHES, names
from tests.capi.guarded import compare, same
from tests.capi.libraries import BUILD, build_command, native_library
from tests.command_line import escala as command
from tests.places import ROOT, TESTS

EXAMPLES = TESTS / "examples" / "capi"
HOSTS = TESTS / "capi"
#: Beside the processor's own code: one that leaves AVX-512 out, as valgrind needs it.
OTHER = "x86-64-v3" if platform.machine() == "x86_64" else "native"
VERSION = escala.__version__
INPUTS = tables.names(tables.LENDING_INPUTS)
SOLUTION = tables.names(tables.ALLOCATION_SOLUTION)
#: What an Allocation has of it.
PUBLIC = SOLUTION[: SOLUTION.index("nodes") + 1]
OUTCOMES = tables.names((*tables.LENDING_VALUES, *tables.LENDING_COUNTS))
WARNINGS = ("-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return native_library(tmp_path_factory)


@pytest.fixture(scope="session")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with all that the library for another processor was made of, and the library."""
    folder = tmp_path_factory.mktemp("pieces")
    _compile_entries(folder, OTHER)
    _link(folder, _tools())
    return folder


@pytest.fixture(scope="session")
def other(pieces: Path) -> Built:
    return Built(*(pieces / name for name in ("libescala.so", "libescala.a", "escala.h", "escala.pc")))


@pytest.fixture(scope="session")
def library(native: Built) -> Library:
    return load(native.shared)


def tool(name: str) -> str:
    """Find a program; only outside of CI may it be missing."""
    found = shutil.which(name)
    if found is None:
        assert not os.environ.get("CI"), f"{name} is not installed"
        pytest.skip(f"{name} is not installed")
    return found


def said(*command: object, **environment: str) -> str:
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def compiled(source: Path, to: Path, *options: object) -> Path:
    said(*_tools().compiler, *WARNINGS, source, *options, "-o", to)
    return to


def hosted(source: str, built: Built, folder: Path, how: str) -> tuple[Path, dict[str, str]]:
    """Compile a C host; gives the program and the environment that it needs."""
    place = built.shared.parent
    if how == "shared":
        program = compiled(EXAMPLES / source, folder / "host", f"-I{place}", f"-L{place}", "-lescala", "-pthread")
        return program, {"LD_LIBRARY_PATH": str(place)}
    static = ["-static"] if how == "wholly static" else []
    return compiled(EXAMPLES / source, folder / "host", f"-I{place}", built.static, "-pthread", *static), {}


def lines_of(text: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in text.splitlines())


def from_hex(line: str) -> npt.NDArray[np.float64]:
    return np.array([float.fromhex(word) for word in line.split()])


def some_ladders(rng: np.random.Generator, n: int) -> CurveSet:
    """One to thirty steps each, a third of them with nothing behind the last knot."""
    sizes = rng.integers(1, 31, n).tolist()
    knots = [np.concatenate([[0.0], np.sort(rng.uniform(1e2, 9e5, size - 1))]) for size in sizes]
    slopes = [np.sort(rng.uniform(0.3, 1.0, size))[::-1].copy() for size in sizes]
    for row in slopes[::3]:
        row[1:][-1:] = 0.0
    names = [f"L{i}" for i in range(n)]
    return CurveSet.from_ladders(names, knots, slopes, trusted_to=rng.uniform(1e5, 1e6, n))


def with_ladders(rng: np.random.Generator, curves: CurveSet) -> CurveSet:
    """Put a ladder behind every other curve."""
    n = len(curves)
    order = np.argsort([*range(0, 2 * n, 2), *range(1, n, 2)], kind="stable")
    return CurveSet.concatenate([curves, some_ladders(rng, n // 2)])[order]


def some_curves(rng: np.random.Generator, n: int, *, hills: bool = True) -> CurveSet:
    drawn_from = ["linear", "quadratic", "exponential", "sqrt", *(["hill", "depth", "power"] if hills else [])]
    families = rng.choice(drawn_from, n).tolist()
    params = np.zeros((n, 4))
    for row, family in zip(params, families, strict=True):
        if family == "hill":
            row[:3] = rng.uniform(0.5, 1.0), rng.uniform(1e4, 1e6), rng.choice([1.0, rng.uniform(1.0, 5.0)])
            continue
        if family in ("depth", "power"):
            row[:3] = rng.uniform(0.5, 1.0), rng.uniform(1e4, 1e6), rng.choice([1.0, rng.uniform(0.3, 6.0)])
            row[1:] = row[1:] if family == "depth" else [rng.uniform(0.01, 0.5), row[2], row[1]]
            continue
        row[:3] = {
            "linear": (-rng.uniform(1e-7, 1e-6), rng.uniform(0.8, 1.1), 0.0),
            "quadratic": (-rng.uniform(1e-13, 1e-12), -rng.uniform(1e-8, 1e-7), rng.uniform(0.8, 1.1)),
            "exponential": (rng.uniform(0.5, 1.0), rng.uniform(1e-7, 1e-5), rng.uniform(0.0, 0.2)),
            "sqrt": (-rng.uniform(1e-4, 1e-3), rng.uniform(0.8, 1.1), 0.0),
        }[family]
    return CurveSet.from_params([str(i) for i in range(n)], families, params, trusted_to=rng.uniform(1e5, 1e6, n))


# ---- The files ----


def test_only_functions_of_the_header_are_exported(native: Built, other: Built) -> None:
    declared = set(
        re.findall(r"\b(escala_\w+)\(", re.sub(r"/\*.*?\*/", "", native.header.read_text(), flags=re.DOTALL))
    )
    for built in (native, other):
        shared = [line.split() for line in said("nm", "-D", "--defined-only", built.shared).splitlines()]
        assert {words[-1] for words in shared} == declared
        static = [line.split() for line in said("nm", "-g", "--defined-only", built.static).splitlines() if line]
        assert {words[-1] for words in static if len(words) == 3} == declared


def test_only_the_c_library_is_needed(native: Built, other: Built) -> None:
    for built in (native, other):
        undefined = {
            line.split()[1].split("@")[0] for line in said("nm", "-u", built.static).splitlines() if " U " in line
        }
        assert undefined <= {"memcpy", "memset", "memmove"}
        for word in ("Py", "numba", "NRT", "python"):
            assert word not in said("nm", "-D", built.shared)
        needed = {line.split()[0].split("/")[-1].split(".")[0] for line in said("ldd", built.shared).splitlines()}
        assert needed <= {"linux-vdso", "libc", "libm", "ld-linux-x86-64", "ld-linux-aarch64"}
        stack = next(line for line in said("readelf", "-lW", built.shared).splitlines() if "GNU_STACK" in line)
        assert stack.split()[-2] == "RW"  # not executable


def test_pkg_config_finds_it(native: Built) -> None:
    program = tool("pkg-config")
    place = str(native.pkgconfig.parent)
    assert said(program, "--modversion", "escala", PKG_CONFIG_PATH=place).strip() == VERSION
    flags = said(program, "--cflags", "--libs", "escala", PKG_CONFIG_PATH=place).split()
    assert [flag for flag in flags if flag.startswith("-L")] == [f"-L{place}"]
    assert "-lescala" in flags


def test_header_compiles_as_cpp_and_pedantic_c(native: Built, tmp_path: Path) -> None:
    (tmp_path / "one.cpp").write_text("#include <escala.h>\nint main() { return escala_check_abi(ESCALA_ABI); }\n")
    said(tool("c++"), "-Wall", "-Wextra", "-Wpedantic", "-Werror", tmp_path / "one.cpp", f"-I{native.header.parent}",
         native.static, "-o", tmp_path / "one")  # fmt: skip
    said(tmp_path / "one")
    (tmp_path / "one.c").write_text("#include <escala.h>\nint main(void) { return escala_check_abi(ESCALA_ABI); }\n")
    compiled(tmp_path / "one.c", tmp_path / "two", "-Wpedantic", f"-I{native.header.parent}", native.static)


# ---- Hosts ----


@pytest.mark.parametrize("how", ["shared", "static", "wholly static"])
@pytest.mark.slow
@pytest.mark.parametrize("which", ["native", "other"])
def test_example_in_c(which: str, how: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    built: Built = request.getfixturevalue(which)
    program, environment = hosted("example.c", built, tmp_path, how)
    printed = lines_of(said(program, **environment))
    capital = [[1e4, 5e4, 1e5, 2e5, 5e5]] * 2 + [[1e3, 1e4, 5e4, 1e5, 2e5, 5e5]]
    efficiency = [
        [0.95, 0.93, 0.905, 0.855, 0.705],
        [0.97, 0.9, 0.83, 0.73, 0.55],
        [1.0, 0.98, 0.95, 0.94, 0.92, 0.86],
    ]
    curves = escala.fit(["A", "B", "C"], capital, efficiency, family=["auto", "exponential", "auto"])
    levels = [[0.0, 2.5e4, 3e5, 9e5]]
    found = escala.allocate(curves, 5e5, min_efficiency=0.8)
    result = escala.simulate(1000.0, 600.0, np.array([1500.0, 2000.0, 4000.0]), 200.0)
    expected = {
        "params": curves.params,
        "trusted_to": curves.trusted_to,
        "efficiency": curves.efficiency(levels),
        "marginal": curves.marginal(levels),
        "amounts": found.amounts,
        "gap": found.gap,
        "book": CurveSet.from_ladders(["D"], [[0.0, 1e5, 3e5]], [[1.0, 0.99, 0.0]]).utility(levels),
        "final_supply": result.final_supply,
        "fees": result.fees,
    }
    for name, values in expected.items():
        same(from_hex(printed[name]), values)
    assert printed["version"] == VERSION
    assert printed["refused"] == "borrow: a value is not finite or outside of what is allowed"


@pytest.mark.parametrize("how", ["shared", "static"])
def test_threads_in_c(how: str, native: Built, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    n = 5001
    supply = rng.uniform(100.0, 1e4, n)
    inputs = np.stack(
        [supply, supply * rng.uniform(0.2, 0.72, n), supply * rng.uniform(0.9, 3.0, n), rng.uniform(1.0, 500.0, n)]
    )
    inputs.tofile(tmp_path / "in")
    result = escala.simulate(*inputs)
    expected = b"".join(getattr(result, name).tobytes() for name in OUTCOMES)
    program, environment = hosted("threads.c", native, tmp_path, how)
    for threads in (1, 2, 5):
        said(program, tmp_path / "in", tmp_path / "out", n, threads, **environment)
        assert (tmp_path / "out").read_bytes() == expected


def test_example_of_the_guide(native: Built, tmp_path: Path) -> None:
    [source] = re.findall(r"^```c\n(.*?)^```", (ROOT / "docs/guide/c-library.md").read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / "example.c").write_text(source)
    place = native.shared.parent
    expected = ["1501.51 0", "1571.54 1", "1575.88 1"]
    program = compiled(tmp_path / "example.c", tmp_path / "host", f"-I{place}", native.static)
    assert said(program).splitlines() == expected
    (tmp_path / "lib").symlink_to(place)
    inside = (f"cd {tmp_path}", "unset LD_LIBRARY_PATH")
    without = ("cc example.c -Ilib -Llib -lescala", "LD_LIBRARY_PATH=lib ./a.out")
    assert said("bash", "-ec", "\n".join([*inside, *without])).splitlines() == expected
    as_told = ("cc example.c -Ilib $flags -o example", "./example")  # with the flags of the file, by hand
    flags = re.findall(r"^Libs: (.*)$", native.pkgconfig.read_text(), re.MULTILINE)[0].replace("${prefix}", str(place))
    assert said("bash", "-ec", "\n".join([*inside, f"flags='{flags}'", *as_told])).splitlines() == expected
    tool("pkg-config")
    [commands] = re.findall(
        r"^```sh\n(.*?)^```", (ROOT / "docs/guide/c-library.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert said("bash", "-ec", "\n".join([*inside, commands])).splitlines() == expected


@pytest.mark.slow
def test_command(native: Built, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    assert f"\n$ escala {' '.join(BUILD)}\n" in (ROOT / "docs/guide/c-library.md").read_text()
    done = build_command(tmp_path_factory)
    assert (done.returncode, done.stderr) == (0, "")
    place = native.shared.parent
    names = ("libescala.so", "libescala.a", "escala.h", "escala.pc")
    assert done.stdout.splitlines() == [str(place / name) for name in names]
    assert sorted(path.name for path in place.iterdir()) == sorted(names)
    assert load(native.shared).version == VERSION
    (tmp_path / "file").write_text("")
    done = command("capi", "build", "--out", "file/below", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("escala: cannot write to 'file/below'")


def test_example_in_rust(native: Built, tmp_path: Path) -> None:
    place = native.shared.parent
    home = pwd.getpwuid(os.getuid()).pw_dir  # where the toolchain is, whatever HOME is for this run
    said(
        tool("rustc"),
        "-O",
        "-D",
        "warnings",
        EXAMPLES / "example.rs",
        "-L",
        place,
        "-l",
        "escala",
        "-o",
        tmp_path / "host",
        HOME=home,
    )
    printed = lines_of(said(tmp_path / "host", LD_LIBRARY_PATH=str(place)))
    curves = CurveSet.from_params(["A", "B"], ["linear", "exponential"], [[-1e-6, 1.0, 0.0], [0.7, 3e-6, 0.2]])
    result = escala.simulate(1000.0, 600.0, 1000.0 + 3.0 * np.arange(1000), 200.0)
    for name, values in {
        "efficiency": curves.efficiency([[0.0, 1e5, 2e6]]),
        "final_supply": result.final_supply,
    }.items():
        bits = np.array([int(word, 16) for word in printed[name].split()], dtype=np.uint64)
        same(bits, values)
    assert list(map(int, printed["stop"].split())) == result.stop.tolist()
    assert printed["refused"] == "a value is not finite or outside of what is allowed"


# ---- cffi ----


@pytest.mark.slow
@pytest.mark.parametrize("which", ["native", "other"])
@pytest.mark.parametrize("seed", range(3))
def test_same_bits_through_cffi(which: str, seed: int, request: pytest.FixtureRequest) -> None:
    compare(load(request.getfixturevalue(which).shared), seed)


def test_fits_of_every_family_have_the_same_bits(library: Library) -> None:
    rng = np.random.default_rng(13)
    sizes = [*[60] * 9, *[12] * 9, 3, 2, 1, 0]
    wanted = ["linear", "quadratic", "exponential", "sqrt", "hill", "depth", "power", "ladder", "auto"]
    families = [*wanted, *wanted, "ladder", "ladder", "ladder", "auto"]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    capital = np.exp(rng.uniform(5.0, 15.0, offsets[-1]))
    efficiency = np.clip((1.0 + (capital / 1e5) ** 3) ** (-1 / 3) + rng.normal(0.0, 0.003, capital.size), 0.0, 1.0)
    parts = [slice(*ends) for ends in itertools.pairwise(offsets.tolist())]
    names_of = [str(i) for i in range(len(sizes))]
    records = [[column[part] for part in parts] for column in (capital, efficiency)]
    codes = [tables.WISHES[0].value if name == "auto" else Family[name.upper()].value for name in families]
    fits = library.fit(offsets, capital, efficiency, family=codes)
    curves = escala.fit(names_of, *records, family=families)
    for name in ("family", "status", "n_points", "origin", "trusted_to", "covariance"):
        same(getattr(fits, name), getattr(curves, name))
    same(fits.root, curves._root)
    ladders = np.flatnonzero((curves.family == Family.LADDER) & curves.has_curve)
    assert ladders.size >= 4  # by name and by auto
    same(fits.params[:, :3], curves.params[:, :3])
    for i in ladders.tolist():
        row = curves._steps.row(i)
        begin = int(fits.params[i, 3])
        same(fits.steps[begin : begin + row.size], row)
    given = library.ffi.new("escala_curves *")
    kept = [
        np.ascontiguousarray(column) for column in (fits.family, fits.params, fits.origin, fits.trusted_to, fits.steps)
    ]
    for name, column in zip(("family", "params", "origin", "trusted_to", "steps"), kept, strict=True):
        kind = "int8_t" if column.dtype == np.int8 else "double"
        setattr(given, name, library.ffi.cast(f"const {kind} *", column.ctypes.data))
    given.n, given.steps_size = len(curves), fits.steps.size
    levels, out = np.geomspace(10.0, 1e8, 33), np.empty((len(curves), 33))
    pointers_of = [library.ffi.cast("double *", array.ctypes.data) for array in (levels, out)]
    status = library.functions.escala_marginal(given, pointers_of[0], 1, 33, pointers_of[1], library.ffi.NULL)
    assert status == 0
    same(out, curves.marginal(levels[None, :]))


def test_ladders_are_those_of_python(library: Library) -> None:
    rng = np.random.default_rng(8)
    sizes = [60, 0, 200, 3, 2]
    capital = [np.exp(rng.uniform(7.0, 16.0, size)) for size in sizes]
    efficiency = [np.clip(np.minimum(0.98, 2e5 / c) + rng.normal(0.0, 0.01, c.size), 0.0, 1.0) for c in capital]
    curves = escala.fit(list("ABCDE"), capital, efficiency, family="ladder")
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    fits = library.fit(offsets, np.concatenate(capital), np.concatenate(efficiency), family=Family.LADDER)
    same(fits.status, curves.status)
    same(fits.root, curves._root)
    assert fits.steps.size == 3 * (61 + 1 + 96 + 4 + 3)
    for i in range(len(sizes)):
        steps = curves._steps.row(i)
        if steps.size:
            place = int(fits.params[i, 3])
            same(fits.steps[place : place + steps.size], steps)
    same(fits.params[:, :3], curves.params[:, :3])


def test_a_ladder_needs_room_for_its_steps(library: Library) -> None:
    host = Host(library)
    host.records.family[1] = Family.LADDER
    needed = host.functions.escala_fit_steps(host.records)
    assert needed == 3 * (1 + host.offsets[2] - host.offsets[1])
    assert host.functions.escala_fit_steps(host.ffi.NULL) == -1
    host.fits.steps_size = needed - 1
    fault = host.ffi.new("escala_fault *")
    assert host.functions.escala_fit(host.records, host.fits, host.room, host.size, fault) == BAD_SIZE
    assert host.ffi.string(fault.argument) == b"fits->steps_size"
    host.fits.steps_size = needed
    assert host.functions.escala_fit(host.records, host.fits, host.room, host.size, fault) == 0
    assert host.fits.status[1] == FitStatus.OK
    host.fits.steps, host.fits.steps_size = host.ffi.NULL, 0
    assert host.functions.escala_fit(host.records, host.fits, host.room, host.size, fault) == 0
    assert host.fits.status[1] == FitStatus.DEGENERATE


def test_fit_with_half_life(library: Library) -> None:
    rng = np.random.default_rng(4)
    capital, efficiency = rng.uniform(1e4, 1e6, (9, 25)), rng.uniform(0.2, 1.0, (9, 25))
    times = rng.uniform(0.0, 100.0, (9, 25))
    curves = escala.fit(list("ABCDEFGHI"), capital, efficiency, observed_at=times, half_life=30.0, family="sqrt")
    offsets = np.arange(10) * 25
    weights = library.decay(offsets, times.reshape(-1), 30.0)
    fits = library.fit(offsets, capital.reshape(-1), efficiency.reshape(-1), weights=weights, family=Family.SQRT)
    same(fits.params, curves.params)
    same(fits.root, curves._root)
    part = library.fit(offsets[3:6], capital.reshape(-1), efficiency.reshape(-1), weights=weights, family=Family.SQRT)
    same(part.params, curves.params[3:5])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"min_efficiency": 0.8},
        {"min_efficiency": 0.9, "min_ticket": 3e4, "max_share": 0.4},
        {"min_efficiency": 0.8, "remainder": "hold"},
        {"min_efficiency": 0.9, "spend": "exactly", "max_share": 0.6},
        {"min_efficiency": 0.8, "method": "greedy"},
        {"method": "greedy", "step": 7e3, "hurdle": 0.2},
        {"spend": "exactly", "reserve": 0.1},
        {"hurdle": 0.3, "priority": "rising", "tolerance": 1e-3},
        {"current": "rising", "buy_cost": 0.01, "sell_cost": "rising", "fixed_cost": "rising", "min_efficiency": 0.8},
        {"upper": "rising", "lower": 100.0, "min_efficiency": "rising"},
        {"drawn": True, "min_efficiency": 0.7},
        {"groups": True, "group_share": 0.3, "group_upper": [2e5, 9e5, 5e5], "group_lower": 2e3, "min_efficiency": 0.7},
        {"groups": True, "group_upper": 4e5, "current": "rising", "buy_cost": 0.02, "fixed_cost": 100.0},
        {"overlapping": True, "group_upper": 4e5, "group_lower": 2e3, "min_efficiency": 0.7},
        {"target_utility": 5e5},
        {"target_efficiency": 0.9, "max_share": 0.4},
        {"target_marginal": 0.6, "groups": True, "group_upper": 4e5},
        {"max_count": 4, "min_ticket": 5e4, "min_count": 2, "max_share": 0.9},
        {"lots": "steps", "max_count": 6, "current": "rising", "buy_cost": 0.01, "fixed_cost": 100.0},
        {"lots": "steps", "groups": True, "group_upper": 4e5},
        {"lots": 1e4, "max_count": 5, "min_efficiency": 0.8},
    ],
)
def test_allocations_have_the_same_bits(settings: dict[str, Any], library: Library) -> None:
    rng = np.random.default_rng(5)
    # a hill that is forced in, or drawn with less than its least s, has no answer
    curves = some_curves(rng, 12, hills="lower" not in settings and "drawn" not in settings)
    rising = {
        "priority": np.linspace(0.5, 2.0, 12),
        "upper": np.linspace(1e4, 9e5, 12),
        "min_efficiency": np.linspace(0.5, 0.9, 12),
        "current": np.linspace(6e5, 0.0, 12),
        "sell_cost": np.linspace(0.0, 0.05, 12),
        "fixed_cost": np.linspace(0.0, 2e3, 12),
        "lots": np.arange(12) % 3 * 7e3,
    }
    given: dict[str, Any] = {
        name: rising[name] if value in ("rising", "steps") else value for name, value in settings.items()
    }
    drawn = given.pop("drawn", False)
    params = np.stack([curves.params * factor for factor in (1.0, 0.97, 0.9)]) if drawn else None
    totals = np.linspace(2e4, 4.9e6, 130)
    if any(name.startswith("target_") for name in given):
        totals = np.linspace(4.4e6, 4.9e6, 5)
    if "lots" in given or "max_count" in given:
        totals = np.linspace(2e5, 4.9e6, 6)
    trading: dict[str, Any] = {"trade_cost": (given.get("buy_cost", 0.0), given.get("sell_cost", 0.0))}
    plain = {name: value for name, value in given.items() if name not in ("buy_cost", "sell_cost")}
    if given.pop("groups", False):
        plain["groups"] = [("a", "b")] * 4 + ["a"] * 3 + [None] * 2 + ["c"] * 3  # inwards: c, a/b, a
    if given.pop("overlapping", False):
        plain.pop("overlapping")
        plain["groups"] = {"a": curves.symbols[:6], "b": curves.symbols[4:9], "c": curves.symbols[:10:2]}
    ours = escala.allocate(curves, totals, max_nodes=50, params=params, **trading, **plain)
    codes = {
        "exactly": given.pop("spend", "") == "exactly",
        "greedy": given.pop("method", "") == "greedy",
        "distribute": given.pop("remainder", "distribute") == "distribute",
    }
    if "groups" in plain:
        groups = ours._request.groups
        kinds = (groups.starts, groups.inside) if groups.overlap else ()
        given |= {"groups": (groups.leaf, groups.parents, *kinds)}
        given |= {row.name: groups.limit(row.name) for row in ALLOCATION_GROUPS}
    for goal, code in (("utility", 1), ("efficiency", 2), ("marginal", 3)):
        if f"target_{goal}" in given:
            given |= {"target": np.full(totals.size, given.pop(f"target_{goal}")), "goal": code}
    theirs = library.allocate(curves, totals, max_nodes=50, params=params, **codes, **given)
    same(theirs.group_prices.reshape(ours.group_prices.shape), ours.group_prices)
    for row, expected in ((theirs, ours), (theirs.first, ours.first or ours)):
        assert row is not None
        same(row.amounts.reshape(ours.amounts.shape), expected.amounts)
        same(row.binding.reshape(ours.binding.shape), expected.binding)
        for column, name in enumerate(PUBLIC):
            found = row.solution[:, column].reshape(np.shape(expected.gap))
            same(found, np.asarray(getattr(expected, name), dtype=np.float64))
    assert (ours.first is not None) == bool("min_efficiency" in given and codes["distribute"])


def test_ladders_have_the_same_bits(library: Library) -> None:
    rng = np.random.default_rng(11)
    curves = with_ladders(rng, some_curves(rng, 40))
    levels = np.concatenate([rng.uniform(0.0, 2e6, (60, 25)), np.sort(rng.uniform(0.0, 2e6, (60, 25)))], axis=1)
    for name in ("efficiency", "utility", "marginal"):
        same(getattr(library, name)(curves, levels), getattr(curves, name)(levels))
    for least in (0.0, 0.5, rng.uniform(-0.1, 1.1, 60)):
        same(library.threshold(curves, least)[1], curves.threshold(least))
    knots = np.array([curves.ladder(f"L{i}").knots[-1] for i in range(20)])
    ladders = curves[[f"L{i}" for i in range(20)]]
    same(library.marginal(ladders, knots[:, None]), ladders.marginal(knots[:, None]))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"min_efficiency": 0.8},
        {"min_efficiency": 0.7, "min_ticket": 3e4, "max_share": 0.4},
        {"greedy": True},
        {"exactly": True, "reserve": 0.1},
        {"drawn": True, "hurdle": 0.4},
    ],
)
def test_allocations_over_ladders_have_the_same_bits(settings: dict[str, Any], library: Library) -> None:
    rng = np.random.default_rng(12)
    curves = some_ladders(rng, 7)
    if "drawn" not in settings:
        curves = with_ladders(rng, some_curves(rng, 8))
    given = dict(settings)
    factors = np.array([[1.0] * 4, [0.97, 1.1, 1.0, 1.0], [0.9, 0.8, 1.0, 1.0]])
    params = curves.params * factors[:, None] if given.pop("drawn", False) else None
    totals = np.linspace(0.0, 3.1e6, 70)
    words = {
        "method": "greedy" if given.get("greedy") else "exact",
        "spend": "exactly" if given.get("exactly") else "at_most",
    }
    plain = {name: value for name, value in given.items() if name not in ("greedy", "exactly")}
    ours = escala.allocate(curves, totals, max_nodes=50, params=params, **words, **plain)  # type: ignore[arg-type]
    theirs = library.allocate(curves, totals, max_nodes=50, params=params, **given)
    same(theirs.amounts.reshape(ours.amounts.shape), ours.amounts)
    same(theirs.binding.reshape(ours.binding.shape), ours.binding)
    for column, name in enumerate(PUBLIC):
        same(theirs.solution[:, column].reshape(np.shape(ours.gap)), np.asarray(getattr(ours, name), dtype=np.float64))


@pytest.mark.parametrize("n", [9, 129, 100_000])
def test_what_is_left_over_is_summed_in_one_order(n: int, library: Library) -> None:
    curves = CurveSet.from_params([str(i) for i in range(n)], "linear", np.tile([-1e-6, 1.0], (n, 1)))
    for total in (
        7e3 * n / 3,
        1000.1 * n,
        2e5 * n,
    ):  # a running sum of 100,000 equal amounts misses money that is there
        ours = escala.allocate(curves, [total], min_efficiency=0.9, max_nodes=5)
        theirs = library.allocate(curves, [total], min_efficiency=0.9, max_nodes=5)
        same(theirs.amounts, ours.amounts)
        for column, name in enumerate(PUBLIC):
            same(theirs.solution[:, column], getattr(ours, name).astype(np.float64))


def test_every_field_of_a_strategy(library: Library) -> None:
    rng = np.random.default_rng(6)
    n = 3000
    usual = {
        name: float(array) for name, array in LendingStrategy().arrays().items() if name != "free_collateral_factor"
    }
    fields = {name: value * rng.uniform(0.9, 1.0, n) for name, value in usual.items()}
    for name in (
        "max_rescale_attempts",
        "max_fallback_attempts",
        "max_stagnant_operations",
        "max_operations",
        "stalling_after",
        "stalled_after",
    ):
        fields[name] = np.floor(usual[name] * rng.uniform(1.0, 2.0, n))
    fields["stalled_after"] += fields["stalling_after"]
    fields["ltv_ceiling"][:] = 0.74
    fields["min_health_factor"][:] = rng.uniform(1.0, 1.1, n)
    supply = rng.uniform(100.0, 1e4, n)
    start = (supply, 0.5 * supply, 1.4 * supply, np.zeros(n))
    result = escala.simulate(*start, strategy=LendingStrategy(**fields))
    for name, values in library.simulate(*start, **fields).items():
        same(values, getattr(result, name))


def test_nothing_is_copied(library: Library) -> None:
    from escala.capi.library import _Call

    curves = some_curves(np.random.default_rng(7), 3)
    levels = np.linspace(0.0, 1e6, 30).reshape(3, 10)
    levels.flags.writeable = False
    out = np.empty((3, 10))
    assert library.efficiency(curves, levels, out=out) is out
    same(out, curves.efficiency(levels))
    call = _Call(library)
    for pointer, array in ((call.read("double", levels), levels), (call.write("double", out), out)):
        assert int(library.ffi.cast("uintptr_t", pointer)) == array.ctypes.data


def test_what_cannot_be_written_to_is_refused(library: Library) -> None:
    curves = some_curves(np.random.default_rng(7), 3)
    shifted = np.zeros(3 * 2 * 8 + 1, dtype=np.uint8)[1:].view(np.float64).reshape(3, 2)
    fixed = np.empty((3, 2))
    fixed.flags.writeable = False
    for out in (shifted, fixed, np.empty((2, 3)).T, np.empty((3, 2), dtype=">f8")):
        with pytest.raises(InputError, match=r"^out must be a writable, aligned, C-contiguous array of float64$"):
            library.efficiency(curves, [[0.0, 1e5]], out=out)


def test_weights_outside_the_offsets_are_zero(library: Library) -> None:
    np.full(64, np.nan)  # what is left in memory that is not cleared
    assert library.decay([20, 64], np.zeros(64), 1.0).tolist() == [0.0] * 20 + [1.0] * 44


def test_many_threads_at_once(library: Library) -> None:
    curves = some_curves(np.random.default_rng(8), 12)
    totals = np.linspace(1e5, 2e6, 40)
    expected = library.allocate(curves, totals, min_efficiency=0.8).amounts.tobytes()
    answers: list[bytes] = []

    def work() -> None:
        answers.extend(library.allocate(curves, totals, min_efficiency=0.8).amounts.tobytes() for _ in range(5))

    crew = [threading.Thread(target=work) for _ in range(6)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    assert answers == [expected] * 30


def test_nothing_at_all(library: Library) -> None:
    none = CurveSet.from_params([], "linear", np.zeros((0, 2)))
    assert library.efficiency(none, np.zeros((1, 4))).shape == (0, 4)
    assert library.fit([0], [], []).params.shape == (0, 4)
    assert (
        library.allocate(none, [1e5, 2e5]).solution[:, 0].tolist()
        == escala.allocate(none, [1e5, 2e5]).shadow_price.tolist()
    )
    assert library.simulate(np.zeros(0), 0.0, 1.0, 0.0)["stop"].size == 0


def test_the_header_says_what_python_says(library: Library) -> None:
    functions = library.functions
    enums: Mapping[str, Any] = {"": Family, "FIT_": FitStatus, "BINDING_": Binding}
    for prefix, codes in enums.items():
        for code in codes:
            assert getattr(functions, f"ESCALA_{prefix}{code.name}") == code
    for code in (*AllocationStatus, *StopReason):
        assert getattr(functions, f"ESCALA_{code.name}") == code
    assert functions.ESCALA_AUTO == WISHES[0].value
    for code in tables.ALLOCATION_STATUS:
        assert getattr(functions, f"ESCALA_{code.name.upper()}") == code.value
    for place, name in enumerate(names(FIT_STATS)):
        assert getattr(functions, f"ESCALA_FIT_STAT_{name.upper()}") == place
    for place, name in enumerate(SOLUTION):
        assert getattr(functions, f"ESCALA_SOLUTION_{name.upper()}") == place
    assert functions.ESCALA_FIT_STATS == len(FIT_STATS)
    assert functions.ESCALA_PARAMS == PARAMS
    assert functions.ESCALA_SOLUTION_SIZE == len(SOLUTION)
    assert f"multiples of {tables.WARM}." in header()


def test_defaults_are_those_of_python(library: Library) -> None:
    scenarios = library.ffi.new("escala_scenarios *")
    library.functions.escala_scenarios_defaults(scenarios)
    usual = LendingStrategy().arrays()
    fields = [name for name, _ in library.ffi.typeof("escala_scenarios").fields if name != "n"]
    assert sorted(fields) == sorted(INPUTS)
    for name in fields:
        value = getattr(scenarios, name).value
        assert np.isnan(value) if name not in usual else value == usual[name]
    outcomes = [name for name, _ in library.ffi.typeof("escala_outcomes").fields]
    assert outcomes == list(OUTCOMES)
    problem = library.ffi.new("escala_allocation *")
    library.functions.escala_allocation_defaults(problem)
    assert (problem.upper.value, problem.max_share.value, problem.priority.value) == (np.inf, 1.0, 1.0)
    assert (problem.max_nodes, problem.tolerance, problem.distribute) == (2000, -1.0, 1)


# ---- Refusals ----


class Host:
    """Sound arguments of every function, to be spoiled one at a time."""

    def __init__(self, library: Library) -> None:
        self.ffi, self.functions = library.ffi, library.functions
        self.kept: list[Any] = []
        ffi = self.ffi
        self.family = self.array("int8_t", [0, 2, 3, 7])
        self.params = self.array(
            "double",
            [-1e-6, 1.0, 0.0, 0.0, 0.7, 3e-6, 0.2, 0.0, -1e-3, 1.0, 0.0, 0.0, 1.0, 1.0, 2.0, 1.0],
        )
        self.curves = ffi.new("escala_curves *")
        self.curves.n, self.curves.family, self.curves.params = 4, self.family, self.params
        self.curves.origin, self.curves.trusted_to = self.array("double", [0.0] * 4), self.array("double", [1e6] * 4)
        # knots, slopes and utilities of the ladder; the first number is nobody's
        self.steps, self.curves.steps_size = self.array("double", [NAN, 0.0, 1e5, 0.9, 0.5, 0.0, 9e4]), 7
        self.curves.steps = self.steps
        self.capital, self.out = self.array("double", [0.0, 1e5]), self.array("double", [7.0] * 8)
        self.least = self.array("double", [0.5] * 4)
        self.offsets = self.array("int64_t", [0, 4, 9])
        self.records = ffi.new("escala_records *")
        self.records.n, self.records.size, self.records.offsets = 2, 9, self.offsets
        self.records.capital = self.array("double", [1e3, 2e3, 3e3, 5e3] * 2 + [8e3])
        self.records.efficiency = self.array("double", [1.0, 0.8, 0.7, 0.5] * 2 + [0.4])
        self.records.weights = self.array("double", [1.0] * 9)
        self.records.family = self.array("int8_t", [64, 64])
        self.fits = ffi.new("escala_fits *")
        for name, of in ffi.typeof("escala_fits").fields:
            if of.type.kind == "pointer":
                setattr(self.fits, name, self.array(of.type.item.cname, [7] * 32))
        self.records.family[1] = 7
        self.fits.steps_size = 18  # of a ladder by five records
        self.problem = ffi.new("escala_allocation *")
        self.functions.escala_allocation_defaults(self.problem)
        self.total = self.array("double", [1e5])
        self.problem.curves, self.problem.total = self.curves[0], self.total
        self.problem.groups = 2  # apart, and one instrument of none
        self.problem.group_of = self.array("int64_t", [0, 0, 1, -1])
        self.problem.group_around = self.array("int64_t", [-1, -1])
        self.answers = ffi.new("escala_answers *")
        self.answers.group_prices = self.array("double", [7.0] * 2)
        self.answers.amounts, self.answers.solution = (
            self.array("double", [7.0] * 4),
            self.array("double", [7.0] * len(SOLUTION)),
        )
        self.answers.binding = self.array("int8_t", [7] * 4)
        self.scenarios, self.outcomes = ffi.new("escala_scenarios *"), ffi.new("escala_outcomes *")
        self.functions.escala_scenarios_defaults(self.scenarios)
        self.scenarios.n = 2
        for name, value in {"supply": 1000.0, "borrow": 600.0, "target": 1500.0, "wallet": 200.0}.items():
            getattr(self.scenarios, name).value = value
        self.outcomes.fees = self.array("double", [7.0] * 2)
        self.times, self.ages = self.records.efficiency, self.array("double", [7.0] * 9)
        self.fault = ffi.new("escala_fault *")
        self.room, self.size = self.array("char", b"\0" * 2_000_000), 2_000_000

    def array(self, kind: str, values: Any) -> Any:
        self.kept.append(self.ffi.new(f"{kind}[]", values))
        return self.kept[-1]

    def ask(self, function: str) -> tuple[int, str, int]:
        call = getattr(self.functions, f"escala_{function}")
        arguments: dict[str, tuple[Any, ...]] = {
            "efficiency": (self.curves, self.capital, self.rows, self.m, self.out),
            "check_curves": (self.curves,),
            "threshold": (self.curves, self.least, self.out, self.out),
            "fit": (self.records, self.fits, self.room, self.size),
            "decay": (self.records, self.times, self.half_life, self.ages),
            "allocate": (self.problem, self.answers, self.ffi.NULL, self.room, self.size),
            "simulate": (self.scenarios, self.outcomes, self.room, self.size),
        }
        status = call(*arguments[function], self.fault)
        assert status == call(*arguments[function], self.ffi.NULL)
        assert bool(self.fault.argument) == bool(status)
        name = self.ffi.string(self.fault.argument).decode() if self.fault.argument else ""
        return status, name, self.fault.index

    rows, m, half_life = 1, 2, 1.0


def put(path: str, value: Any) -> Callable[[Host], None]:
    """Set a member, an element or an attribute: ``curves.n``, ``params[1]``, ``size``."""

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


NULL_POINTER, BAD_SIZE, SHORT, BAD_VALUE, BAD_ORDER, BAD_CODE, BAD_OFFSETS, INFEASIBLE = range(2, 10)
NAN, INF = float("nan"), float("inf")
REFUSED: list[tuple[str, str, Any, int, str, int]] = [
    ("efficiency", "curves", None, NULL_POINTER, "curves", -1),
    ("efficiency", "curves.family", None, NULL_POINTER, "family", -1),
    ("efficiency", "curves.params", None, NULL_POINTER, "params", -1),
    ("efficiency", "curves.origin", None, NULL_POINTER, "origin", -1),
    ("efficiency", "capital", None, NULL_POINTER, "capital", -1),
    ("efficiency", "out", None, NULL_POINTER, "out", -1),
    ("efficiency", "curves.n", -1, BAD_SIZE, "n", -1),
    ("efficiency", "curves.n", 2**62, BAD_SIZE, "n", -1),
    ("efficiency", "m", -1, BAD_SIZE, "m", -1),
    ("efficiency", "m", 2**62, BAD_SIZE, "m", -1),
    ("efficiency", "rows", 2, BAD_SIZE, "rows", -1),
    ("efficiency", "rows", -3, BAD_SIZE, "rows", -1),
    ("efficiency", "family[1]", 8, BAD_CODE, "family", 1),
    ("efficiency", "family[2]", -1, BAD_CODE, "family", 2),
    ("efficiency", "capital[1]", -1.0, BAD_VALUE, "capital", 1),
    ("efficiency", "capital[0]", NAN, BAD_VALUE, "capital", 0),
    ("efficiency", "capital[0]", INF, BAD_VALUE, "capital", 0),
    ("check_curves", "params[2]", INF, BAD_VALUE, "params", 2),
    ("check_curves", "params[0]", NAN, BAD_VALUE, "params", 0),
    ("check_curves", "params[5]", -1e-6, BAD_VALUE, "params", 5),
    ("check_curves", "curves.trusted_to[1]", 0.0, BAD_VALUE, "trusted_to", 1),
    ("check_curves", "curves.origin[1]", INF, BAD_VALUE, "origin", 1),
    ("threshold", "curves.trusted_to", None, NULL_POINTER, "trusted_to", -1),
    ("threshold", "least[1]", NAN, BAD_VALUE, "min_efficiency", 1),
    *(
        row
        for function in ("efficiency", "threshold", "check_curves", "allocate")
        for row in [
            (function, f"{'problem.' * (function == 'allocate')}{path}", value, status, argument, index)
            for path, value, status, argument, index in [
                ("curves.steps", None, NULL_POINTER, "steps", -1),
                ("curves.steps_size", -1, BAD_SIZE, "steps_size", -1),
                ("curves.steps_size", 2**62, BAD_SIZE, "steps_size", -1),
                ("curves.steps_size", 6, BAD_VALUE, "params", 15),
                ("curves.steps_size", 1, BAD_VALUE, "params", 14),
            ]
        ]
    ),
    *(
        row
        for function in ("efficiency", "threshold", "check_curves", "allocate")
        for row in [
            (function, "params[14]", 0.0, BAD_VALUE, "params", 14),
            (function, "params[14]", 1.5, BAD_VALUE, "params", 14),
            (function, "params[14]", 3.0, BAD_VALUE, "params", 15),
            (function, "params[14]", 2.0**60, BAD_VALUE, "params", 14),
            (function, "params[14]", NAN, BAD_VALUE, "params", 14),
            (function, "params[15]", -1.0, BAD_VALUE, "params", 15),
            (function, "params[15]", 0.5, BAD_VALUE, "params", 15),
            (function, "params[15]", 2.0, BAD_VALUE, "params", 15),
            (function, "params[15]", INF, BAD_VALUE, "params", 15),
        ]
    ),
    *(
        row
        for function in ("check_curves", "allocate")
        for row in [
            (function, "params[12]", 1.2, BAD_VALUE, "params", 12),  # the first slope is 0.9
            (function, "params[12]", -0.1, BAD_VALUE, "params", 12),
            (function, "params[13]", 0.0, BAD_VALUE, "params", 13),
            (function, "params[15]", 0.0, BAD_VALUE, "params", 12),  # what would be the first slope there is none
            (function, "steps[1]", 1.0, BAD_VALUE, "steps", 1),
            (function, "steps[2]", 0.0, BAD_VALUE, "steps", 2),
            (function, "steps[2]", -1.0, BAD_VALUE, "steps", 2),
            (function, "steps[2]", INF, BAD_VALUE, "steps", 2),
            (function, "steps[2]", NAN, BAD_VALUE, "steps", 2),
            (function, "steps[3]", 1.5, BAD_VALUE, "params", 12),
            (function, "steps[4]", 0.95, BAD_VALUE, "steps", 4),
            (function, "steps[4]", -0.1, BAD_VALUE, "steps", 4),
            (function, "steps[4]", NAN, BAD_VALUE, "steps", 4),
            (function, "steps[5]", 1e-9, BAD_VALUE, "steps", 5),
            (function, "steps[6]", 9e4 + 1.0, BAD_VALUE, "steps", 6),
            (function, "steps[6]", NAN, BAD_VALUE, "steps", 6),
        ]
    ),
    ("fit", "records", None, NULL_POINTER, "records", -1),
    ("fit", "fits", None, NULL_POINTER, "fits", -1),
    ("fit", "fits.params", None, NULL_POINTER, "fits->params", -1),
    ("fit", "fits.trusted_to", None, NULL_POINTER, "fits->trusted_to", -1),
    ("fit", "records.offsets", None, NULL_POINTER, "offsets", -1),
    ("fit", "records.capital", None, NULL_POINTER, "capital", -1),
    ("fit", "records.family", None, NULL_POINTER, "family", -1),
    ("fit", "room", None, NULL_POINTER, "workspace", -1),
    ("fit", "size", 1000, SHORT, "workspace_size", -1),
    ("fit", "size", -1, SHORT, "workspace_size", -1),
    ("fit", "records.n", -1, BAD_SIZE, "n", -1),
    ("fit", "records.size", -1, BAD_SIZE, "size", -1),
    ("fit", "records.size", 8, BAD_OFFSETS, "offsets", 2),
    ("fit", "offsets[0]", -1, BAD_OFFSETS, "offsets", 0),
    ("fit", "offsets[1]", 10, BAD_OFFSETS, "offsets", 1),
    ("fit", "offsets[2]", 3, BAD_OFFSETS, "offsets", 2),
    ("fit", "records.family[1]", 8, BAD_CODE, "family", 1),
    ("fit", "fits.steps", None, NULL_POINTER, "fits->steps", -1),
    ("fit", "fits.steps_size", -1, BAD_SIZE, "fits->steps_size", -1),
    ("fit", "records.capital[8]", 0.0, BAD_VALUE, "capital", 8),
    ("fit", "records.capital[3]", 1e101, BAD_VALUE, "capital", 3),
    ("fit", "records.efficiency[2]", 1.1, BAD_VALUE, "efficiency", 2),
    ("fit", "records.weights[5]", -1.0, BAD_VALUE, "weights", 5),
    ("fit", "fits.steps", None, NULL_POINTER, "fits->steps", -1),
    ("fit", "fits.steps_size", -1, BAD_SIZE, "fits->steps_size", -1),
    ("fit", "fits.steps_size", 17, BAD_SIZE, "fits->steps_size", -1),
    ("decay", "half_life", 0.0, BAD_VALUE, "half_life", -1),
    ("decay", "half_life", INF, BAD_VALUE, "half_life", -1),
    ("decay", "records.efficiency[2]", NAN, BAD_VALUE, "times", 2),
    ("allocate", "problem", None, NULL_POINTER, "problem", -1),
    ("allocate", "answers", None, NULL_POINTER, "answers", -1),
    ("allocate", "answers.amounts", None, NULL_POINTER, "amounts", -1),
    ("allocate", "answers.solution", None, NULL_POINTER, "solution", -1),
    ("allocate", "problem.total", None, NULL_POINTER, "total", -1),
    ("allocate", "problem.curves.trusted_to", None, NULL_POINTER, "trusted_to", -1),
    ("allocate", "problem.totals", -1, BAD_SIZE, "totals", -1),
    ("allocate", "problem.draws", 2**40, BAD_SIZE, "totals", -1),
    ("allocate", "problem.max_nodes", -1, BAD_SIZE, "max_nodes", -1),
    ("allocate", "problem.max_nodes", 10_000_001, BAD_SIZE, "max_nodes", -1),
    ("allocate", "size", 100, SHORT, "workspace_size", -1),
    ("allocate", "family[0]", 9, BAD_CODE, "family", 0),
    ("allocate", "params[1]", INF, BAD_VALUE, "params", 1),
    ("allocate", "total[0]", -1.0, BAD_VALUE, "total", 0),
    ("allocate", "problem.min_efficiency.value", 1.5, BAD_VALUE, "min_efficiency", -1),
    ("allocate", "problem.lower.value", INF, BAD_VALUE, "lower", -1),
    ("allocate", "problem.upper.value", NAN, BAD_VALUE, "upper", -1),
    ("allocate", "problem.reserve", 1.0, BAD_VALUE, "reserve", -1),
    ("allocate", "problem.hurdle", -0.1, BAD_VALUE, "hurdle", -1),
    ("allocate", "problem.tolerance", 2.0, BAD_VALUE, "tolerance", -1),
    ("allocate", "problem.step", -1.0, BAD_VALUE, "step", -1),
    ("allocate", "problem.step", 1e-9, BAD_VALUE, "step", 0),
    ("allocate", "problem.lower.value", 1e5, INFEASIBLE, "problem", 0),
    ("allocate", "problem.current.value", -1.0, BAD_VALUE, "current", -1),
    ("allocate", "problem.buy_cost.value", 1.5, BAD_VALUE, "buy_cost", -1),
    ("allocate", "problem.fixed_cost.value", INF, BAD_VALUE, "fixed_cost", -1),
    ("allocate", "problem.greedy", 1, BAD_VALUE, "greedy", -1),
    ("allocate", "problem.lots.value", -1.0, BAD_VALUE, "lots", -1),
    ("allocate", "problem.max_count", -1, BAD_VALUE, "max_count", -1),
    ("allocate", "problem.min_count", -1, BAD_VALUE, "min_count", -1),
    ("allocate", "problem.min_count", 1, BAD_VALUE, "min_count", 0),
    ("allocate", "problem.groups", -1, BAD_SIZE, "groups", -1),
    ("allocate", "problem.groups", 2**60, BAD_SIZE, "groups", -1),
    ("allocate", "problem.group_of", None, NULL_POINTER, "group_of", -1),
    ("allocate", "problem.group_around", None, NULL_POINTER, "group_around", -1),
    ("allocate", "problem.group_of[1]", 2, BAD_CODE, "group_of", 1),
    ("allocate", "problem.group_of[2]", -1, BAD_SIZE, "group_of", 1),
    ("allocate", "problem.group_around[1]", 1, BAD_CODE, "group_around", 1),
    ("allocate", "problem.kinds", -1, BAD_SIZE, "kinds", -1),
    ("allocate", "problem.kinds", 2**60, BAD_SIZE, "kinds", -1),
    ("allocate", "problem.group_upper.value", NAN, BAD_VALUE, "group_upper", -1),
    ("allocate", "problem.group_lower.value", INF, BAD_VALUE, "group_lower", -1),
    ("allocate", "problem.group_share.value", 1.5, BAD_VALUE, "group_share", -1),
    ("allocate", "problem.group_lower.value", 6e4, INFEASIBLE, "problem", 0),
    ("allocate", "problem.goal", 4, BAD_CODE, "goal", -1),
    ("allocate", "problem.goal", 1, NULL_POINTER, "target", -1),
    ("simulate", "scenarios", None, NULL_POINTER, "scenarios", -1),
    ("simulate", "outcomes", None, NULL_POINTER, "outcomes", -1),
    ("simulate", "room", None, NULL_POINTER, "workspace", -1),
    ("simulate", "size", 0, SHORT, "workspace_size", -1),
    ("simulate", "scenarios.n", -1, BAD_SIZE, "n", -1),
    ("simulate", "scenarios.supply.value", 0.0, BAD_VALUE, "supply", -1),
    ("simulate", "scenarios.borrow.value", 1e-101, BAD_VALUE, "borrow", -1),
    ("simulate", "scenarios.max_operations.value", 1.5, BAD_VALUE, "max_operations", -1),
    ("simulate", "scenarios.max_operations.value", 2.0**31, BAD_VALUE, "max_operations", -1),
    ("simulate", "scenarios.reinvest_decay.value", 1.0, BAD_VALUE, "reinvest_decay", -1),
    ("simulate", "scenarios.near_gap.value", 0.6, BAD_ORDER, "near_gap", -1),
    ("simulate", "scenarios.target_ltv.value", 0.735, BAD_ORDER, "target_ltv", -1),
]  # fmt: skip


@pytest.mark.parametrize(("function", "path", "value", "status", "argument", "index"), REFUSED)
def test_refusals(
    function: str, path: str, value: Any, status: int, argument: str, index: int, library: Library
) -> None:
    host = Host(library)
    assert host.ask(function) == (0, "", -1)
    host = Host(library)
    put(path, value)(host)
    assert host.ask(function) == (status, argument, index)
    if status != INFEASIBLE and function not in ("efficiency", "threshold"):  # those two find bad capital on the way
        assert list(host.fits.params[0:6]) == [7.0] * 6 if host.fits and host.fits.params else True
        assert host.outcomes == host.ffi.NULL or list(host.outcomes.fees[0:2]) == [7.0] * 2
        assert not host.answers or not host.answers.amounts or list(host.answers.amounts[0:3]) == [7.0] * 3


def test_arrays_are_refused_by_place_as_python_does(library: Library) -> None:
    with pytest.raises(InputError, match=re.escape("target[1] = -2.0: a value is not finite or outside of what")):
        library.simulate(1.0, 0.0, np.array([2.0, -2.0]), 0.0)
    with pytest.raises(InputError, match=re.escape("near_gap[1] = 0.2 and far_gap: a value exceeds one")):
        library.simulate(np.ones(2), 0.0, 2.0, 0.0, far_gap=np.array([0.5, 0.1]))
    with pytest.raises(InfeasibleError) as refused:
        library.allocate(some_curves(np.random.default_rng(1), 2), [1e9, 10.0], lower=100.0)
    assert refused.value.problem == (1,)
    assert refused.value.excess == 190.0
    with pytest.raises(InputError, match="wrong is no field"):
        library.simulate(1.0, 0.0, 2.0, 0.0, wrong=1.0)
    with pytest.raises(InputError, match="weights has 1 values, capital has 2"):
        library.fit([0, 2], [1.0, 2.0], [0.5, 0.4], weights=[1.0])


def test_counts_that_contradict_each_other_are_refused(library: Library) -> None:
    host = Host(library)
    host.problem.max_count, host.problem.min_count = 1, 2
    assert host.ask("allocate") == (BAD_ORDER, "min_count", -1)


def test_steps_of_draws_are_looked_at_too(library: Library) -> None:
    """Each draw may say that a ladder's steps lie elsewhere."""
    host = Host(library)
    other = list(host.params)
    other[14], other[15] = 1.0, 4.0  # a knot of 0.5, where there must be none
    host.problem.draws = 2
    host.problem.curves.params = host.array("double", [*host.params, *other])
    host.answers.amounts, host.answers.binding = host.array("double", [7.0] * 8), host.array("int8_t", [7] * 8)
    host.answers.solution = host.array("double", [7.0] * (2 * len(SOLUTION)))
    host.answers.group_prices = host.array("double", [7.0] * 4)
    assert host.ask("allocate") == (BAD_VALUE, "steps", 4)
    host.problem.curves.params[31] = 6.0
    assert host.ask("allocate") == (BAD_VALUE, "params", 31)
    host.problem.curves.params = host.array("double", [*host.params, *other[:12], *[NAN] * 4])
    assert host.ask("allocate") == (0, "", -1)


@pytest.mark.parametrize(
    ("begins", "listed", "refused"),
    [
        (None, [0, 1, 1], (NULL_POINTER, "kind_begins", -1)),
        ([0, 2, 3], None, (NULL_POINTER, "kind_groups", -1)),
        ([1, 2, 3], [0, 1, 1], (BAD_SIZE, "kind_begins", 0)),
        ([0, 2, 1], [0, 1, 1], (BAD_SIZE, "kind_begins", 2)),
        ([0, 3, 3], [0, 1, 1], (BAD_SIZE, "kind_begins", 1)),
        ([0, 2, 3], [1, 0, 1], (BAD_CODE, "kind_groups", 1)),
        ([0, 2, 3], [0, 1, 2], (BAD_CODE, "kind_groups", 2)),
        ([0, 2, 3], [0, 1, 1], (0, "", -1)),
    ],
)
def test_kinds_of_instruments_have_groups_that_rise(
    begins: list[int] | None, listed: list[int] | None, refused: tuple[int, str, int], library: Library
) -> None:
    host = Host(library)
    host.problem.kinds, host.problem.group_around = 2, host.ffi.NULL
    host.problem.kind_begins = host.ffi.NULL if begins is None else host.array("int64_t", begins)
    host.problem.kind_groups = host.ffi.NULL if listed is None else host.array("int64_t", listed)
    host.problem.group_upper.value = 1e4
    assert host.ask("allocate") == refused


@pytest.mark.parametrize("least", [0.0, 0.5])
def test_the_answers_say_which_problems_have_none(least: float, library: Library) -> None:
    host = Host(library)
    host.problem.exactly, host.problem.upper.value, host.problem.min_efficiency.value = 1, 10.0, least
    assert host.ask("allocate") == (INFEASIBLE, "problem", 0)
    assert host.answers.solution[host.functions.ESCALA_SOLUTION_STATUS] == host.functions.ESCALA_TOO_LITTLE_ROOM
    assert host.answers.solution[host.functions.ESCALA_SOLUTION_EXCESS] == host.fault.value == 1e5 - 40.0
    assert np.isnan(list(host.answers.group_prices[0:2])).all()


def test_no_size_differs_from_the_arrays(library: Library) -> None:
    curves = some_curves(np.random.default_rng(2), 4)
    sizes: Any
    for sizes in ({"draws": 200_000}, {"totals": 200_000}):
        with pytest.raises(InputError, match=r"^(draws|totals) is no field of escala\.h that can be set here$"):
            library.allocate(curves, 1e5, **sizes)
    with pytest.raises(InputError, match=r"^n is no field of escala\.h that can be set here$"):
        library.simulate(1000.0, 600.0, 1500.0, 200.0, n=2)
    for params in (curves.params, curves.params[None, :2], np.zeros((1, 4, 3))):
        with pytest.raises(InputError, match=r"^params of shape \(.*\) must be of shape \(draws, 4, 4\)$"):
            library.allocate(curves, 1e5, params=params)
    for value in (2.5, [1, 2], 2**70):
        with pytest.raises(InputError, match=r"^max_nodes must be one number, not .*: \S"):
            library.allocate(curves, 1e5, max_nodes=value)


@pytest.mark.parametrize("name", INPUTS)
def test_ranges_are_those_of_python(name: str, library: Library) -> None:
    from escala.lending import strategy as lending

    interval = {**lending.ARGUMENTS, **lending.FIELDS}[name]
    host = Host(library)
    field = getattr(host.scenarios, name)
    ends = [interval.low, interval.high]
    tried = [*ends, *np.nextafter(ends, -np.inf), *np.nextafter(ends, np.inf), -0.0, NAN, INF, -INF, 0.5, 1.5, 3.0]
    for value in map(float, tried):
        field.value = value
        status, argument, _ = host.ask("simulate")
        refused = status == BAD_VALUE and argument == name
        assert refused != bool(interval.contains(np.array([value]))[0]), value


def test_workspaces_of_absurd_sizes(library: Library) -> None:
    functions, ffi = library.functions, library.ffi
    assert functions.escala_simulate_workspace(-1) == -1
    assert functions.escala_simulate_workspace(2**62) == -1
    assert functions.escala_fit_workspace(-1, ffi.NULL) == -1
    assert functions.escala_fit_workspace(1, ffi.NULL) == -1
    assert functions.escala_allocate_workspace(ffi.NULL) == -1
    exact = functions.escala_simulate_workspace(2)
    host = Host(library)
    for shift in (0, 1, 8, 63):  # wherever the workspace begins, so many bytes are enough
        host.room, host.size = host.array("char", b"\0" * (exact + shift)) + shift, exact
        assert host.ask("simulate")[0] == 0


def test_statuses_have_words(library: Library) -> None:
    texts = [library.status_text(row.value) for row in tables.LIBRARY_STATUS]
    assert texts == [row.doc for row in tables.LIBRARY_STATUS]
    assert len(set(texts)) == 10
    assert library.status_text(99) == "an unknown status"
    assert library.version == VERSION


# ---- Nothing beyond the buffers ----


@pytest.mark.slow
@pytest.mark.parametrize("which", ["native", "other"])
def test_guard_pages(which: str, request: pytest.FixtureRequest) -> None:
    built: Built = request.getfixturevalue(which)
    done = subprocess.run(
        [sys.executable, "-m", "tests.capi.guarded", str(built.shared)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "same\n"), done.stderr[-2000:]


def test_guard_pages_guard() -> None:
    code = "from tests.capi.guarded import *; a = guarded(np.ones(4), True, True); a.ctypes.data_as(ctypes.POINTER(ctypes.c_double))[4]"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, cwd=ROOT)
    assert done.returncode < 0


@pytest.mark.slow
@pytest.mark.parametrize("which", ["native", "other"])
def test_random_calls(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    built: Built = request.getfixturevalue(which)
    program = compiled(HOSTS / "fuzz.c", tmp_path / "fuzz", f"-I{built.header.parent}", built.static, "-lm")
    counted = [list(map(int, line.split()[1:])) for line in said(program, 1, 10_000).splitlines()]
    assert all(row[0] > 300 for row in counted)
    assert all(sum(row[status] for row in counted) > 10 for status in range(2, 10))


def test_the_callers_floating_point_environment_changes_nothing_and_stays(other: Built, tmp_path: Path) -> None:
    """Traps, roundings, flushing to zero: the same bits, no signal, and the environment as it was."""
    include = f"-I{other.header.parent}"
    program = compiled(HOSTS / "environment.c", tmp_path / "environment", include, other.static, "-lm")
    assert said(program) == f"{8 if platform.machine() == 'x86_64' else 7} environments\n"


def test_draws_of_a_curve_whose_limit_is_not_known_are_answered_as_in_python(library: Library) -> None:
    capital = np.linspace(1e4, 4e5, 14)
    records = np.append(capital, 1e5), np.append(0.9 - 1e-6 * capital, 0.5)
    curves = escala.fit(["A"] * 14 + ["B"], *records, family="linear")
    assert np.isnan(curves.trusted_to[1])
    known = curves.params.copy()
    known[1] = known[0]
    for draws in (np.stack([known, curves.params]), np.stack([curves.params, known])):
        expected = escala.allocate(curves, [1e5, 2e5], params=draws)
        found = library.allocate(curves, [1e5, 2e5], params=draws)
        same(found.amounts, expected.amounts.reshape(found.amounts.shape))


#: What every version of the ABI declares: a digest of the header without comments. A version that was given never changes.
DECLARED: dict[str, str] = json.loads((TESTS / "data" / "abi.json").read_text())


def declared(text: str) -> str:
    """Digest what a program is compiled against: declarations, and the numbers of codes; neither comments nor the ABI."""
    bare = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)
    bare = re.sub(r"enum \{ ESCALA_ABI = \d+ \};", "", bare)
    return hashlib.sha256(" ".join(bare.split()).encode()).hexdigest()[:32]


def test_what_the_header_declares_has_a_number_of_its_own() -> None:
    text = header()
    [number] = re.findall(r"ESCALA_ABI = (\d+)", text)
    assert DECLARED.get(number) == declared(text), (
        f"escala.h declares {declared(text)}: raise ESCALA_ABI, unless {number} was never given away, "
        "and write the digest to tests/data/abi.json"
    )
    assert len(set(DECLARED.values())) == len(DECLARED)


def test_any_change_of_a_declaration_is_noticed() -> None:
    text = header()
    for old, new in (
        ("const double *capital;", "const float *capital;"),
        ("int64_t n;", "int32_t n;"),
        ("ESCALA_INFEASIBLE = 9", "ESCALA_INFEASIBLE = 10"),
        ("int escala_fit(", "int escala_fitted("),
    ):
        assert old in text
        assert declared(text.replace(old, new, 1)) != declared(text)
    assert declared(text.replace("/* success */", "/* all is well */")) == declared(text)


def test_sanitizers(pieces: Path, tmp_path: Path) -> None:
    entries = [path for path in pieces.glob("*.o") if path.name not in ("library.o", "whole.o")]
    given = [pieces / "library.c", '-DVERSION="0"', *entries, f"-I{pieces}", "-lm", "-pthread", *SANITIZERS]
    said(compiled(HOSTS / "fuzz.c", tmp_path / "fuzz", *given), 2, 10_000)
    said(compiled(EXAMPLES / "example.c", tmp_path / "example", *given))
    np.tile([[1000.0], [600.0], [1500.0], [200.0]], 99).tofile(tmp_path / "in")
    said(compiled(EXAMPLES / "threads.c", tmp_path / "threads", *given), tmp_path / "in", tmp_path / "out", 99, 2)


def test_valgrind(other: Built, tmp_path: Path) -> None:
    watch = [tool("valgrind"), "--quiet", "--error-exitcode=9", "--leak-check=full"]
    program, _ = hosted("example.c", other, tmp_path, "static")
    said(*watch, program)
    fuzz = compiled(HOSTS / "fuzz.c", tmp_path / "fuzz", f"-I{other.header.parent}", other.static, "-lm")
    said(*watch, fuzz, 3, 400)


# ---- Building and loading ----


def test_build_says_what_is_wrong_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match=r"^cannot write to '.*file/below': Not a directory$"):
        build(tmp_path / "file" / "below")
    with pytest.raises(BuildError, match=r"^cpu must be one of native, x86-64-v2, x86-64-v3, x86-64-v4, not 'i386'$"):
        build(tmp_path, cpu="i386")
    monkeypatch.setenv("CC", "no-such-compiler -m64")
    with pytest.raises(
        BuildError, match=r"^no C compiler found: CC names 'no-such-compiler -m64', which is not there$"
    ):
        build(tmp_path)
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match=r"^no C compiler found: neither cc, gcc nor clang is there$"):
        build(tmp_path)
    (tmp_path / "cc").symlink_to(sys.executable)
    with pytest.raises(BuildError, match=r"^the linker's tools are needed .* but ld is not there \(binutils\)$"):
        build(tmp_path)


def test_what_a_tool_says_is_passed_on(pieces: Path, tmp_path: Path) -> None:
    shutil.copytree(pieces, tmp_path / "work")
    (tmp_path / "work" / "tables.h").write_text("this is no C\n")
    with pytest.raises(BuildError, match=r"failed: tables\.h:1:1: error: ") as refused:
        _link(tmp_path / "work", _tools())
    assert "\n" not in str(refused.value)


def test_the_wheel_holds_what_is_built_from(tmp_path: Path) -> None:
    copy = tmp_path / "project"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"], cwd=copy, check=True)
    (wheel,) = (copy / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"escala/capi/{name}" for name in ("escala.h", "library.c", "escala.pc.in", "entries.py")} <= set(names)


def test_settings_of_the_compiler_do_not_reach_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    monkeypatch.setenv("NUMBA_CPU_NAME", "no-such-processor")
    seen: list[dict[str, str]] = []
    module = importlib.import_module("escala.capi.build")
    monkeypatch.setattr(module, "run_together", lambda _, settings: seen.append(settings))
    _compile_entries(tmp_path, "x86-64-v2")
    (settings,) = seen
    numba = {name: value for name, value in settings.items() if name.startswith("NUMBA_")}
    assert numba == {"NUMBA_CPU_NAME": "x86-64-v2", "NUMBA_CPU_FEATURES": ""}


def test_the_first_failure_ends_the_other_processes() -> None:
    from escala.native.tools import run_together

    fails = [sys.executable, "-c", "raise RuntimeError('no room')"]
    waits = [sys.executable, "-c", "import time; time.sleep(60)"]
    start = time.monotonic()
    with pytest.raises(BuildError, match=r"^python\S* failed: RuntimeError: no room$"):
        run_together([fails, waits], dict(os.environ))
    assert time.monotonic() - start < 30


def test_a_library_in_use_is_not_disturbed(native: Built, other: Built, tmp_path: Path) -> None:
    from escala.capi.build import _placed

    _placed(native.shared, tmp_path)
    used = load(tmp_path / "libescala.so")
    _placed(other.shared, tmp_path)
    assert used.version == VERSION
    assert (tmp_path / "libescala.so").read_bytes() == other.shared.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["libescala.so"]


def test_what_cannot_be_placed_leaves_nothing_behind(native: Built, tmp_path: Path) -> None:
    from escala.capi.build import _placed

    code = (
        "import resource, signal, sys; from pathlib import Path; from escala.capi.build import _placed;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (9999, 9999));"
        "_placed(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(native.shared), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1].endswith("libescala.so': File too large")
    assert list(tmp_path.iterdir()) == []
    crew = [threading.Thread(target=_placed, args=(native.shared, tmp_path)) for _ in range(8)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    assert (tmp_path / "libescala.so").read_bytes() == native.shared.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["libescala.so"]


def test_modules_in_the_callers_folder_are_not_ours(native: Built) -> None:
    with pytest.raises(RuntimeError, match="not this one"):
        runpy.run_path(str(native.shared.parent.parent / "numpy.py"))
    assert load(native.shared).version == VERSION


def test_no_room_for_what_is_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(BuildError, match=r"^the build cannot use '.*/gone/escala-.*': No such file or directory$"):
        build(tmp_path)


def test_of_a_traceback_the_last_line_is_passed_on() -> None:
    from escala.native.tools import run_together

    fails = [sys.executable, "-W", "always", "-c", "import warnings; warnings.warn('an Error'); open('/dev/null/none')"]
    with pytest.raises(BuildError, match=r"^python\S* failed: NotADirectoryError: "):
        run_together([fails], dict(os.environ))


def test_a_bare_name_is_a_file_of_this_folder(native: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(native.shared.parent)
    assert load(native.shared.name).version == VERSION


def test_load_refuses_other_libraries(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"is no libescala: .*cannot open shared object file"):
        load(tmp_path / "libescala.so")
    (tmp_path / "one.c").write_text(
        "int escala_abi(void) { return 9; }\nint escala_check_abi(int abi) { return abi != 9; }\n"
    )
    compiled(tmp_path / "one.c", tmp_path / "one.so", "-shared", "-fPIC")
    with pytest.raises(BuildError, match=r"one.so' has ABI 9, but escala.h has 3$"):
        load(tmp_path / "one.so")
    (tmp_path / "two.c").write_text("int other;\n")
    compiled(tmp_path / "two.c", tmp_path / "two.so", "-shared", "-fPIC")
    with pytest.raises(BuildError, match=r"two.so' is no libescala: .*escala_abi"):
        load(tmp_path / "two.so")


# ---- Other compiled Python code ----


def test_scalar_functions_in_compiled_code() -> None:
    import numba

    rng = np.random.default_rng(9)
    curves = with_ladders(rng, some_curves(rng, 20))
    levels = np.linspace(0.0, 3e6, 501)
    for name in ("efficiency", "utility", "marginal"):
        function = getattr(pointers, name)

        @numba.njit
        def over(levels, numbers, out, function=function):  # type: ignore[no-untyped-def]
            for k in range(levels.size):
                out[k] = function(numbers, levels[k])

        expected = getattr(curves, name)(np.tile(levels, (30, 1)))
        for place in range(30):
            out = np.empty_like(levels)
            over(levels, pointers.curve(curves, place), out)
            same(out, expected[place])


def test_addresses_in_c(library: Library) -> None:
    rng = np.random.default_rng(10)
    curves = with_ladders(rng, some_curves(rng, 8))
    for name in ("efficiency", "utility", "marginal"):
        function = library.ffi.cast("double (*)(double, void *)", pointers.address(name))
        for place in range(12):
            numbers = pointers.curve(curves, place)
            value = function(2e5, library.ffi.cast("void *", numbers.ctypes.data))
            assert value == getattr(curves, name)(2e5)[place]
    for name, expected in {
        "exp": np.exp(0.5),
        "expm1": np.expm1(0.5),
        "log": np.log(0.5),
        "lambert_w0": 0.35173371124919584,
    }.items():
        function = library.ffi.cast("double (*)(double)", pointers.address(name))
        assert function(0.5) == pytest.approx(expected, rel=1e-15)


def test_integral_over_a_curve() -> None:
    curves = CurveSet.from_params(["A", "B"], ["linear", "exponential"], [[-1e-6, 1.0, 0.0], [0.9, 2e-6, 0.1]])
    area, _ = quad(pointers.low_level("efficiency", curves, 1), 0.0, 5e5)
    assert area == pytest.approx(0.9 / 2e-6 * -np.expm1(-1.0) + 0.1 * 5e5, rel=1e-13)
    gained, _ = quad(pointers.low_level("marginal", curves, 0), 0.0, 3e5)
    assert gained == pytest.approx(curves.utility(3e5)[0], rel=1e-13)
    assert quad(pointers.low_level("exp"), 0.0, 1.0)[0] == pytest.approx(math.e - 1.0, rel=1e-14)


def test_pointers_refuse() -> None:
    curves = CurveSet.from_params(["A"], "linear", [[-1e-6, 1.0]])
    with pytest.raises(InputError, match=r"name must be one of efficiency, .*, not 'sin'"):
        pointers.address("sin")
    with pytest.raises(InputError, match=r"place must be in \[0, 0\], not 1"):
        pointers.curve(curves, 1)
    with pytest.raises(InputError, match="efficiency needs curves"):
        pointers.low_level("efficiency")


def test_curve_kernels_and_pointers_agree_on_codes() -> None:
    assert (curve_kernels.EFFICIENCY, curve_kernels.UTILITY, curve_kernels.MARGINAL) == (0, 1, 2)
