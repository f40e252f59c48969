"""A directory of results: one Parquet file and one small file of totals a chunk, valid whenever a sweep dies.

``chunk-000000.parquet`` holds the rows, ``_chunk-000000.state`` the totals over them and both checksums; it comes
last, so a chunk without it counts as not done. ``_sweep.json`` says what is swept, ``_README.txt`` the same to people.
What reads a folder of Parquet files passes over names that begin with an underscore. Every file is written under
another name and then renamed. Chunks are not forced to the disk one by one, which would cost as much as all of the
writing: what a power failure tears does not have its checksum and is computed again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats
from escala.errors import SweepError
from escala.files import json as jsonable
from escala.files import table as table_file
from escala.files import whole
from escala.sweeps.accumulate import State
from escala.sweeps.plan import Plan

MANIFEST: Final = "_sweep.json"
SUMMARY: Final = "_summary.json"
README: Final = "_README.txt"
#: What the manifest was called when the other files stood in the way of whoever read the folder.
_FORMER_MANIFEST: Final = "sweep.json"
_LOCK: Final = ".lock"
_GROUP: Final = 65_536  # rows of a row group
_HEADERS: Final = 8192  # bytes of a column in a row group beside its values, and more than enough of the file's own
_READ: Final = 1 << 20


class Sink:
    """Where the chunks of one plan go; picklable, so that other machines can write to a directory they share.

    Parameters
    ----------
    directory : Path
        Made ready by :func:`opened`.
    plan : Plan
        The sweep.
    rows : bool
        Whether rows are kept, or only totals.
    """

    def __init__(self, directory: Path, plan: Plan, rows: bool) -> None:
        self.directory = directory
        self.plan = plan
        self.rows = rows

    def finished(self, chunk: int) -> State | None:
        """Give the totals of a chunk that is there whole; None if it is missing, damaged or another."""
        try:
            packed = self.path(chunk, "state").read_bytes()
            line, _, rest = packed[:-4].partition(b"\n")
            if len(packed) < 4 or zlib.crc32(packed[:-4]) != int.from_bytes(packed[-4:], "little"):
                return None
            entry = json.loads(line)
            if {key: entry.get(key) for key in self.identity(chunk)} != self.identity(chunk):
                return None
            if self.rows and _checksum(self.path(chunk, "parquet")) != entry["parquet"]:
                return None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failure(self.directory, f"chunk {chunk} cannot be read", error) from None
        return State.from_bytes(rest)

    def count(self) -> int:
        """Count the chunks that are there."""
        return sum(1 for _ in self.directory.glob("_chunk-*.state"))

    def identity(self, chunk: int) -> dict[str, Any]:
        """Say which rows of what a chunk is: a file that strayed here from elsewhere says another thing."""
        return {"plan": self.plan.digest, "rows": list(self.plan.bounds(chunk))}

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the summary beside the chunks."""
        with _reported(self.directory, SUMMARY):
            whole.write(self.directory / SUMMARY, _json(summary))

    def path(self, chunk: int, kind: str) -> Path:
        """Name a file of a chunk."""
        return self.directory / f"{'' if kind == 'parquet' else '_'}chunk-{chunk:06}.{kind}"


class Files:
    """The rows of one chunk after the other, until they are written; one thread's alone.

    Parameters
    ----------
    sink : Sink
        Where to.
    """

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self._chunk = -1
        self._held = 0
        if sink.rows:
            self._room = blank_rows(sink.plan, min(sink.plan.chunk, sink.plan.n))
            self._content = room_for(self._room)

    def begin(self, chunk: int) -> None:
        """Begin with a chunk."""
        self._chunk = chunk
        self._held = 0

    def add(self, columns: Mapping[str, Floats], table: Floats, stop: npt.NDArray[np.int64] | None) -> None:
        """Take rows: columns of the design, outputs (m, n), and codes of the end if there are any."""
        if not self.sink.rows:
            return
        plan = self.sink.plan
        place = slice(self._held, self._held + table.shape[1])
        for name in plan.names:
            self._room[name][place] = columns[name]
        for name, values in zip(plan.outputs, table, strict=True):
            self._room[name][place] = values
        if stop is not None:
            self._room["stop"][place] = stop
        self._held += table.shape[1]

    def finish(self, state: State) -> None:
        """Bring the rows to the disk, then the totals with the rows' checksum: they make the chunk valid."""
        entry = self.sink.identity(self._chunk)
        with _reported(self.sink.directory, f"chunk {self._chunk}"):
            if self.sink.rows:
                columns = {name: room[: self._held] for name, room in self._room.items()}
                content = to_parquet(columns, self._content, legend(self.sink.plan))
                entry["parquet"] = [len(content), zlib.crc32(content)]
                whole.write(self.sink.path(self._chunk, "parquet"), content, forced=False)
            packed = json.dumps(entry).encode() + b"\n" + state.to_bytes()
            packed += zlib.crc32(packed).to_bytes(4, "little")
            whole.write(self.sink.path(self._chunk, "state"), packed, forced=False)


def blank_rows(plan: Plan, n: int) -> dict[str, npt.NDArray[Any]]:
    """Give room for n rows of a file."""
    room: dict[str, npt.NDArray[Any]] = {name: np.empty(n) for name in plan.names}
    if plan.model.stops:
        room["stop"] = np.empty(n, dtype=np.int8)
    whole = plan.model.whole
    return room | {name: np.empty(n, dtype=np.int64 if name in whole else np.float64) for name in plan.outputs}


def legend(plan: Plan) -> dict[str, str]:
    """Say what the codes in the column ``stop`` mean."""
    return {str(int(code.value)): code.name for code in plan.model.stops}


def _explained(plan: Plan, *, rows: bool) -> str:
    """Say what lies in the folder."""
    lines = [f"A sweep of {plan.n:,} rows by escala: the design, and the plan, are in {MANIFEST}."]
    if rows:
        lines.append("chunk-*.parquet hold the rows in order; the folder can be read as one table.")
    if rows and plan.model.stops:
        lines.append("Column stop: " + ", ".join(f"{code} = {name}" for code, name in legend(plan).items()) + ".")
    lines.append(f"_chunk-*.state are what is needed to go on; {SUMMARY} is there once all is done.")
    return "\n".join([*lines, ""])


def room_for(rows: Mapping[str, npt.NDArray[Any]]) -> Any:
    """Give memory that rows fit into as the content of a Parquet file."""
    pyarrow, _ = load_pyarrow()
    count = max(column.size for column in rows.values())
    return pyarrow.allocate_buffer(bytes_of_rows(rows, count) + _HEADERS * (1 + count // _GROUP) * len(rows))


def bytes_of_rows(columns: Mapping[str, npt.NDArray[Any]], n: int) -> int:
    """Size of n rows in a Parquet file, which has no numbers of less than four bytes."""
    return n * sum(max(4, column.itemsize) for column in columns.values())


def to_parquet(rows: Mapping[str, npt.NDArray[Any]], room: Any, stops: Mapping[str, str]) -> memoryview:
    """Give rows as the content of a Parquet file, with the meaning of the codes in ``stop`` as its metadata.

    It is made in memory, because a writer whose disk is full cannot be closed; and in memory that is used again,
    because pages that are new to a process cost as much as writing them.
    """
    pyarrow, parquet = load_pyarrow()
    table = pyarrow.table({name: pyarrow.array(column) for name, column in rows.items()})
    if stops:
        table = table.replace_schema_metadata({"stop": json.dumps(stops)})
    stream = pyarrow.FixedSizeBufferWriter(room)
    parquet.write_table(
        table, stream, row_group_size=_GROUP, use_dictionary=False, write_statistics=False, compression="none"
    )
    return memoryview(room)[: stream.tell()]


@contextlib.contextmanager
def opened(directory: Path, plan: Plan, *, rows: bool, resume: bool) -> Iterator[Sink]:
    """Make a directory ready for a plan, and keep other processes from it meanwhile.

    Raises
    ------
    SweepError
        If it cannot be written, holds something else or another sweep, or another process is at work in it; nothing
        in it was changed then.
    MissingExtraError
        If rows are to be kept and pyarrow is not installed.
    """
    if rows:
        load_pyarrow()
    manifest = {**plan.content(), "chunk": plan.chunk, "chunks": plan.chunks, "parquet": rows}
    _is_of(directory, manifest)
    with _reported(directory, "the directory"):
        directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory):
        known = _is_of(directory, manifest)  # again: until now another process may have swept into it
        with _reported(directory, MANIFEST):
            for left in _left_over(directory):
                left.unlink()
            if not resume:
                for state in directory.glob("_chunk-*.state"):
                    state.unlink()
            if not known:
                whole.write(directory / README, _explained(plan, rows=rows).encode())
                whole.write(directory / MANIFEST, _json(manifest))
        yield Sink(directory.absolute(), plan, rows)


def _is_of(directory: Path, manifest: Mapping[str, Any]) -> bool:
    """Tell whether a directory already holds the sweep of a manifest; refuse it if it holds another."""
    known = _read_manifest(directory)
    if known is not None:
        _compare(directory, known, json.loads(_json(manifest)))
    return known is not None


def _left_over(directory: Path) -> list[Path]:
    """Find what writers left that were killed."""
    return [path for kind in ("chunk-*", "_chunk-*", "*.json.*", "*.txt.*") for path in directory.glob(f".{kind}.part")]


def _read_manifest(directory: Path) -> dict[str, Any] | None:
    """Give what a directory says of itself; None if it is not there yet, or empty."""
    try:
        text = (directory / MANIFEST).read_bytes()
    except FileNotFoundError:
        if (directory / _FORMER_MANIFEST).exists():
            raise SweepError(f"{directory} holds a sweep of an older version; choose another directory") from None
        entries = [path.name for path in directory.iterdir()] if directory.is_dir() else []
        foreign = sorted({*entries} - {_LOCK, README, *(path.name for path in _left_over(directory))})
        if foreign:
            raise SweepError(f"{directory} is not empty and holds no sweep: there is {foreign[0]}") from None
        return None
    except OSError as error:
        raise _failure(directory, "cannot be used", error) from None
    try:
        content = json.loads(text)
        content["format"]
    except (ValueError, TypeError, KeyError):
        raise SweepError(f"{directory}: {MANIFEST} is not that of a sweep") from None
    return dict(content)


def _compare(directory: Path, known: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for key in wanted:
        if key != "design" and known.get(key) != wanted[key]:
            name, there, here = _difference(key, known.get(key), wanted[key])
            asked = f"{directory} holds another sweep: its {name} is {_brief(there)}, not {_brief(here)}"
            raise SweepError(f"{asked}; choose another directory")


def _difference(name: str, one: Any, other: Any) -> tuple[str, Any, Any]:
    """Go down to the first thing in which two contents differ: gives its name and what it is in each."""
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = [(f"{name}.{key}", one.get(key), other.get(key)) for key in {**one, **other}]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(f"{name}[{k}]", *both) for k, both in enumerate(zip(one, other, strict=True))]
    else:
        pairs = []
    for inner, first, second in pairs:
        if first != second:
            return _difference(inner, first, second)
    return name, one, other


def _brief(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        with _reported(directory, "the directory"):
            handle = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            lock = stack.enter_context(os.fdopen(handle, "wb"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SweepError(f"{directory}: another process is sweeping into it") from None
        except OSError:  # a file system without locks: the files are valid all the same
            pass
        yield


def _checksum(path: Path) -> list[int]:
    """Size and CRC-32 of a file."""
    size, crc = 0, 0
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_READ):
            size += len(piece)
            crc = zlib.crc32(piece, crc)
    return [size, crc]


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(jsonable.plain(content), indent=1, allow_nan=False) + "\n").encode()


def load_pyarrow() -> tuple[Any, Any]:
    """Load what writes Parquet.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    return table_file.pyarrow("keep no rows (rows=False)")


@contextlib.contextmanager
def _reported(directory: Path, what: str) -> Iterator[None]:
    """Turn what the system says into one line that names the directory."""
    try:
        yield
    except OSError as error:
        raise _failure(directory, f"{what} cannot be written", error) from None


def _failure(directory: Path, what: str, error: OSError) -> SweepError:
    reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
    return SweepError(f"{directory}: {what}: {reason}")
