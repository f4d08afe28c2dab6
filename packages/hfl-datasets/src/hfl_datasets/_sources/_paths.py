"""Which files a path, a pattern or a folder stands for, and which split each belongs to."""

from __future__ import annotations

import glob
import re
import zipfile
from pathlib import Path
from typing import Dict, List, Optional

from hfl_datasets._sources._bytes import SourcePath, bare_suffix
from hfl_datasets.errors import SourceNotFoundError, UnreadableDataError

__all__ = ["FORMATS", "IMAGES", "SOUNDS", "expand", "format_of", "split_of"]

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".txt": "text",
    ".text": "text",
}
IMAGES = frozenset(
    (".bmp", ".gif", ".ico", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
)
SOUNDS = frozenset((".aac", ".aif", ".aiff", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav"))

# The names that `load_dataset` looks for in the names of files and folders.
_KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SHARD = re.compile(r"^(?P<split>.+)-\d{5}-of-\d{5}$")


def format_of(name: str) -> Optional[str]:
    """Name the format that a file's name stands for; None if it is none of ours."""
    suffix = bare_suffix(name)
    if suffix in IMAGES:
        return "image"
    if suffix in SOUNDS:
        return "audio"
    return FORMATS.get(suffix)


def expand(given: str) -> List[SourcePath]:
    """List the files with data that a path stands for.

    Args:
        given: A file, a folder, a zip archive or a pattern.

    Returns:
        The files in the order of their names; hidden ones and those of no known format are left out of folders,
        patterns and archives.

    Raises:
        SourceNotFoundError: There is none.
    """
    path = Path(given)
    if path.is_dir():
        found = [
            item for inner in _files_below(path) for item in _members(inner) if _has_data(item)
        ]
        if not found:
            raise SourceNotFoundError(given, "The folder holds no file of a known format.")
        return found
    if path.exists():
        found = _members(path)
        if not found:
            raise SourceNotFoundError(given, "The archive holds no file of a known format.")
        return found
    if glob.has_magic(given):
        names = glob.glob(given, recursive=True)  # noqa: PTH207  # a pattern may begin at the root
        matched = [Path(name) for name in sorted(names)]
        found = [
            item
            for inner in matched
            if inner.is_file()
            for item in _members(inner)
            if _has_data(item)
        ]
        if not found:
            raise SourceNotFoundError(
                given,
                "No file matches." if not matched else "What matches is of no known format.",
            )
        return found
    beside = sorted(item.name for item in path.parent.iterdir()) if path.parent.is_dir() else []
    raise SourceNotFoundError(
        given,
        (
            f"Beside it there are: {', '.join(beside[:8])}."
            if beside
            else "Its folder does not exist."
        ),
    )


def split_of(item: SourcePath, root: Optional[Path]) -> Optional[str]:
    """Say which split a file's name or folder stands for.

    Args:
        item: The file.
        root: The folder that was given; folders below it are looked at too.

    Returns:
        The split's name; None if neither says.
    """
    name = Path(item.file_name).name
    stem = name[: -len("".join(Path(name).suffixes))] or name if Path(name).suffixes else name
    sharded = _SHARD.match(stem)
    if sharded is not None:
        return sharded.group("split")
    folders: List[str] = list(Path(item.member).parent.parts) if item.member else []
    if root is not None and item.member is None:
        folders = list(item.path.parent.relative_to(root).parts)
    for part in [*folders, stem]:
        found = _keyword(part)
        if found is not None:
            return found
    return None


def _keyword(text: str) -> Optional[str]:
    words = set(re.split(r"[^a-z]+", text.lower()))
    return next((split for split, known in _KEYWORDS.items() if words & set(known)), None)


def _files_below(folder: Path) -> List[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)
    )


def _has_data(item: SourcePath) -> bool:
    name = Path(item.file_name).name
    return format_of(name) is not None and not (item.member is None and name in _NOT_DATA)


# What stands beside the data of many a folder.
_NOT_DATA: Dict[str, None] = dict.fromkeys(
    (
        "dataset_info.json",
        "dataset_infos.json",
        "dataset_dict.json",
        "state.json",
        "requirements.txt",
        "LICENSE.txt",
    )
)


def _members(path: Path) -> List[SourcePath]:
    if path.suffix.lower() != ".zip":
        return [SourcePath(path)]
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(item.filename for item in archive.infolist() if not item.is_dir())
    except (zipfile.BadZipFile, EOFError) as error:
        raise UnreadableDataError(
            str(path),
            f"it is no zip archive, or cut short ({error}).",
            hint="Fetch or write the file again.",
        ) from error
    return [
        SourcePath(path, name)
        for name in names
        if format_of(name) is not None
        and not any(part.startswith((".", "__")) for part in name.split("/"))
    ]
