"""Waits for states of other processes, with long limits: how long something takes says nothing on a busy machine."""

from __future__ import annotations

import os
import subprocess
import time
from typing import Any, Final

#: After which a test fails, however busy the machine is.
LIMIT: Final = 600.0


def until_worked(process: subprocess.Popen[Any], seconds: float) -> None:
    """Wait until a process has used so much processor time, which it does however long it takes."""
    until = time.monotonic() + LIMIT
    while worked(process.pid) < seconds:
        assert process.poll() is None, "the process has ended"
        assert time.monotonic() < until, "the process does not work"
        time.sleep(0.05)


def worked(pid: int) -> float:
    """Give the processor time of a process, of all its threads."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
