"""Large CSV files of plain rows, read by pyarrow: what it would read otherwise than the csv module is left to that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from escala.files.dialect import Layout
from escala.files.numbers import Numbers
from escala.files.times import Times

_Array: TypeAlias = npt.NDArray[Any]

_BLOCK: Final = 1 << 23  # bytes read together
_LONGEST: Final = 1 << 24  # bytes of a line
_EXACT: Final = (
    2**53
)  # microseconds since 1970 that are numbers of their own: beyond, two roundings may differ from one


def columns(
    file: BinaryIO, layout: Layout, kinds: Mapping[int, str]
) -> tuple[dict[int, _Array], list[int], list[int]] | None:
    """Read columns by place; None where the library is not installed or a row is not plain.

    A row is plain if quotes stand only at both ends of a value, no line begins a comment, lines end in one way, every
    row has all values, and each is what its column holds. All else has rules of its own and is rare in large files.

    Returns
    -------
    values : dict of int to array
        float64, objects for text of which equal ones are one.
    dated, zoneless : list of int
        Columns of times that were dates, and those of them with dates that name no zone.
    """
    separators = layout.separators
    is_sure = separators.thousands is None and "." not in separators.doubtful
    if layout.encoding != "utf-8-sig" or not layout.delimiter.isascii() or not is_sure or len(layout.names) < 2:
        return None
    try:
        import pyarrow.csv
    except ImportError:
        return None
    reading = _Reading(layout, kinds)
    try:
        for block in _blocks(file, layout):
            if not _is_plain(block, layout.delimiter) or not reading.take(block):
                return None
    except pyarrow.ArrowException:
        return None
    return reading.result()


def _blocks(file: BinaryIO, layout: Layout) -> Iterator[bytes]:
    """Give the rows behind the header in whole lines."""
    for _ in range(layout.skipped):
        file.readline()
    rest = b""
    is_header = layout.has_header
    while content := file.read(_BLOCK):
        content = rest + content
        end = content.rfind(b"\n") + 1
        if not end and len(content) > _LONGEST:
            yield b"\0"  # not plain: who reads line by line says which it is
            return
        block, rest = content[:end], content[end:]
        if is_header and block:
            block, is_header = _behind_header(block), False
        if block:
            yield block
    if rest:
        yield _behind_header(rest) if is_header else rest


def _behind_header(block: bytes) -> bytes:
    start = 0
    while start < len(block):
        end = block.find(b"\n", start) + 1 or len(block)
        line = block[start:end]
        start = end
        if line.strip(b"\r\n") and not line.startswith((b"#", b'"#')):
            # an odd quote: a name that goes on in the next line, which is not plain
            return b"\0" if line.count(b'"') % 2 else block[start:]
    return b""


def _is_plain(block: bytes, delimiter: str) -> bool:
    # one sign is looked for first: that is many times quicker than two
    if b"\0" in block or (b"\r" in block and block.count(b"\r") != block.count(b"\r\n")):
        return False
    if b"#" in block and (block.startswith((b"#", b'"#')) or b"\n#" in block or b'\n"#' in block):
        return False
    if not block.isascii():
        try:
            block.decode()
        except UnicodeDecodeError:
            return False
    return b'"' not in block or _is_well_quoted(block, delimiter)


def _is_well_quoted(block: bytes, delimiter: str) -> bool:
    """Tell that each quote opens or closes a whole value."""
    signs = np.frombuffer(block, dtype=np.uint8)
    quotes = np.flatnonzero(signs == ord('"'))
    if quotes.size % 2:
        return False
    ends = np.frombuffer(delimiter.encode() + b"\r\n", dtype=np.uint8)
    opening, closing = quotes[::2], quotes[1::2]
    before = signs[opening[opening > 0] - 1]
    after = signs[closing[closing < signs.size - 1] + 1]
    return bool(np.isin(before, ends[[0, 2]]).all() and np.isin(after, ends).all())


@dataclass
class _Reading:
    """Columns of the blocks that were read."""

    layout: Layout
    kinds: Mapping[int, str]
    parts: dict[int, list[_Array]] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)
    times: dict[int, Times] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parts = {place: [] for place in self.kinds}
        numbers = Numbers(self.layout.separators)
        self.times = {place: Times(numbers) for place, kind in self.kinds.items() if kind == "time"}

    def take(self, block: bytes) -> bool:
        """Read a block; False if a value is not what its column holds."""
        table = self._table(block)
        for place, kind in self.kinds.items():
            column = table.column(str(place))
            if kind == "text":
                values = self._texts(column)
            elif kind == "time":
                found = self._moments(place, column)
                if found is None:
                    return False
                values = found
            else:
                if kind != "level" and column.null_count:
                    return False
                values = column.to_numpy()
            self.parts[place].append(values)
        return True

    def _table(self, block: bytes) -> Any:
        import pyarrow as pa
        from pyarrow import csv

        text = pa.dictionary(pa.int32(), pa.string())

        def read() -> Any:
            types = {
                str(place): text if kind == "text" or place in dated else pa.float64()
                for place, kind in self.kinds.items()
            }
            return csv.read_csv(
                pa.BufferReader(block),
                read_options=csv.ReadOptions(column_names=list(map(str, range(len(self.layout.names))))),
                parse_options=csv.ParseOptions(
                    delimiter=self.layout.delimiter, newlines_in_values=b'"' in block, ignore_empty_lines=True
                ),
                convert_options=csv.ConvertOptions(
                    column_types=types,
                    include_columns=list(types),
                    null_values=[""],
                    strings_can_be_null=False,
                    decimal_point=self.layout.separators.decimal,
                ),
            )

        dated = {place for place, times in self.times.items() if times.dated}
        try:
            return read()
        except pa.ArrowInvalid:
            undecided = {place for place, times in self.times.items() if not times.first}
            if not undecided:
                raise
            dated |= undecided
            return read()

    def _texts(self, column: Any) -> _Array:
        values = []
        for chunk in column.chunks:
            texts = np.array([self.seen.setdefault(text, text) for text in chunk.dictionary.to_pylist()], dtype=object)
            values.append(texts[chunk.indices.to_numpy()])
        return np.concatenate(values) if values else np.empty(0, dtype=object)

    def _moments(self, place: int, column: Any) -> _Array | None:
        import pyarrow as pa

        times = self.times[place]
        if not pa.types.is_dictionary(column.type):
            times.first.setdefault("number", 0)
            return None if column.null_count or times.mixed else column.to_numpy()
        values = []
        for chunk in column.chunks:
            seconds, zoneless = _cast(chunk.dictionary)
            times.zoneless |= zoneless
            if seconds is None:
                try:
                    seconds = np.array([times(text) for text in chunk.dictionary.to_pylist()], dtype=np.float64)
                except ValueError:
                    return None
            else:
                times.first.setdefault("date", 0)
            values.append(seconds[chunk.indices.to_numpy()])
        return None if times.mixed else np.concatenate(values) if values else np.empty(0)

    def result(self) -> tuple[dict[int, _Array], list[int], list[int]]:
        """Give the columns as one, those that were dates, and those of them that name no zone."""
        empty = {place: np.empty(0, object if kind == "text" else np.float64) for place, kind in self.kinds.items()}
        values = {place: np.concatenate([empty[place], *parts]) for place, parts in self.parts.items()}
        dated = [place for place, times in self.times.items() if times.dated]
        return values, dated, [place for place in dated if self.times[place].zoneless]


def _cast(texts: Any) -> tuple[_Array | None, bool]:
    """Give the seconds of dates that are all written in one of the two plain ways, and whether they name no zone.

    None for those that are written otherwise.
    """
    import pyarrow as pa

    for zone in (None, "UTC"):
        try:
            counted = texts.cast(pa.timestamp("us", zone)).cast(pa.int64()).to_numpy()
        except pa.ArrowInvalid:
            continue
        if not counted.size or np.abs(counted).max() < _EXACT:
            return counted / 1e6, zone is None and bool(counted.size)
        break
    return None, False
