"""Rows to Parquet files of a size that the Hub and its readers like, with statistics in the same pass."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, Iterator, List, Optional

import pyarrow as pa
import pyarrow.parquet as pq

from hfl_datasets._compat import parquet_options, portable_schema
from hfl_datasets._content import ContentHash
from hfl_datasets._features import class_names, embedded, features_of, fitted, has_files
from hfl_datasets._statistics import SplitStatistics

if TYPE_CHECKING:
    from hfl_datasets._sources._model import SplitSource

__all__ = ["MAX_SHARD_BYTES", "Shard", "WrittenSplit", "write_split"]

# As `push_to_hub` of the datasets library: bytes of rows in memory, so files are smaller than that.
MAX_SHARD_BYTES = 500_000_000
# One row group is read to show the first row, and held to write it: small starts fast and costs little.
_ROW_GROUP_BYTES = 32 << 20
_PIECE = 4 << 20
_AHEAD = 3


@dataclasses.dataclass(frozen=True)
class Shard:
    """A Parquet file that was written.

    Attributes:
        path: Where it is.
        rows: How many rows it holds.
        size: Its bytes.
        sha256: Its digest.
    """

    path: Path
    rows: int
    size: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class WrittenSplit:
    """A split that was converted.

    Attributes:
        name: The split's name.
        schema: Its columns, as Parquet holds them.
        features: The features of the datasets library.
        shards: The files.
        rows: How many rows.
        num_bytes: Bytes of the rows in memory.
        content: The digest of all rows.
        statistics: Column to its figures.
    """

    name: str
    schema: pa.Schema
    features: Any
    shards: tuple[Shard, ...]
    rows: int
    num_bytes: int
    content: str
    statistics: Dict[str, Dict[str, Any]]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(shard.size for shard in self.shards)


def write_split(
    split: SplitSource,
    folder: Path,
    *,
    max_shard_bytes: int = MAX_SHARD_BYTES,
    advance: Callable[[int], None] = lambda _: None,
) -> WrittenSplit:
    """Convert a split to Parquet files.

    The same rows in the same batches give the same bytes, so what a first attempt has sent is not sent again.

    Args:
        split: The rows.
        folder: An empty folder for the files.
        max_shard_bytes: Begin a new file when the rows of one are larger than this in memory.
        advance: Called with the number of rows that were read.

    Returns:
        What was written. There is at least one file, also without rows: it holds the schema.
    """
    features = features_of(split.schema, split.features)
    schema = portable_schema(features)
    embeds = has_files(features)
    writer = _ShardWriter(folder, schema, max_shard_bytes)
    with contextlib.closing(writer), _Observer(schema, class_names(features)) as observer:
        for batch in split.batches():
            rows = fitted(embedded(batch) if embeds else batch, schema)
            for piece in _pieces(rows, min(_ROW_GROUP_BYTES, max_shard_bytes)):
                observer.see(piece)
                writer.write(piece)
            advance(batch.num_rows)
        writer.finish()
        content, statistics = observer.result()
        shards = tuple(future.result() for future in writer.shards)
    return WrittenSplit(
        split.name,
        schema,
        features,
        shards,
        sum(shard.rows for shard in shards),
        writer.num_bytes,
        content,
        statistics,
    )


def _pieces(batch: pa.RecordBatch, most: int) -> Iterator[pa.RecordBatch]:
    """Cut a batch that is larger than a row group, or a file, is to be."""
    size = batch.nbytes
    if size <= most or batch.num_rows <= 1:
        yield batch
        return
    step = max(1, batch.num_rows * most // size)
    for start in range(0, batch.num_rows, step):
        yield batch.slice(start, step)


class _Observer:
    """Hashes and counts rows on a thread of its own while they are written; Arrow leaves the lock to both."""

    def __init__(self, schema: pa.Schema, labels: Dict[str, List[str]]) -> None:
        self._content = ContentHash(schema)
        self._statistics = SplitStatistics(schema, labels)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hfl-statistics")
        self._under_way: Deque[Future[None]] = deque()

    def __enter__(self) -> _Observer:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=True)

    def see(self, batch: pa.RecordBatch) -> None:
        # A few batches ahead and no more, or rows would pile up where counting is slower than writing.
        while len(self._under_way) >= _AHEAD:
            self._under_way.popleft().result()
        self._under_way.append(self._thread.submit(self._add, batch))

    def _add(self, batch: pa.RecordBatch) -> None:
        self._content.update(batch)
        self._statistics.update(batch)

    def result(self) -> tuple[str, Dict[str, Dict[str, Any]]]:
        while self._under_way:
            self._under_way.popleft().result()
        return self._content.hexdigest(), self._statistics.figures()


class _ShardWriter:
    """Writes row groups, and begins a new file when one is large enough."""

    def __init__(self, folder: Path, schema: pa.Schema, max_shard_bytes: int) -> None:
        self._folder = folder
        self._schema = schema
        self._most = max_shard_bytes
        self._options = parquet_options(schema)
        self._open: Optional[pq.ParquetWriter] = None
        self._path = folder
        self._waiting: List[pa.RecordBatch] = []
        self._waiting_bytes = 0
        self._rows = 0
        self._bytes = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hfl-sha256")
        self.num_bytes = 0
        self.shards: List[Future[Shard]] = []

    def write(self, batch: pa.RecordBatch) -> None:
        size = batch.nbytes
        if self._bytes and self._bytes + size > self._most:
            self._end_shard()
        self._waiting.append(batch)
        self._waiting_bytes += size
        self._bytes += size
        self._rows += batch.num_rows
        if self._waiting_bytes >= _ROW_GROUP_BYTES:
            self._flush()

    def finish(self) -> None:
        if self._open is not None or self._waiting or not self.shards:
            self._end_shard()

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
        self._thread.shutdown(wait=True)

    def _flush(self) -> None:
        if self._open is None:
            self._path = self._folder / f"{len(self.shards):05d}.parquet"
            self._open = pq.ParquetWriter(self._path, self._schema, **self._options)
        if self._waiting:
            table = pa.Table.from_batches(self._waiting)
            self._open.write_table(table, row_group_size=max(1, table.num_rows))
        self._waiting, self._waiting_bytes = [], 0

    def _end_shard(self) -> None:
        self._flush()
        if self._open is not None:
            self._open.close()
        self._open = None
        self.shards.append(self._thread.submit(_finished, self._path, self._rows))
        self.num_bytes += self._bytes
        self._rows = self._bytes = 0


def _finished(path: Path, rows: int) -> Shard:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for piece in iter(lambda: file.read(_PIECE), b""):
            digest.update(piece)
    return Shard(path, rows, path.stat().st_size, digest.hexdigest())
