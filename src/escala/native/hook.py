"""Wheels with the kernels compiled: ``ESCALA_NATIVE=v2,v3,v4``, which ``make wheel`` says, names the processors.

Without it a wheel is the sources alone, as is what is installed from them: numba compiles where they are used.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeKernels(BuildHookInterface[Any]):
    """Puts the extension beside the sources of the kernels."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the extension, unless it is a wheel of sources or one that points to them."""
        levels = os.environ.get("ESCALA_NATIVE", "").replace(",", " ").split()
        if version == "editable" or not levels:
            return
        place = Path(self.directory) / "native"
        settings = {**os.environ, "PYTHONPATH": str(Path(self.root) / "src")}
        command = [sys.executable, "-P", "-m", "escala.native.build", str(place), *levels]
        subprocess.run(command, env=settings, check=True)
        build_data["force_include"][str(place / "_native.abi3.so")] = "escala/kernels/_native.abi3.so"
        build_data["pure_python"] = False
        build_data["tag"] = "cp311-abi3-linux_x86_64"  # auditwheel says for which systems
