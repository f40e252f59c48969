"""Fuzzers with fresh seeds, for as long as one likes: make fuzz MINUTES=10.

Properties are drawn by hypothesis, file after file in random order, many more examples than in the suite; every function
of the C library is called at random. What fails is printed with its seed, which repeats it, and ends the run.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from escala.capi.build import build

HERE: Final = Path(__file__).parent
_CALLS: Final = 200_000  # of the C library between two looks at the clock
_SEEDS: Final = 2**31
#: Shares of the time.
_C_SHARE: Final = 0.3


def main() -> int:
    """Fuzz until the time is up; 1 if something failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float, nargs="?", default=10.0)
    minutes = parser.parse_args().minutes
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        if not _fuzz_c(Path(folder), begun + 60.0 * _C_SHARE * minutes):
            return 1
    return 0 if _fuzz_properties(begun + 60.0 * minutes) else 1


def _fuzz_c(folder: Path, end: float) -> bool:
    """Call the C library at random until the time is up."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        print("no C compiler: the C library is left out")
        return True
    built = build(folder / "library")
    program = folder / "fuzz"
    sources = [HERE / "capi/fuzz.c", f"-I{built.header.parent}", built.static, "-lm"]
    subprocess.run([compiler, "-std=c11", "-O1", *map(str, sources), "-o", str(program)], check=True)
    calls = 0
    while calls == 0 or time.monotonic() < end:
        seed = 1 + secrets.randbelow(_SEEDS)
        done = subprocess.run([program, str(seed), str(_CALLS)], capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"tests/capi/fuzz.c failed with seed {seed} ({done.returncode}):\n{done.stdout}{done.stderr}")
            return False
        calls += _CALLS
    print(f"C library: {calls:,} calls", flush=True)
    return True


def _fuzz_properties(end: float) -> bool:
    """Draw the properties of one file after the other until the time is up."""
    for count, file in enumerate(_files()):
        left = end - time.monotonic()
        if left <= 0.0 and count:
            print(f"properties: {count} files")
            return True
        seed = secrets.randbelow(_SEEDS)
        options = ["-q", "-x", "-m", "not slow", f"--hypothesis-seed={seed}", "-p", "no:cacheprovider"]
        environment = {**os.environ, "HYPOTHESIS_PROFILE": "long"}
        command = [sys.executable, "-m", "pytest", *options, str(file)]
        print(f"{file.name}, seed {seed}", flush=True)
        try:
            done = subprocess.run(command, env=environment, timeout=max(left, 1.0), check=False)
        except subprocess.TimeoutExpired:
            continue
        if done.returncode:
            print(f"repeat: HYPOTHESIS_PROFILE=long {' '.join(command[1:])}")
            return False
    return True


def _files() -> Iterator[Path]:
    """Give the files that have properties, over and over, each time in another order."""
    there = [
        file for file in sorted(HERE.glob("rooms/test_*.py")) if re.search(r"^@given\b", file.read_text(), re.MULTILINE)
    ]
    while True:
        yield from random.sample(there, len(there))


if __name__ == "__main__":
    sys.exit(main())
