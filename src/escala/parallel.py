"""The one place with threads: split a range, run a kernel on each part, report progress, stop at once when asked.

Plain threads over a :class:`queue.SimpleQueue`: its ``get`` is C code that a signal interrupts, and no lock of ours
is held there, so Ctrl-C ends a run at once (waiting on ``concurrent.futures`` can hang).
"""

from __future__ import annotations

import functools
import math
import os
import threading
from collections.abc import Callable, Iterator
from numbers import Integral
from pathlib import Path
from typing import Any, ParamSpec, TypeAlias, TypeVar

from escala.errors import InputError

_MOST_THREADS = 256  # more would only wait for each other

Result = TypeVar("Result")
_Given = ParamSpec("_Given")

#: Computes ``start <= i < stop`` in steps of some milliseconds, and yields after each of them.
Part: TypeAlias = Callable[[int, int], Iterator[None]]
#: Called in the caller's thread with the number of elements done so far.
Progress: TypeAlias = Callable[[int], object]


def default_threads(error: type[InputError] = InputError) -> int:
    """Threads to use when nobody says: ``ESCALA_THREADS``, else the processors this process may run on.

    Those are the machine's, or fewer where the process is bound to some, Python was told of fewer, or its control group
    (a container) may use the time of fewer.

    Raises
    ------
    InputError
        The class given, if ``ESCALA_THREADS`` is no integer of at least 1.
    """
    chosen = os.environ.get("ESCALA_THREADS")
    if chosen:
        if not chosen.isdecimal() or int(chosen) < 1:
            raise error(f"ESCALA_THREADS must be an integer of at least 1, not {chosen!r}")
        return int(chosen)
    count = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        count = min(count, len(os.sched_getaffinity(0)))
    return max(1, min(count, _quota()))


@functools.cache
def _quota(root: Path = Path("/sys/fs/cgroup"), of: Path = Path("/proc/self/cgroup")) -> int:
    """Processors' worth of time that the groups of this process may use, rounded up: a container's share."""
    try:
        groups = [line.split(":", 2) for line in of.read_text().splitlines()]
    except OSError:
        return _MOST_THREADS
    least = float(_MOST_THREADS)
    for number, controllers, path in (group for group in groups if len(group) == 3):
        if number == "0":
            folder, read = root, _quota_of_v2
        elif "cpu" in controllers.split(","):
            folder, read = root / "cpu", _quota_of_v1
        else:
            continue
        within = folder / path.lstrip("/")
        for each in (within, *within.parents):
            least = min(least, read(each))
            if each == folder:
                break
    return math.ceil(least)


def _quota_of_v2(folder: Path) -> float:
    """Read ``cpu.max``: a time and the period it is of, or max."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def _quota_of_v1(folder: Path) -> float:
    try:
        quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        return quota / period if quota > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def checked_threads(threads: int | None, error: type[InputError]) -> int:
    """Check a number of threads; None means :func:`default_threads`.

    Raises
    ------
    InputError
        The class given, if it is no integer of at least 1.
    """
    if threads is None:
        return default_threads(error)
    is_span = getattr(getattr(threads, "dtype", None), "kind", "i") == "m"  # which NumPy calls an integer
    if isinstance(threads, bool) or is_span or not isinstance(threads, Integral) or threads < 1:
        raise error(f"threads must be an integer of at least 1, not {threads!r}", arguments=("threads",))
    return int(threads)


def check_threads(threads: int | None, error: type[InputError]) -> None:
    """Check a number of threads that nothing is going to use: what :func:`checked_threads` refuses is refused.

    Raises
    ------
    InputError
        As there.
    """
    if threads is not None or os.environ.get("ESCALA_THREADS"):
        checked_threads(threads, error)


def chunk_size(n: int, threads: int, *, largest: int, multiple: int) -> int:
    """Size of the parts of a range of `n`: at least eight a thread while that leaves `multiple` elements in each."""
    wanted = -(-n // (8 * threads))
    return min(largest, max(multiple, -(-wanted // multiple) * multiple))


def check_progress(progress: object) -> None:
    """Refuse what cannot be told how much is done.

    Raises
    ------
    InputError
        If it is neither None nor can be called.
    """
    if progress is not None and not callable(progress):
        message = f"progress must be a function that is told how much is done, not {progress!r}"
        raise InputError(message, arguments=("progress",))


class _Job:
    """A range in parts, and the crew of threads that works through it."""

    def __init__(self, n: int, chunk: int) -> None:
        self.n = n
        self.chunk = chunk
        self.starts = iter(range(0, n, chunk))
        self.take = threading.Lock()
        from queue import SimpleQueue  # one number needs no threads

        self.news: SimpleQueue[int | BaseException | None] = SimpleQueue()
        self.cancelled = False

    def ranges(self) -> Iterator[tuple[int, int]]:
        while not self.cancelled:
            with self.take:
                start = next(self.starts, None)
            if start is None:
                return
            yield start, min(start + self.chunk, self.n)

    def work(self, make_part: Callable[[], Part]) -> None:
        try:
            part = make_part()
            for start, stop in self.ranges():
                for _ in part(start, stop):
                    if self.cancelled:
                        return
                self.news.put(stop - start)
        except BaseException as error:  # handed to the caller's thread, which raises it
            self.cancelled = True
            self.news.put(error)
        finally:
            self.news.put(None)


def run(
    make_part: Callable[[], Part],
    n: int,
    *,
    chunk: int,
    threads: int,
    progress: Progress | None = None,
) -> None:
    """Compute the range ``0 <= i < n`` in parts of `chunk` elements.

    Parameters
    ----------
    make_part : callable
        Called once in each thread; returns the function that computes a part, with buffers of its own.
    n, chunk, threads : int
        Size of the range, of its parts, and number of threads. One thread, or one part, runs in the caller's.
    progress : callable, optional
        Called in the caller's thread with the number of elements done.

    Raises
    ------
    BaseException
        The first exception of any part; the others are stopped first. A KeyboardInterrupt in the caller's thread
        stops all parts within one of their steps.
    InputError
        If `progress` cannot be called.
    """
    check_progress(progress)
    if threads <= 1 or n <= chunk:
        _run_here(make_part, n, chunk, progress)
        return
    job = _Job(n, chunk)
    crowd = min(threads, _MOST_THREADS, -(-n // chunk))
    crew = [threading.Thread(target=job.work, args=(make_part,), daemon=True) for _ in range(crowd)]
    failure: BaseException | None = None
    done = 0
    working = len(crew)
    try:
        for thread in crew:
            thread.start()
        while working:
            news = job.news.get()
            if news is None:
                working -= 1
            elif isinstance(news, BaseException):
                failure = failure or news
            else:
                done += news
                if progress is not None:
                    progress(done)
    finally:
        job.cancelled = True
        for thread in crew:
            if thread.ident is not None:
                thread.join()
    if failure is not None:
        raise failure


def _run_here(make_part: Callable[[], Part], n: int, chunk: int, progress: Progress | None) -> None:
    part = make_part()
    for start in range(0, n, chunk):
        stop = min(start + chunk, n)
        for _ in part(start, stop):
            pass
        if progress is not None:
            progress(stop)


_MOST_KEPT = 1 << 17  # numbers of a workspace that a thread keeps


def kept(make: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """Let each thread keep the workspace that it made last, if it is not large: for its next call of the same sizes.

    Parameters
    ----------
    make : callable
        Makes arrays that kernels write before they read them, of some sizes.
    """
    mine = threading.local()

    @functools.wraps(make)
    def room(*sizes: int) -> tuple[Any, ...]:
        last = getattr(mine, "last", None)
        if last is not None and last[0] == sizes:
            return last[1]  # type: ignore[no-any-return]
        arrays = make(*sizes)
        if sum(array.size for array in arrays) <= _MOST_KEPT:
            mine.last = sizes, arrays
        return arrays

    return room


async def beside(function: Callable[_Given, Result], *arguments: _Given.args, **named: _Given.kwargs) -> Result:
    """Run a function in a thread beside the event loop, which has others to serve; at the program's end within it.

    Once the main thread has ended there are no more threads to be had, and nobody else to serve.
    """
    import asyncio

    try:
        return await asyncio.to_thread(function, *arguments, **named)
    except RuntimeError:
        if threading.main_thread().is_alive():
            raise
        return function(*arguments, **named)
