"""Where the files of a dataset lie in its repository: as `push_to_hub` of the datasets library puts them."""

from __future__ import annotations

import re
from typing import Dict, Iterable, Mapping, Optional

from hfl_core.errors import ValidationError

__all__ = ["check_config", "folder_of", "shard_path", "splits_in"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SHARD = re.compile(r"(?P<split>\w+(?:\.\w+)*)-\d{5}-of-\d{5}(?:-[0-9a-f]{16})?\.parquet")


def check_config(name: str) -> str:
    """Make sure that a configuration can have this name; it is that of a folder, too.

    Raises:
        ValidationError: It cannot.
    """
    if not _NAME.fullmatch(name) or name == "data" or name.endswith("."):
        raise ValidationError(
            f"{name!r} is not the name of a configuration.",
            hint="Use letters, digits, '_', '-' and '.', and not 'data'.",
        )
    return name


def folder_of(config: str) -> str:
    """Return the folder of a configuration."""
    return "data" if config == "default" else config


def shard_path(config: str, split: str, index: int, total: int) -> str:
    """Return the path of a file.

    Example:
        >>> shard_path("default", "train", 0, 2)
        'data/train-00000-of-00002.parquet'
    """
    return f"{folder_of(config)}/{split}-{index:05d}-of-{total:05d}.parquet"


def splits_in(
    files: Iterable[str], digests: Mapping[str, Optional[str]], config: str
) -> Dict[str, Dict[str, Optional[str]]]:
    """Find the splits of a configuration by the names of its files.

    Args:
        files: All paths.
        digests: Path to sha256.
        config: The configuration.

    Returns:
        Split to (path to sha256), paths in order.
    """
    prefix = f"{folder_of(config)}/"
    found: Dict[str, Dict[str, Optional[str]]] = {}
    for path in sorted(files):
        match = _SHARD.fullmatch(path[len(prefix) :]) if path.startswith(prefix) else None
        if match is not None:
            found.setdefault(match["split"], {})[path] = digests[path]
    return found
