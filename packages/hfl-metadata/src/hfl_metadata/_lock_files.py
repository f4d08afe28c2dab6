"""The files that pin what is installed, by digest."""

from __future__ import annotations

import fnmatch
import hashlib
import os
from pathlib import Path
from typing import Iterator, List

from hfl_core import get_logger
from hfl_metadata._facts import LockFileInfo
from hfl_metadata._privacy import private_text

_log = get_logger(__name__)

_PATTERNS = (
    *("uv.lock", "poetry.lock", "Pipfile.lock", "pdm.lock", "pixi.lock"),
    *("pylock.toml", "pylock.*.toml", "conda-lock.yml", "conda-lock.yaml", "*.conda-lock.yml"),
    *(
        "conda-*.lock",
        "requirements*.txt",
        "constraints*.txt",
        "environment.yml",
        "environment.yaml",
    ),
)
_FOLDERS = ("requirements",)
_LARGEST = 64 << 20
_MOST = 100


def read_lock_files(directory: Path, root: Path | None) -> List[LockFileInfo]:
    """Find the files that pin dependencies, and digest them.

    They are looked for in a directory and in those above it, up to the root of the repository.

    Args:
        directory: Where to begin.
        root: The root of the repository, or None without one: then no directory above is looked at.

    Returns:
        What was found, by path.
    """
    base = root or directory
    places = [directory]
    if root is not None and root in directory.parents:
        places += [place for place in directory.parents if place == root or root in place.parents]
    found = {}
    for place in places:
        for path in _candidates(place):
            name = private_text(Path(os.path.relpath(path, base)).as_posix())
            try:
                found[name] = LockFileInfo(path=name, digest=_digest(path))
            except OSError as error:
                _log.debug("A lock file cannot be read: %s", error)
    return [found[name] for name in sorted(found)][:_MOST]


def _candidates(place: Path) -> Iterator[Path]:
    yield from _matching(place, _PATTERNS)
    for folder in _FOLDERS:
        yield from _matching(place / folder, ("*.txt",))


def _matching(place: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    try:
        names = sorted(os.listdir(place))  # noqa: PTH208  # names are wanted
    except OSError:  # not there, or not for us
        return
    for name in names:
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            path = place / name
            if path.is_file() and path.stat().st_size <= _LARGEST:
                yield path


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            digest.update(piece)
    return f"sha256:{digest.hexdigest()}"
