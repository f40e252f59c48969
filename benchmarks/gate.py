"""Say whether this tree is slower than a revision, or that it cannot be told: python -m benchmarks.gate REV.

Both trees are timed in turn, by processor time, in processes that are started anew for each round: where code and
arrays come to lie makes a process faster or slower as a whole, so a round counts once, with the median of its pairs. A
second process of the revision is timed beside the first: where it seems slower or faster than itself, nothing is said.

Exit codes: 0 no timing is slower, 1 one is, 2 nothing could be measured, 3 none is slower, but some cannot be told.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parent.parent
TIMINGS = ("lending", "fit", "evaluate", "predict", "allocate", "sweep")
#: A tree is slower when it takes more than this share of the other's time.
ALLOWED: Final = 1.05
CONFIDENCE: Final = 0.99
ROUNDS: Final = 12  # leaves a round out on either side
MOST_ROUNDS: Final = 36
_PAIRS: Final = 5

NOT_SLOWER, SLOWER, CANNOT_TELL = "not slower", "slower", "cannot tell"


@dataclass(frozen=True)
class Verdict:
    """What the ratios of a timing say.

    Attributes
    ----------
    word : str
        ``slower``, ``not slower`` or ``cannot tell``.
    ratio, low, high : float
        Median of the time over the revision's, and its confidence interval.
    reason : str
        Why it cannot be told.
    """

    word: str
    ratio: float
    low: float
    high: float
    reason: str = ""

    def __str__(self) -> str:
        numbers = f"{self.ratio:6.3f} [{self.low:.3f}, {self.high:.3f}]" if math.isfinite(self.high) else f"{'–':>6}"
        return f"{numbers:<24}{self.word}{f': {self.reason}' if self.reason else ''}"


def interval(ratios: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Bound the median of what the ratios are drawn from, by the sign test: whatever their distribution is.

    Parameters
    ----------
    ratios : sequence of float
        One a round.
    confidence : float
        At least this share of such intervals holds the median.

    Returns
    -------
    low, high : float
        0 and inf where there are too few ratios for any bound.
    """
    ordered, n = sorted(ratios), len(ratios)
    left_out, tail = 0, 0.0
    while left_out < n / 2:
        tail += math.comb(n, left_out) / 2.0**n
        if 2.0 * tail > 1.0 - confidence:
            break
        left_out += 1
    if left_out == 0:
        return 0.0, math.inf
    return ordered[left_out - 1], ordered[n - left_out]


def judge(ratios: Sequence[float], control: Sequence[float], allowed: float = ALLOWED) -> Verdict:
    """Judge a timing by its ratios, one a round, and by those of the revision against itself.

    Parameters
    ----------
    ratios : sequence of float
        Time of this tree over the revision's.
    control : sequence of float
        Time of the revision over its own, in two processes.
    allowed : float
        Ratio beyond which it is slower.
    """
    low, high = interval(ratios)
    ratio = statistics.median(ratios) if ratios else math.nan
    least, most = interval(control)
    if most > allowed or least < 1.0 / allowed:
        noise = f"too noisy, the revision takes {least:.3f} to {most:.3f} of its own time"
        return Verdict(CANNOT_TELL, ratio, low, high, noise)
    if low > allowed:
        return Verdict(SLOWER, ratio, low, high)
    if high <= allowed:
        return Verdict(NOT_SLOWER, ratio, low, high)
    return Verdict(CANNOT_TELL, ratio, low, high, f"{allowed} lies in the interval")


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """Give 1 if any is slower, else 3 if any cannot be told, else 0."""
    words = [verdict.word for verdict in verdicts]
    if SLOWER in words:
        return 1
    return 3 if CANNOT_TELL in words else 0


class Child:
    """A process that times one tree."""

    def __init__(self, tree: Path) -> None:
        settings = {**os.environ, "PYTHONPATH": str(tree / "src"), "ESCALA_THREADS": "1", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-P", str(ROOT / "benchmarks/gate_timings.py")]
        self.process = subprocess.Popen(
            command, env=settings, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.tree = tree

    def check(self) -> None:
        """Wait until it is ready, and make sure that it times the tree it is meant to."""
        place = self._answer()
        if not Path(place).is_relative_to(self.tree / "src"):
            raise GateError(f"{self.tree} does not have the package that was imported: {place or 'none could be'}")

    def seconds(self, timing: str) -> float:
        """Run a timing once."""
        assert self.process.stdin
        self.process.stdin.write(f"{timing}\n")
        self.process.stdin.flush()
        answer = self._answer()
        if answer.startswith("!") or not answer:
            raise TimingError(answer.removeprefix("! ") or "the process ended")
        return float(answer)

    def _answer(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


class GateError(Exception):
    """Nothing can be measured."""


class TimingError(Exception):
    """A tree cannot run a timing."""


@contextmanager
def worktree(revision: str) -> Iterator[Path]:
    """Check a revision out beside this tree, for as long as it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder).resolve() / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        done = subprocess.run(
            [*git, "add", "--quiet", "--detach", str(tree), revision], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise GateError(done.stderr.strip())
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


class Gate:
    """Rounds of timings of this tree and of another."""

    def __init__(self, tree: Path, timings: Sequence[str]) -> None:
        self.tree = tree
        self.ratios: dict[str, list[float]] = {name: [] for name in timings}
        self.control: dict[str, list[float]] = {name: [] for name in timings}
        self.failed: dict[str, str] = {}

    def round(self) -> None:
        """Start the processes anew, and time in turn whatever is not told yet."""
        with ExitStack() as stack:
            children = [Child(tree) for tree in (ROOT, self.tree, self.tree)]
            for child in children:
                stack.callback(child.close)
            for child in children:
                child.check()
            for name in self.open():
                try:
                    self._pairs(name, children)
                except TimingError as error:
                    self.failed[name] = str(error)

    def _pairs(self, name: str, children: list[Child]) -> None:
        for child in children:
            child.seconds(name)
        taken: list[list[float]] = [[], [], []]
        for k in range(_PAIRS):
            for which in (k % 3, (k + 1) % 3, (k + 2) % 3):  # each of them comes first in its turn
                taken[which].append(children[which].seconds(name))
        ours, theirs, again = taken
        self.ratios[name].append(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)))
        self.control[name].append(statistics.median(a / b for a, b in zip(again, theirs, strict=True)))

    def open(self) -> list[str]:
        """Name the timings that can be run and cannot be told yet."""
        return [
            name for name, verdict in self.verdicts().items() if verdict.word == CANNOT_TELL and name not in self.failed
        ]

    def verdicts(self) -> dict[str, Verdict]:
        """Judge all timings; none is before its first :data:`ROUNDS` rounds are done."""
        return {name: self._verdict(name) for name in self.ratios}

    def _verdict(self, name: str) -> Verdict:
        if name in self.failed:
            return Verdict(CANNOT_TELL, math.nan, 0.0, math.inf, self.failed[name])
        done = len(self.ratios[name])
        if done < ROUNDS:
            return Verdict(CANNOT_TELL, math.nan, 0.0, math.inf, f"{done} rounds")
        return judge(self.ratios[name], self.control[name])


def main() -> int:
    """Measure, print a line a timing, and exit with what the module says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gate", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("revision", metavar="REV", help="what to compare with: a branch, a tag, a commit")
    parser.add_argument("timings", metavar="TIMING", nargs="*", help=f"of {', '.join(TIMINGS)}; by default all")
    words = parser.parse_args()
    unknown = sorted(set(words.timings) - set(TIMINGS))
    if unknown:
        parser.error(f"there is no timing {unknown[0]!r}")
    try:
        with worktree(words.revision) as tree:
            gate = Gate(tree, words.timings or TIMINGS)
            for done in range(MOST_ROUNDS):
                if not gate.open():
                    break
                print(f"round {done + 1}: {', '.join(gate.open())}", file=sys.stderr)
                gate.round()
    except GateError as error:
        print(f"gate: {error}", file=sys.stderr)
        return 2
    verdicts = gate.verdicts()
    print(f"time over that of {words.revision}, {CONFIDENCE:.0%} interval; slower is more than {ALLOWED}")
    for name, verdict in verdicts.items():
        print(f"{name:<10}{verdict}")
    return exit_code(list(verdicts.values()))


if __name__ == "__main__":
    sys.exit(main())
