"""The processors that one extension has code for."""

from __future__ import annotations

from typing import Final

#: Each level's processor and its features, as LLVM spells them.
LEVELS: Final = {
    "v2": ("x86-64-v2", ""),
    "v3": ("x86-64-v3", ""),
    "v4": ("x86-64-v4", "-prefer-256-bit"),  # else its vectors are half as long as they may be
}


def symbol(level: str, name: str) -> str:
    """Name the function of a kernel at one level, in its object file."""
    return f"kernel_{level}_{name.replace('.', '_')}"
