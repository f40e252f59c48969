"""Settings that every test shares."""

import asyncio
import functools
import importlib
import inspect
import itertools
import os
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import Server
from tests.properties import USUAL

# Compilation may fall into any example, so there is no deadline; CI must see the same examples each time.
settings.register_profile(
    "escala",
    deadline=None,
    derandomize=True,
    max_examples=USUAL,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("long", settings.get_profile("escala"), derandomize=False, max_examples=2000)
# Where the same tests run once more under another setting of the compiler or of threads.
settings.register_profile("lane", settings.get_profile("escala"), max_examples=15)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "escala"))


@pytest.fixture(autouse=True)
def _plain_python_kernels() -> Iterator[None]:
    """Let kernels divide by zero without warnings when they run as plain Python."""
    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        with np.errstate(all="ignore"):
            yield
    else:
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


#: Fixtures that take their time: servers, clusters, the C library.
_SLOW = {"postgres", "client", "native", "pieces"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests as slow that need what takes its time to make, and as tests of kernels those beside a twin."""
    for item in items:
        if _SLOW & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
        if isinstance(item, pytest.Function) and _has_twins(item.module):
            item.add_marker(pytest.mark.kernel)


@functools.cache
def _has_twins(module: types.ModuleType) -> bool:
    """Tell whether a file imports from tests.naive: nobody needs to put a new file of kernel tests into a list."""
    names = (one.__name__ if inspect.ismodule(one) else getattr(one, "__module__", "") for one in vars(module).values())
    return any(str(name).startswith("tests.naive") for name in names)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Give a PostgreSQL server, started for these tests."""
    server = Server()
    yield server
    server.remove()


_NUMBERS = itertools.count()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give a place for a store that is not there yet, on each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    server: Server = request.getfixturevalue("postgres")
    return server.create(f"test_{next(_NUMBERS)}")


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Give a cluster of processes: one that is killed is replaced, and what it did counts as lost at once."""
    distributed: Any = importlib.import_module("distributed")
    config: Any = importlib.import_module("dask").config
    with (
        config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as workers,
        distributed.Client(workers) as client,
    ):
        yield client
