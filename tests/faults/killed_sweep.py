"""Sweeps that are killed: ``python -m tests.faults.killed_sweep DIRECTORY ROUNDS SEED``; each goes on where the last died."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path

from escala import Design
from escala.sweeps.sink import load_pyarrow
from escala.sweeps.sweep import sweep

CHUNK = 2048
ROWS = 60 * CHUNK - 700
LONGEST_LIFE = 0.08  # seconds
RANGES = {
    "supply": (100.0, 2000.0),
    "borrow": ("supply", 0.3, 0.7),
    "target": ("supply", 1.05, 1.6),
    "wallet": (10.0, 500.0),
    "repay": (0.03, 0.2),
}


def design() -> Design:
    return Design.random(RANGES, ROWS, 5)


def main(directory: Path, rounds: int, seed: int) -> None:
    """Let processes sweep into one directory; each is killed at a random moment."""
    sweep(Design.random(RANGES, CHUNK), threads=1)  # loads the kernels, once
    load_pyarrow()
    draw = random.Random(seed)
    for turn in range(rounds):
        reader, began = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads of NumPy's, none of them at work
            child = os.fork()
        if child == 0:
            try:
                sweep(
                    design(), out=directory, chunk=CHUNK, threads=1 + turn % 3,
                    progress=lambda done: os.write(began, b"."),  # noqa: ARG005, B023
                )  # fmt: skip
            finally:
                os._exit(1)
        os.close(began)
        if turn % 2:  # every other one lives until it finished or found a chunk
            os.read(reader, 1)
        time.sleep(draw.uniform(0.0, LONGEST_LIFE))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
        print(len(list(directory.glob("_chunk-*.state"))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
