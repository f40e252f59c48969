"""Settings that every test shares."""

import os
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# Compilation may fall into any example, so there is no deadline; CI must see the same examples each time.
settings.register_profile(
    "escala",
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("long", settings.get_profile("escala"), derandomize=False, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "escala"))


@pytest.fixture(autouse=True)
def _plain_python_kernels() -> Iterator[None]:
    """Let kernels divide by zero without warnings when they run as plain Python."""
    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        with np.errstate(all="ignore"):
            yield
    else:
        yield
