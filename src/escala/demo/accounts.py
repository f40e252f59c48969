"""374 real Aave accounts: collateral, debt and limits of each."""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from escala.arrays import Floats


@dataclass(frozen=True)
class Accounts:
    """Real accounts: arrays of one element an account, amounts in the data's unit of account."""

    supply: Floats
    borrow: Floats
    liquidation_threshold: Floats
    loan_to_value: Floats
    reported_health_factor: Floats
    #: Debts of accounts without any collateral, which cannot be simulated.
    left_over: Floats


def load_accounts() -> Accounts:
    """Read the accounts that are shipped with the package."""
    packed = files("escala").joinpath("demo/data/aave_positions.csv.gz").read_bytes()
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(packed).decode())))
    columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    kept = columns["supply"] > 0.0
    return Accounts(
        supply=columns["supply"][kept],
        borrow=columns["borrow"][kept],
        liquidation_threshold=columns["liquidation_threshold"][kept],
        loan_to_value=columns["loan_to_value"][kept],
        reported_health_factor=columns["health_factor"][kept],
        left_over=columns["borrow"][~kept],
    )
