"""The library for this processor, built once a session whichever test asks first."""

from __future__ import annotations

import pytest

from escala.capi import Built, build

_BUILT: dict[str, Built] = {}


def native_library(folders: pytest.TempPathFactory) -> Built:
    """Give the library, built if nobody asked before."""
    if "native" not in _BUILT:
        _BUILT["native"] = build(folders.mktemp("native"))
    return _BUILT["native"]
