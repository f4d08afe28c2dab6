"""One way in for everything that can be given as a dataset."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

import pyarrow as pa

from hfl_datasets._sources._arrow import ArrowFile
from hfl_datasets._sources._bytes import SourcePath
from hfl_datasets._sources._csv import CsvFile
from hfl_datasets._sources._json import JsonFile
from hfl_datasets._sources._media import METADATA, MediaFolder, folder_of, labels_of
from hfl_datasets._sources._model import Source, SourceFile, SplitSource
from hfl_datasets._sources._objects import DatasetFile, GeneratorFile, TableFile, frame_to_table
from hfl_datasets._sources._parquet import ParquetFile
from hfl_datasets._sources._paths import FORMATS, expand, format_of, split_of
from hfl_datasets._sources._text import TextFile
from hfl_datasets.errors import UnsupportedSourceError

__all__ = ["open_source"]

_SUPPORTED = (
    "Pass a file or a folder (csv, tsv, json, jsonl, parquet, arrow, feather, txt, images, audio, each also compressed "
    "or in a zip archive), a pattern, {split: source}, a datasets object, a pandas frame, an Arrow table, or a "
    "function that yields rows."
)


def open_source(
    source: Any,
    *,
    split: str = "train",
    format: Optional[str] = None,  # noqa: A002  # the word that people look for
    delimiter: Optional[str] = None,
    encoding: Optional[str] = None,
) -> Source:
    """Open anything that a dataset can be made from.

    Nothing is read yet but names, and the footers of files that have one.

    Args:
        source: A path, a pattern, a list of paths, ``{"split": source}``, an object of the `datasets` library, a pandas
            frame, an Arrow table or batch, a list of dictionaries, or a function or iterator that yields rows.
        split: The split's name where the source names none.
        format: The format of files whose name does not say it: one of csv, tsv, json, jsonl, parquet, arrow, text.
        delimiter: What separates the fields of a CSV file.
        encoding: What text is written in; UTF-8, or what a byte order mark says, if None.

    Returns:
        The source.

    Raises:
        SourceNotFoundError: A path or pattern names no data.
        UnsupportedSourceError: A dataset cannot be made from this.

    Example:
        >>> source = open_source([{"text": "a", "label": 0}, {"text": "b", "label": 1}])
        >>> source.splits["train"].schema.names
        ['text', 'label']
    """
    if isinstance(source, Source):
        return source
    options = _Options(format, delimiter, encoding)
    if isinstance(source, Mapping):
        splits: Dict[str, SplitSource] = {}
        for name, inner in source.items():
            splits[str(name)] = _one_split(str(name), inner, options)
        return Source(_named(source), splits)
    if isinstance(source, (str, os.PathLike)):
        return _from_path(os.fspath(source), split, options)
    return Source(_named(source), {split: _one_split(split, source, options)})


class _Options:
    """How files are read."""

    def __init__(
        self, format_: Optional[str], delimiter: Optional[str], encoding: Optional[str]
    ) -> None:
        if format_ is not None and format_ not in FORMATS.values():
            raise UnsupportedSourceError(f"the format {format_!r}", _SUPPORTED)
        self.format = format_
        self.delimiter = delimiter
        self.encoding = encoding

    def file(self, path: SourcePath) -> SourceFile:
        """Choose the reader of a file."""
        kind = self.format or format_of(path.file_name)
        if kind in ("csv", "tsv"):
            return CsvFile(
                path, delimiter=self.delimiter, encoding=self.encoding, is_tsv=kind == "tsv"
            )
        if kind in ("json", "jsonl"):
            return JsonFile(
                path, encoding=self.encoding, is_lines=True if kind == "jsonl" else None
            )
        if kind == "parquet":
            return ParquetFile(path)
        if kind == "arrow":
            return ArrowFile(path)
        if kind == "text":
            return TextFile(path, encoding=self.encoding)
        raise UnsupportedSourceError(repr(path.name), _SUPPORTED)


def _from_path(given: str, split: str, options: _Options) -> Source:
    saved = _saved_dataset(given)
    if saved is not None:
        inner = open_source(saved, split=split)
        return Source(given, inner.splits)
    items = expand(given)
    root = Path(given) if Path(given).is_dir() else None
    # One file is what it is asked to be, whatever it is called: `load_dataset` does the same with data_files.
    is_one = len(items) == 1 and items[0].member is None and root is None
    named = {item.name: (None if is_one else split_of(item, root)) or split for item in items}
    order = {"train": 0, "validation": 1, "test": 2}
    groups: Dict[str, List[SourcePath]] = {
        name: []
        for name in sorted(set(named.values()), key=lambda name: (order.get(name, 3), name))
    }
    for item in items:
        groups[named[item.name]].append(item)
    kind = _media_kind(given, items)
    if kind is not None:
        return Source(given, _media_splits(given, groups, kind, root, options))
    return Source(given, {name: _split(name, found, options) for name, found in groups.items()})


def _split(name: str, items: List[SourcePath], options: _Options) -> SplitSource:
    kind = _media_kind(name, items)
    if kind is not None:
        folder = str(items[0].path.parent)
        return _media_splits(folder, {name: items}, kind, None, options)[name]
    return SplitSource(name, [options.file(item) for item in items])


def _saved_dataset(given: str) -> Any:
    """Load what `save_to_disk` of the `datasets` library wrote; None where it is none of that."""
    folder = Path(given)
    if not any((folder / name).is_file() for name in ("dataset_dict.json", "state.json")):
        return None
    import datasets

    return datasets.load_from_disk(given)


def _media_kind(given: str, items: Sequence[SourcePath]) -> Optional[str]:
    """Say whether files are images or sounds, with nothing but metadata beside them."""
    kinds = {
        format_of(item.file_name) for item in items if Path(item.file_name).name not in METADATA
    }
    media = kinds & {"image", "audio"}
    if not media:
        return None
    if len(kinds) > 1:
        found = ", ".join(sorted(str(kind) for kind in kinds))
        raise UnsupportedSourceError(
            f"{given!r}, which holds files of several kinds ({found})",
            "Pass those of one kind; what is said about images belongs into metadata.csv or metadata.jsonl.",
        )
    return media.pop()


def _media_splits(
    given: str,
    groups: Mapping[str, List[SourcePath]],
    kind: str,
    root: Optional[Path],
    options: _Options,
) -> Dict[str, SplitSource]:
    media = {
        name: [item for item in items if format_of(item.file_name) == kind]
        for name, items in groups.items()
    }
    metadata = {
        str(folder_of(item)): options.file(item)
        for items in groups.values()
        for item in items
        if Path(item.file_name).name in METADATA
    }
    everything = [item for items in media.values() for item in items]
    labels = [] if metadata else labels_of(everything, list(groups), root)
    return {
        name: SplitSource(name, [MediaFolder(given, items, kind, labels, metadata)])
        for name, items in media.items()
        if items
    }


def _one_split(name: str, source: Any, options: _Options) -> SplitSource:
    if isinstance(source, SplitSource):
        return source
    if isinstance(source, (str, os.PathLike)):
        return _split(name, expand(os.fspath(source)), options)
    if _is_paths(source):
        found = [item for given in source for item in expand(os.fspath(given))]
        return _split(name, found, options)
    file = _object(source)
    if file is None:
        raise UnsupportedSourceError(f"an object of type {type(source).__name__}", _SUPPORTED)
    return SplitSource(name, [file], getattr(source, "features", None))


def _object(source: Any) -> Optional[SourceFile]:
    if isinstance(source, pa.RecordBatch):
        return TableFile("the Arrow batch", pa.Table.from_batches([source]))
    if isinstance(source, pa.Table):
        return TableFile("the Arrow table", source)
    pandas, datasets = sys.modules.get("pandas"), sys.modules.get("datasets")
    if pandas is not None and isinstance(source, pandas.DataFrame):
        return TableFile("the data frame", frame_to_table(source))
    if datasets is not None and isinstance(source, (datasets.Dataset, datasets.IterableDataset)):
        return DatasetFile("the dataset", source)
    if callable(source) or hasattr(source, "__iter__"):
        return GeneratorFile("the rows", source)
    return None


def _is_paths(source: Any) -> bool:
    return (
        isinstance(source, (list, tuple))
        and bool(source)
        and all(isinstance(item, (str, os.PathLike)) for item in source)
    )


def _named(source: Any) -> str:
    return f"the {type(source).__name__}"
