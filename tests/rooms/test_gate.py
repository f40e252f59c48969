"""The benchmark gate: what it concludes from given ratios, and how often it errs."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import gate
from benchmarks.gate import CANNOT_TELL, NOT_SLOWER, SLOWER, Verdict, exit_code, interval, judge

from tests.places import ROOT

SAME = [0.99, 1.0, 1.01, 0.995, 1.005, 1.0, 0.99, 1.01, 1.0, 0.998, 1.002, 1.0]


def shifted(factor: float) -> list[float]:
    return [factor * ratio for ratio in SAME]


def test_a_tree_as_quick_as_the_revision_is_not_slower() -> None:
    found = judge(SAME, SAME)
    assert (found.word, found.ratio) == (NOT_SLOWER, 1.0)
    assert found.low <= 1.0 <= found.high


def test_a_tree_that_takes_a_tenth_more_is_slower() -> None:
    assert judge(shifted(1.10), SAME).word == SLOWER


def test_a_quicker_tree_is_not_slower() -> None:
    assert judge(shifted(0.5), SAME).word == NOT_SLOWER


def test_a_ratio_on_the_border_cannot_be_told() -> None:
    found = judge(shifted(gate.ALLOWED), SAME)
    assert (found.word, found.reason) == (CANNOT_TELL, "1.05 lies in the interval")


def test_one_wild_round_on_either_side_changes_nothing() -> None:
    assert judge([*SAME[:-2], 5.0, 0.2], SAME) == judge([*SAME[:-2], 1.01, 0.99], SAME)


def test_where_the_revision_differs_from_itself_nothing_is_said() -> None:
    for control in (shifted(1.10), shifted(0.9), [0.8, 1.2] * 6):
        found = judge(shifted(2.0), control)
        assert (found.word, found.reason[:9]) == (CANNOT_TELL, "too noisy")


@pytest.mark.parametrize("count", [0, 1, 7])
def test_few_rounds_bound_nothing(count: int) -> None:
    assert interval([1.0] * count) == (0.0, math.inf)
    assert judge([1.0] * count, SAME).word == CANNOT_TELL


def test_the_interval_is_that_of_the_sign_test() -> None:
    ratios = list(map(float, range(1, 13)))
    assert interval(ratios) == (2.0, 11.0)  # 26 of 4,096 sequences of signs lie beyond it
    assert interval(ratios, 0.995) == (1.0, 12.0)
    assert interval(ratios[::-1], 0.9) == (3.0, 10.0)


def test_the_interval_holds_the_median_as_often_as_it_says() -> None:
    drawn = np.random.default_rng(1).lognormal(0.0, 0.05, (4000, gate.ROUNDS))
    held = [low <= 1.0 <= high for low, high in map(interval, drawn.tolist())]
    assert np.mean(held) >= gate.CONFIDENCE - 3.0 * math.sqrt(gate.CONFIDENCE * (1.0 - gate.CONFIDENCE) / len(held))


def test_exit_codes() -> None:
    slower, well, unknown = (Verdict(word, 1.0, 0.9, 1.1) for word in (SLOWER, NOT_SLOWER, CANNOT_TELL))
    assert exit_code([well, well]) == 0
    assert exit_code([well, slower, unknown]) == 1
    assert exit_code([well, unknown]) == 3


def test_what_is_no_revision_is_refused() -> None:
    command = [sys.executable, "-m", "benchmarks.gate", "no-such-revision"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("gate: ")
    assert "Traceback" not in done.stderr


def test_a_child_times_the_tree_it_is_given() -> None:
    child = gate.Child(ROOT)
    try:
        child.check()
        assert child.seconds("lending") > 0.0
        with pytest.raises(gate.TimingError, match="KeyError"):
            child.seconds("no such timing")
    finally:
        child.close()


def test_a_tree_without_the_package_is_refused(tmp_path: Path) -> None:
    child = gate.Child(tmp_path)
    try:
        with pytest.raises(gate.GateError):
            child.check()
    finally:
        child.close()
