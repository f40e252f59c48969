"""The command line: which commands there are, and how a run ends. ``--help`` imports no NumPy."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

from escala import __version__
from escala.commands.terminal import UsageError, say
from escala.errors import EscalaError
from escala.text.visible import in_line

app = App(
    name="escala",
    version=__version__,
    help="How far can capital grow before it stops working?",
    default_parameter=Parameter(negative=()),
    print_error=False,
    exit_on_error=False,
    help_on_error=False,
    suppress_keyboard_interrupt=False,
    result_action="return_none",
)
_groups = {
    "records": App(name="records", help="Import, export, list and delete the efficiency records of a store."),
    "capi": App(name="capi", help="Build the kernels as a C library, without Python at run time."),
}
for _group in _groups.values():
    app.command(_group)

#: Where the commands are, by their words: each is loaded when it is called, and all of them for --help.
COMMANDS = {
    "records import": "records:import_",
    "records export": "records:export",
    "records list": "records:list_",
    "records delete": "imported:delete",
    "capi build": "library:build",
    "predict": "scaling:predict",
    "optimize": "scaling:optimize",
    "analyze": "scaling:analyze",
    "backtest": "backtest:backtest",
    "simulate": "lending:simulate",
    "market": "market:market",
    "plan": "plans:plan",
    "unwind": "plans:unwind",
    "preview": "plans:preview",
    "sweep": "sweeps:sweep",
    "demo": "system:demo",
    "info": "system:info",
    "warm": "system:warm",
}
_ALIASES = {"predict": "predecir", "optimize": "optimizar", "analyze": "analizar"}

for _words, _place in COMMANDS.items():
    *_of, _name = _words.split()
    _parent = _groups[_of[0]] if _of else app
    _parent.command(f"{__package__}.{_place}", name=_name, alias=_ALIASES.get(_words))


def _load_what_is_listed(words: Sequence[str]) -> None:
    """Load the commands that help lists: what they do stands with them."""
    first = words[0] if words else ""
    level = app if not first or first.startswith("-") else _groups.get(first)
    if level is not None:
        level.resolved_commands()


def _show_warning(message: Warning | str, *_: object) -> None:
    say("escala: warning:", in_line(message), file=sys.stderr)


def _fail(error: object, code: int) -> int:
    say("escala:", in_line(" ".join(str(error).split())), file=sys.stderr)
    return code


def _of_level(error: ValueError) -> ValueError:
    """Give the error back if a level of processors was asked for that there is none of; any other is raised again."""
    from escala.kernels import jit  # here alone: most runs need no kernels

    if not isinstance(error, jit.LevelError):
        raise error
    return error


def _make_printable() -> None:
    """See to it that all that is to be printed can be: any text in any encoding, also where output is closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the process
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line, or other words; returns 0, 1 for an error, 2 for wrong usage, 130 after Ctrl-C."""
    code = 0
    _make_printable()
    warnings.showwarning = _show_warning  # type: ignore[assignment]  # ours needs the message alone
    try:
        given = sys.argv[1:] if words is None else words
        _load_what_is_listed(given)
        app(given)
        sys.stdout.flush()
    except CycloptsError as error:
        code = _fail(f"{error} (see --help)", 2)
    except UsageError as error:
        code = _fail(error, 2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        code = _fail(f"{error.filename}: {error.strerror}" if error.filename else error, 1)
    except (EscalaError, UnicodeDecodeError) as error:
        code = _fail(error, 1)
    except ValueError as error:
        code = _fail(_of_level(error), 2)
    except KeyboardInterrupt as stop:
        code = _fail(f"stopped{f'; {stop}' if str(stop) else ''}", 130)
    except SystemExit:  # how rich ends a run whose help goes to a pipe that was closed
        code = 0
    return code
