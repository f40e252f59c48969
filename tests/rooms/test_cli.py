"""The command line as a user meets it: what it prints, how it fails, and how it ends."""

from __future__ import annotations

import contextlib
import csv
import importlib
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from escala import __version__, kernels
from escala.commands import app, terminal
from tests.command_line import escala, process
from tests.rooms.test_parallel import interruptible
from tests.waiting import LIMIT, until_worked

ONE = ("simulate", "--supply", "1000", "--borrow", "600", "--target", "1500", "--wallet", "200")
STALLS = ("simulate", "--supply", "500", "--borrow", "300", "--target", "2000", "--wallet", "50")


def test_one_scenario_prints_summary_and_operations() -> None:
    done = process(*ONE)
    assert (done.returncode, done.stderr) == (0, "")
    assert "target reached after 7 operations (7 executed, 0 skipped)" in done.stdout
    lines = done.stdout.splitlines()
    assert lines[-1].split() == [
        "7",
        "1,501.51",
        "909.12",
        "106.95",
        "99.144",
        "0.2479",
        "1.512",
        "6.050",
        "1.2222",
        "0.6055",
        "1",
    ]
    assert lines[-8].split() == ["#", "supply", "debt", "drawn", "repaid", "fee", "reinvested", "profit", "health", "LTV", "attempts"]  # fmt: skip


@pytest.mark.slow
def test_long_tables_show_their_ends_unless_all_is_asked_for() -> None:
    short = escala(*STALLS).stdout
    assert "1,775 operations not shown: --operations all shows them" in short
    assert "36 operations were skipped" in short
    assert len(escala(*STALLS, "--all").stdout.splitlines()) > 1795
    assert escala(*STALLS, "--operations", "all").stdout == escala(*STALLS, "--all").stdout
    assert short.startswith(escala(*STALLS, "--operations", "none").stdout)


@pytest.mark.slow
def test_json_of_a_long_run_has_the_operations_that_are_asked_for() -> None:
    done = escala(*STALLS, "--json")
    assert len(done.stdout.splitlines()) < 500
    first = json.loads(done.stdout)
    assert first["operations"]["operation"] == [*range(1, 11), *range(1786, 1796)]
    assert first["operations_left_out"] == 1775
    none = json.loads(escala(*STALLS, "--json", "--operations", "none").stdout)
    assert (none["operations"], none["operations_left_out"]) == ({}, 1795)
    whole = json.loads(escala(*STALLS, "--json", "--operations", "all").stdout)
    assert whole["operations"]["operation"] == list(range(1, 1796))
    assert whole["operations_left_out"] == 0
    assert list(whole) == list(first)


@pytest.mark.slow
def test_json_has_every_number_and_null_for_infinity() -> None:
    content = json.loads(escala("simulate", "--supply", "1000", "--borrow", "0", "--target", "900", "--json").stdout)
    assert content["stop"] == "target_reached"
    assert content["health_factor"] is None
    assert content["final_supply"] == 1000.0
    content = json.loads(escala(*ONE, "--json").stdout)
    assert content["net_equity_change"] == -1.5416310480451034
    assert content["operations"]["attempts"] == [1] * 7


def test_strategy_fields_are_set_by_name() -> None:
    content = json.loads(escala(*ONE, "--set.repay", "0.2", "--set.max-operations", "3", "--json").stdout)
    assert (content["executed"], content["stop"]) == (3, "max_operations")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("simulate", "--supply", "-5", "--borrow", "1", "--target", "9"), 1, "escala: supply must be in [1e-100, 1e+100], but supply = -5.0"),
        (("simulate", "--supply", "5"), 2, "escala: simulate needs --borrow, --target, or --csv FILE"),
        ((*ONE, "--set.repai", "0.1"), 2, "escala: --set.repai: no such strategy field; did you mean 'repay'?"),
        ((*ONE, "--set.near-gap", "0.1", "--set.near_gap", "0.2"), 2, "escala: --set.near_gap is given twice"),
        ((*ONE, "--set.near-gap", "0.7"), 1, "escala: near_gap must not exceed far_gap, but near_gap = 0.7 and far_gap = 0.5"),
        ((*ONE, "--out", "x.csv"), 2, "escala: --out and --threads go with --csv"),
        ((*ONE, "--csv", "x.csv"), 2, "escala: --csv brings all scenarios: leave out --supply, --borrow, --target, --set, --operations, --all and --plot"),
        (("simulate", "--csv", "nothing.csv"), 1, "escala: nothing.csv: No such file or directory"),
        (("simulate", "--csv", "nothing.csv", "--out", "x.xls"), 1, "escala: x.xls: results are written as .csv or .parquet"),
        (("simulate", "--supply", "many"), 2, "escala: Invalid value"),
        (("simulate", "--csv", "x.csv", "--operations", "none"), 2, "escala: --csv brings all scenarios: leave out"),
        (("simulate", "--all", "--operations", "none"), 2, "escala: --all is --operations all: give one of them"),
        (("simulate", "--operations", "some"), 2, 'escala: Invalid value "some" for --operations'),
        (("unknown",), 2, "escala: Unknown command"),
    ],
)  # fmt: skip
def test_errors_are_one_line(arguments: tuple[str, ...], code: int, message: str, tmp_path: Path) -> None:
    done = escala(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


_LIMITS = ("--liquidation-threshold", "0.8", "--min-health-factor", "1")
#: What a command asks for before it looks at its numbers.
NEEDED = {
    "backtest": ("x.csv", "--capital", "1"),
    "sweep": ("x.toml",),
    "plan": ("--max-ltv", "0.8", *_LIMITS),
    "unwind": ("--supply", "2", "--borrow", "1", *_LIMITS),
}


def whole_numbers() -> list[tuple[str, str]]:
    """Give all options that are integers, with their commands."""
    found = []
    for words, place in app.COMMANDS.items():
        module, name = place.split(":")
        hints = get_type_hints(getattr(importlib.import_module(f"escala.commands.{module}"), name), include_extras=True)
        found += [(words, option) for option, kind in hints.items() if has_integers(kind)]
    return found


def has_integers(kind: object) -> bool:
    return kind is int or any(map(has_integers, get_args(kind)))


@pytest.mark.parametrize("number", ["1.5", "2.0", "1e3", "0x10", "1_000"])
@pytest.mark.parametrize(("words", "option"), whole_numbers())
def test_whole_numbers_are_not_rounded(words: str, option: str, number: str) -> None:
    name = f"--{option.replace('_', '-')}"
    done = escala(*words.split(), *NEEDED.get(words, ()), name, number)
    assert done.returncode == 2
    assert done.stderr.startswith(f'escala: Invalid value for {name}: unable to convert "{number}" into int.')


def write(path: Path, *rows: str) -> str:
    path.write_text("\n".join(rows) + "\n")
    return str(path)


@pytest.mark.slow
def test_a_file_of_scenarios_becomes_a_file_of_results(tmp_path: Path) -> None:
    given = write(
        tmp_path / "in.csv", "supply,borrow,target,wallet,repay", "1000,600,1500,200,0.11", "500,300,2000,50,0.11"
    )
    done = escala("simulate", "--csv", given, "--out", str(tmp_path / "out.csv"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 scenarios, 1,802 operations" in done.stdout
    assert f"2 results written to {tmp_path / 'out.csv'}" in done.stdout
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["stop"] for row in rows] == ["target_reached", "stalled"]
    assert rows[0]["final_supply"] == "1501.5124719625292"
    assert rows[1]["repay"] == "0.11"

    assert escala("simulate", "--csv", given, "--out", str(tmp_path / "out.parquet")).returncode == 0
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert table.column("final_supply").to_pylist() == [float(row["final_supply"]) for row in rows]
    assert table.column("stop").to_pylist() == ["target_reached", "stalled"]
    stops = json.loads(escala("simulate", "--csv", given, "--json").stdout)["stop"]
    assert stops == ["target_reached", "stalled"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("supply,borow,target,wallet", "1,0,2,0"), "unknown column 'borow'; did you mean 'borrow'?"),
        (("supply,target", "1,2"), "missing columns borrow, wallet"),
        (("",), "the file is empty"),
        (("supply;borrow;target;wallet", "1;0;2;0"), "columns are supply, borrow, target, wallet and strategy fields, in a header line, separated by commas"),
        (("supply,supply,borrow,target,wallet", "1,1,0,2,0"), "column supply is given twice"),
        (("supply,borrow,target,wallet", "1,0,2,0", "", "1,0,two,0"), "row 4: target must be a number, not 'two'"),
        (("supply,borrow,target,wallet", "1,0,2"), "row 2: 3 values for 4 columns"),
        (("supply,borrow,target,wallet", "1,0,2,0", "", "-1,0,2,0"), "supply must be in [1e-100, 1e+100], but row 4: supply = -1.0"),
        (("supply,borrow,target,wallet,near_gap,far_gap", "1,0,2,0,0.1,0.5", "1,0,2,0,0.6,0.5"), "near_gap must not exceed far_gap, but row 3: near_gap = 0.6 and far_gap = 0.5"),
    ],
)  # fmt: skip
def test_errors_in_files_carry_the_row(rows: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = escala("simulate", "--csv", write(tmp_path / "in.csv", *rows), "--out", str(tmp_path / "out.csv"))
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith(message)
    assert not (tmp_path / "out.csv").exists()


def test_results_never_replace_their_scenarios(tmp_path: Path) -> None:
    given = write(tmp_path / "in.csv", "", "supply,borrow,target,wallet,min-health-factor", "1000,600,1500,200,1.05")
    before = Path(given).read_text()
    done = escala("simulate", "--csv", given, "--out", str(tmp_path / "." / "in.csv"))
    assert (done.returncode, Path(given).read_text()) == (1, before)
    assert "results would replace the scenarios themselves" in done.stderr
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfe\x00")
    assert "bad.csv: not a CSV file in UTF-8" in escala("simulate", "--csv", str(tmp_path / "bad.csv")).stderr
    assert escala("simulate", "--csv", given).returncode == 0


def test_amounts_of_any_size_keep_their_digits() -> None:
    tiny = ("--set.min-profit", "0", "--set.stagnation-tolerance", "0", "--set.reinvest-snap", "0")
    for scale, last in (("e-8", "1.50151e-08"), ("e12", "1.50151e+12")):
        done = escala(
            "simulate",
            f"--supply=1{scale}",
            f"--borrow=.6{scale}",
            f"--target=1.5{scale}",
            f"--wallet=.2{scale}",
            *tiny,
        )
        row = done.stdout.splitlines()[-1].split()
        assert (len(row), row[1]) == (11, last)


@pytest.mark.slow
def test_a_place_that_cannot_be_written_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "escala", "warm"]
    env = {**os.environ, "ESCALA_CACHE_DIR": str(tmp_path / "file" / "below")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("escala: warning: compiled kernels are not kept in")
    assert done.stderr.splitlines()[1].startswith("escala: no kernel was compiled: none could be kept in ")


@pytest.mark.slow
def test_info_and_warm_tell_about_the_compiled_kernels() -> None:
    assert "kept in" in escala("warm").stdout
    facts = json.loads(escala("info", "--json").stdout)
    assert facts["version"] == __version__
    assert facts["not_compiled"] == []
    assert facts["compiled"] == kernels.names()
    assert facts["threads"] >= 1
    assert Path(facts["cache"]).is_dir()
    assert f"version         {__version__}" in escala("info").stdout


def test_help_loads_no_numpy_and_no_event_loop() -> None:
    code = "import sys; sys.argv = ['escala', '--help']; from escala.commands.app import main; main(); assert not {'numpy', 'asyncio'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "simulate" in done.stdout
    assert process("--version").stdout == f"{__version__}\n"


def test_a_command_loads_no_other_one() -> None:
    words = ["simulate", "--supply", "1000", "--borrow", "600", "--target", "1500", "--wallet", "200"]
    code = (
        f"import sys; from escala.commands.app import main; main({words!r})\n"
        "print(sorted(name for name in sys.modules if name.startswith('escala.commands.')), file=sys.stderr)\n"
        "print({'asyncio', 'rich'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "target" in done.stdout
    mine = ["escala.commands.app", "escala.commands.lending", "escala.commands.terminal"]
    assert done.stderr.splitlines() == [str(mine), "set()"]


def test_every_command_is_listed_with_what_it_does() -> None:
    for level in ([], ["records"], ["capi"]):
        listed = process(*level, "--help").stdout
        for words, place in app.COMMANDS.items():
            *of, name = words.split()
            if of == level:
                module, function = place.split(":")
                command = getattr(importlib.import_module(f"escala.commands.{module}"), function)
                assert name in listed
                assert command.__doc__.split()[0] in listed


@pytest.mark.slow
def test_a_closed_pipe_ends_quietly() -> None:
    for reader in ("head -1", "true", "sleep 2"):
        command = f"{sys.executable} -m escala {' '.join(STALLS)} --all | {reader}; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "0"
        assert done.stderr == ""


@pytest.mark.slow
def test_a_picture_is_written_before_the_output_is_closed(tmp_path: Path) -> None:
    command = f"{sys.executable} -m escala {' '.join(STALLS)} --all --plot x.png | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (done.stdout.splitlines()[-1], done.stderr) == ("0", "")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_compiling_is_told_once_with_a_terminal_and_without(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from escala.kernels import jit

    monkeypatch.setattr(jit, "before_compiling", None)
    assert not sys.stderr.isatty()
    terminal.announce_compilation()
    assert capsys.readouterr().err == ""
    jit._announce()
    jit._announce()
    assert capsys.readouterr() == ("", "compiling the kernels, once: a few minutes\n")


@pytest.mark.slow
def test_ctrl_c_ends_in_a_line_that_says_what_was_kept() -> None:
    command = [sys.executable, "-m", "escala", *STALLS, "--set.max-stagnant-operations", "2000000000"]
    command += ["--set.max-operations", "2000000000"]
    with interruptible(command) as child:
        until_worked(child, 6.0)  # past the loading of the kernels
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=LIMIT)
        assert (child.returncode, out, err) == (130, "", "escala: stopped; nothing was kept\n")


@pytest.mark.slow
def test_long_work_shows_a_bar_on_a_terminal_and_none_in_a_pipe(tmp_path: Path) -> None:
    rows = ["supply,borrow,target,wallet", *["1000,600,1500,200"] * 2000]
    command = [sys.executable, "-m", "escala", "simulate", "--csv", write(tmp_path / "in.csv", *rows)]
    piped = subprocess.run(command, capture_output=True, text=True, check=True)
    assert piped.stderr == ""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, text=True, check=True)
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # what a terminal says when all is read
            while part := terminal.read(65536):
                shown += part
    assert b"simulating" in shown
    assert done.stdout == piped.stdout
