"""Folders of images or sounds, laid out as `load_dataset("imagefolder")` knows them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

import pyarrow as pa

from hfl_datasets._sources._bytes import SourcePath
from hfl_datasets._sources._model import Located, Place, Problem, Report, SourceFile
from hfl_datasets._sources._problems import tell

__all__ = ["METADATA", "MediaFolder", "folder_of", "labels_of"]

# The files that say more about the others; their column file_name says about which.
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_BATCH_BYTES = 16 * 1024 * 1024
_ROWS = 256


class MediaFolder:
    """The images or sounds of one split.

    Args:
        name: The folder's name.
        items: The files.
        kind: "image" or "audio".
        labels: The names of all labels, of all splits; without any, there is no label column. A file's label is the
            name of the folder that it is in.
        metadata: Files that hold more columns, by the folder that they are in.
    """

    def __init__(
        self,
        name: str,
        items: Sequence[SourcePath],
        kind: str,
        labels: Sequence[str] = (),
        metadata: Optional[Mapping[str, SourceFile]] = None,
    ) -> None:
        self.name = name
        self.format = kind
        self._items = list(items)
        self._labels = list(labels)
        self._metadata = dict(metadata or {})
        self._schema: Optional[pa.Schema] = None
        self._rows: Optional[Dict[str, Dict[str, Any]]] = None

    def size(self) -> Optional[int]:
        """Return the bytes of all files."""
        return sum(item.size() or 0 for item in self._items)

    def schema(self, report: Optional[Report] = None) -> pa.Schema:
        """Return the columns: the file, its label where there are any, and what the metadata says."""
        if self._schema is None:
            import datasets

            # A sound is stored as it is; decoding it would need a library that not everybody has.
            media = datasets.Image() if self.format == "image" else datasets.Audio()
            fields: Dict[str, Any] = {self.format: media}
            if self._labels:
                fields["label"] = datasets.ClassLabel(names=self._labels)
            for file in self._metadata.values():
                for field in file.schema(report):
                    if field.name != "file_name":
                        made = datasets.Features.from_arrow_schema(pa.schema([field]))
                        fields[field.name] = made[field.name]
            self._schema = datasets.Features(fields).arrow_schema
        return self._schema

    def read(
        self, schema: Optional[pa.Schema] = None, report: Optional[Report] = None
    ) -> Iterator[Located]:
        """Yield its rows; see `SourceFile.read`."""
        schema = schema or self.schema(report)
        rows: List[Dict[str, Any]] = []
        used: List[SourcePath] = []
        size, done = 0, 0
        for item in self._items:
            try:
                with item.open() as stream:
                    data = stream.read()
            except OSError as error:
                place = Place(item.name)
                problem = Problem("unreadable", place, f"{error}.", "Make the file readable.")
                tell(problem, report, error)
                continue
            row = self._row(item, data, report)
            if row is None:
                continue
            rows.append(row)
            used.append(item)
            size += len(data)
            if size >= _BATCH_BYTES or len(rows) == _ROWS:
                yield self._located(rows, used, done, schema)
                done += len(rows)
                rows, used, size = [], [], 0
        if rows:
            yield self._located(rows, used, done, schema)

    def _located(
        self, rows: List[Dict[str, Any]], items: List[SourcePath], done: int, schema: pa.Schema
    ) -> Located:
        columns = [pa.array([row.get(field.name) for row in rows], field.type) for field in schema]
        batch = pa.RecordBatch.from_arrays(columns, schema=schema)
        names = [item.name for item in items]
        return Located(batch, self, done, lambda row: Place(names[row]))

    def _row(
        self, item: SourcePath, data: bytes, report: Optional[Report]
    ) -> Optional[Dict[str, Any]]:
        row: Dict[str, Any] = {self.format: {"bytes": data, "path": Path(item.file_name).name}}
        if self._labels:
            row["label"] = self._labels.index(folder_of(item).name)
        if self._metadata:
            known = self._metadata_rows(report)
            more = known.get(path_of(item))
            if more is None:
                tell(
                    Problem(
                        "missing-metadata",
                        Place(item.name),
                        "No row of the metadata names this file in its column file_name.",
                        "Add a row for it, or remove the file.",
                        "file_name",
                    ),
                    report,
                )
                return None
            row.update(more)
        return row

    def _metadata_rows(self, report: Optional[Report]) -> Dict[str, Dict[str, Any]]:
        if self._rows is None:
            self._rows = {}
            for folder, file in self._metadata.items():
                for located in file.read(file.schema(report), report):
                    for row in located.batch.to_pylist():
                        name = str(row.pop("file_name", ""))
                        self._rows[str(PurePosixPath(folder, name))] = row
        return self._rows


def folder_of(item: SourcePath) -> PurePosixPath:
    """Return the folder that a file is in."""
    return PurePosixPath(path_of(item)).parent


def path_of(item: SourcePath) -> str:
    """Return a file's path, or that of a member in its archive."""
    return item.member if item.member is not None else item.path.as_posix()


def labels_of(
    items: Sequence[SourcePath], splits: Sequence[str], root: Optional[Path]
) -> List[str]:
    """Find the labels that the folders of files stand for.

    Args:
        items: The files of all splits.
        splits: What the folders of splits may be called.
        root: The folder that was given.

    Returns:
        The names in order; none where files stand in one folder, or directly in those of the splits.
    """
    names = {folder_of(item).name for item in items}
    if root is not None and any(
        folder_of(item) == PurePosixPath(root.as_posix()) for item in items
    ):
        return []
    if len(names) < 2 or names & set(splits):
        return []
    return sorted(names)
