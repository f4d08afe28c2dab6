"""From the cache to a folder of one's own: whole files only, and a new folder whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from pathlib import Path
from typing import Iterable, Iterator, Mapping

from hfl_core import translated_os_errors
from hfl_core.errors import PermissionDeniedError
from hfl_repo._transfer._digest_cache import DigestCache
from hfl_repo._transfer._digests import digest_files
from hfl_repo._transfer._remote import RemoteFile
from hfl_repo._transfer._scan import LocalFile, file_key

__all__ = ["place_files"]


def place_files(
    snapshot: Path, files: Mapping[str, RemoteFile], to: Path, digests: DigestCache
) -> None:
    """Copy verified files to a folder. What else is in it stays.

    Args:
        snapshot: Where they are.
        files: The files.
        to: The folder. One that does not exist appears when all files are in it; in one that
            exists, each file is replaced at once.
        digests: The digests that are known.

    Raises:
        PermissionDeniedError: A link in the folder leads out of it.
        DiskSpaceError: There is no room.
    """
    with translated_os_errors(f"write to {os.fspath(to)!r}"):
        if not to.exists():
            to.parent.mkdir(parents=True, exist_ok=True)
            with _staged(to) as stage:
                _copy(snapshot, files, stage)
                if _took_its_place(stage, to):
                    return
        present = _present(files.values(), to, digests)
        _copy(snapshot, [path for path in files if path not in present], to)


@contextlib.contextmanager
def _staged(to: Path) -> Iterator[Path]:
    stage = to.with_name(f".{to.name}.{secrets.token_hex(4)}.part")
    stage.mkdir()
    try:
        yield stage
    finally:  # of one that has become the folder, nothing is left here
        shutil.rmtree(stage, ignore_errors=True)


def _took_its_place(stage: Path, to: Path) -> bool:
    try:
        stage.rename(to)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False  # somebody else was faster
        raise
    return True


def _copy(snapshot: Path, paths: Iterable[str], to: Path) -> None:
    root = os.path.realpath(to)
    for path in paths:
        place = to.joinpath(*path.split("/"))
        place.parent.mkdir(parents=True, exist_ok=True)
        real = os.path.realpath(place.parent)
        if real != root and not real.startswith(root.rstrip(os.sep) + os.sep):
            raise PermissionDeniedError(
                f"{path!r} would be written outside of {os.fspath(to)!r}: a link leads out of it.",
                hint="Remove the link, or download to another folder.",
            )
        temporary = place.with_name(f".{place.name[:200]}.{secrets.token_hex(4)}.part")
        try:
            shutil.copyfile(snapshot.joinpath(*path.split("/")), temporary)
            temporary.replace(place)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise


def _present(files: Iterable[RemoteFile], to: Path, digests: DigestCache) -> set[str]:
    here, meant = [], {}
    for file in files:
        place = to.joinpath(*file.path.split("/"))
        if place.is_file() and not place.is_symlink() and place.stat().st_size == file.size:
            here.append(LocalFile(file.path, place, file_key(place)))
            meant[file.path] = file
    hashed = digest_files(here, digests)
    return {path for path, known in hashed.digests.items() if meant[path].holds(known)}
