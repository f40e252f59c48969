"""Plans and previews on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from escala import plan_leverage, plan_unwind, preview
from tests.command_line import escala

LIMITS = ("--max-ltv", "0.8", "--liquidation-threshold", "0.85", "--min-health-factor", "1.01")


def answer(*arguments: str) -> Any:
    done = escala(*arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_plan_answers_what_python_does(tmp_path: Path) -> None:
    words = ("plan", "--equity", "1000", "--leverage", "2.5", *LIMITS, "--gas", "2", "--swap-fee", "0.0005")
    plan = plan_leverage(
        1000, leverage=2.5, max_ltv=0.8, liquidation_threshold=0.85, min_health_factor=1.01, gas=2, swap_fee=0.0005
    )
    told = answer(*words)
    assert told["status"] == "reached"
    assert {name: told[name] for name in plan.NAMES if name != "status"} == {
        name: value for name, value in plan.one().items() if name != "status"
    }
    assert told["operations"]["action"][:5] == ["deposit", "borrow", "buy", "deposit", "borrow"]
    assert told["operations"]["amount"] == plan.operations["amount"].tolist()
    assert told["flash_operations"]["action"] == [
        "deposit", "flash_loan", "buy", "deposit", "borrow", "repay_flash_loan"
    ]  # fmt: skip
    done = escala(*words, "--plot", str(tmp_path / "plan.svg"))
    assert plan.summary() in done.stdout
    assert f"picture written to {tmp_path / 'plan.svg'}" in done.stdout
    assert (tmp_path / "plan.svg").read_text().startswith("<?xml")


def test_unwind_answers_what_python_does() -> None:
    words = ("unwind", "--supply", "2500", "--borrow", "1500", "--close", "--liquidation-threshold", "0.85",
             "--min-health-factor", "1.05")  # fmt: skip
    plan = plan_unwind(2500, 1500, close=True, liquidation_threshold=0.85, min_health_factor=1.05)
    told = answer(*words)
    assert told["cash_out"] == float(plan.cash_out)
    assert told["health_factor"] is None  # without debt it is infinite
    assert told["flash_operations"]["action"][-1] == "withdraw"
    assert plan.summary() in escala(*words).stdout


def test_preview_answers_what_python_does() -> None:
    words = ("preview", "--supply", "ETH=10", "BTC=0.5", "--price", "ETH=2000", "BTC=60000", "--borrow", "20000",
             "--liquidation-threshold", "ETH=0.83", "BTC=0.78", "--do", "fall=0.2", "withdraw=0.5:BTC")  # fmt: skip
    shown = preview(
        {"ETH": 10, "BTC": 0.5}, 20_000, [("fall", 0.2), ("withdraw", 0.5, "BTC")], price={"ETH": 2000, "BTC": 60_000},
        liquidation_threshold={"ETH": 0.83, "BTC": 0.78},
    )  # fmt: skip
    told = answer(*words)
    assert told["steps"] == ["start", "fall 0.2", "withdraw 0.5 BTC"]
    assert told["refused"] == ["none", "none", "health"]
    assert told["health_factor"] == shown.health_factor.tolist()
    assert told["liquidation_price_ETH"] == shown.liquidation_price[:, 0].tolist()
    assert escala(*words).stdout == shown.summary() + "\n"
    one = answer("preview", "--supply", "10", "--borrow", "9.35", "--emode", "wsteth_eth")
    assert one["health_factor"] == pytest.approx([0.955 / 0.935])


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("plan", "--equity", "1", *LIMITS), 2, "plan needs --leverage, --ltv, --to-supply or --rounds"),
        (("plan", "--equity", "1", "--leverage", "0.5", *LIMITS), 1, "leverage must be in [1, 1000000.0]"),
        (("plan", "--equity", "1", "--leverage", "2", *LIMITS, "--plot", "x.doc"), 1, "x.doc"),
        (("unwind", "--supply", "2", "--borrow", "1", *LIMITS), 2, "unwind needs --to-ltv, --to-leverage, --repay"),
        (("unwind", "--supply", "2", "--borrow", "1", "--repay", "3", *LIMITS), 1, "repay must not exceed borrow"),
        (("preview", "--borrow", "1"), 2, "preview needs --supply"),
        (("preview", "--supply", "1"), 1, "give liquidation_threshold, or an emode"),
        (("preview", "--supply", "ten"), 2, "--supply: 'ten' is no number"),
        (("preview", "--supply", "A=1", "B=x"), 2, "--supply B: 'x' is no number"),
        (("preview", "--supply", "A=1", "2"), 2, "--supply is one number, or NAME=NUMBER for several, not A=1 2"),
        (("preview", "--supply", "1", "--do", "borrow"), 2, "--do: an action is written as deposit=2 or deposit=2:ETH"),
        (("preview", "--supply", "1", "--do", "borrow=x"), 2, "--do borrow: 'x' is no number"),
        (("preview", "--supply", "1", "--liquidation-threshold", "0.8", "--do", "lend=1"), 1, "--do lend: no action"),
        (
            ("preview", "--supply", "1", "--liquidation-threshold", "0.8", "--do", "borrow=1", "repay=-1"),
            1,
            "--do repay must be 0 or in [1e-100, 1e+100], but --do repay = -1.0",
        ),
        (("preview", "--supply", "A=1", "B=1", "A=2"), 2, "--supply names 'A' twice"),
        (("preview", "--supply", "A=1", "--price", "A=1", "A=2"), 2, "--price names 'A' twice"),
    ],
)
def test_wrong_words_are_told_in_a_line(words: tuple[str, ...], code: int, message: str) -> None:
    done = escala(*words)
    assert done.returncode == code
    assert done.stdout == ""
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
