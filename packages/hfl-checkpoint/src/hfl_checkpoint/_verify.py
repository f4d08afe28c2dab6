"""Whether a checkpoint still holds what its manifest promises."""

from __future__ import annotations

import errno
import functools
import json
import os
import stat
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Literal, Mapping, Sequence, Tuple

from hfl_checkpoint._checkpoint import Problem, VerifyReport
from hfl_checkpoint._manifest import MANIFEST, FileEntry, rank_of, read_manifest
from hfl_checkpoint.errors import CheckpointDamagedError
from hfl_core import ConfigError, digest_file, in_parallel, new_digest, translated_os_errors

Level = Literal["quick", "full"]

# https://github.com/huggingface/safetensors#format: readers refuse larger headers.
_MAX_HEADER_BYTES = 100_000_000

_THREADS = 4
_WORTH_THREADS_BYTES = 16 << 20

# What a file says that is not there, or whose disk fails. Missing rights, say, are no damage.
_DAMAGE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EIO}


def verify(directory: Path, level: Level = "full") -> VerifyReport:
    """Compare a checkpoint with its manifest.

    Args:
        directory: The checkpoint.
        level: ``"quick"`` looks at the manifest, the files' presence, their sizes and the headers of
            tensor files; ``"full"`` reads and digests every byte as well.

    Returns:
        The report; damage is reported, not raised.

    Raises:
        ConfigError: There is no such level.
        UnsupportedFormatError: The checkpoint was written in a newer format.
        PermissionDeniedError: It may not be read.
    """
    if level not in ("quick", "full"):
        raise ConfigError(
            f"There is no verification level {level!r}.", hint="Use 'quick' or 'full'."
        )
    with translated_os_errors(f"read checkpoint {directory.name!r}"):
        return _verify(directory, level)


def require_intact(directory: Path) -> None:
    """Verify a checkpoint in full.

    Raises:
        CheckpointDamagedError: It is damaged.
    """
    report = verify(directory, "full")
    if not report.ok:
        raise CheckpointDamagedError(directory.name, [str(item) for item in report.problems])


def require_files(directory: Path, entries: Iterable[FileEntry]) -> None:
    """Verify some files of a checkpoint in full.

    Raises:
        CheckpointDamagedError: One is damaged.
    """
    with translated_os_errors(f"read checkpoint {directory.name!r}"):
        problems = [item for entry in entries for item in _check(directory, entry, "full")]
    if problems:
        raise CheckpointDamagedError(directory.name, [str(item) for item in problems])


def _verify(directory: Path, level: Level) -> VerifyReport:
    try:
        manifest = read_manifest(directory)
    except FileNotFoundError:
        problem = Problem(MANIFEST, None, "is missing, so this is not a checkpoint")
        return VerifyReport(directory.name, level, (problem,))
    except CheckpointDamagedError as error:
        damage = tuple(Problem(MANIFEST, None, _about(text)) for text in error.problems)
        return VerifyReport(directory.name, level, damage)
    return VerifyReport(directory.name, level, tuple(_check_all(directory, manifest.files, level)))


def _check_all(directory: Path, files: Sequence[FileEntry], level: Level) -> List[Problem]:
    found: Dict[int, List[Problem]] = {}

    def check(number: int, entry: FileEntry) -> None:
        found[number] = _check(directory, entry, level)

    work = [functools.partial(check, number, entry) for number, entry in enumerate(files)]
    if level == "full" and sum(entry.size for entry in files) > _WORTH_THREADS_BYTES:
        for error in in_parallel(work, min(_THREADS, os.cpu_count() or 1), "hfl-verify"):
            raise error
    else:
        for one in work:
            one()
    return [problem for number in sorted(found) for problem in found[number]]


def _about(text: str) -> str:
    """A clause without the name of the manifest, which a problem says by itself."""
    return text[len(MANIFEST) :].strip() if text.startswith(MANIFEST) else text


def _check(directory: Path, entry: FileEntry, level: Level) -> List[Problem]:
    path = directory / entry.path
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
            return [Problem(entry.path, None, "is not a file")]
        if status.st_size != entry.size:
            message = f"has {status.st_size} bytes instead of {entry.size}"
            return [Problem(entry.path, None, message)]
        if level == "full" and digest_file(path) != entry.xxh3:
            return _locate(directory, entry)
        if path.suffix == ".safetensors":
            read_header(path)
    except OSError as error:
        if error.errno not in _DAMAGE:
            raise
        return [Problem(entry.path, None, f"cannot be read ({error.strerror})")]
    except ValueError as error:
        return [Problem(entry.path, None, f"cannot be read ({error})")]
    return []


def _locate(directory: Path, entry: FileEntry) -> List[Problem]:
    message = "does not have the content that was written"
    damaged = _damaged_tensors(directory, entry.path)
    if not damaged:
        return [Problem(entry.path, None, message)]
    return [Problem(entry.path, tensor, message) for tensor in damaged]


def _damaged_tensors(directory: Path, file: str) -> List[str]:
    """Name the tensors of a damaged file whose bytes are not those that were written.

    Empty when the damage is outside the tensors, or their digests cannot be read.
    """
    try:
        damaged = []
        with (directory / file).open("rb") as stream:
            for key, begin, end, expected in _recorded(directory, file):
                stream.seek(begin)
                digest = new_digest()
                digest.update(stream.read(end - begin))
                if digest.hexdigest() != expected:
                    damaged.append(key)
        return sorted(damaged)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _recorded(directory: Path, file: str) -> Iterator[Tuple[str, int, int, str]]:
    """Yield the tensors of a file: key, where the bytes begin and end, and their digest."""
    document = _document(directory, file)
    if file in document.get("compressed", {}):
        position = 0
        for entry in document["compressed"][file]["tensors"]:
            end = position + sum(entry["chunks"])
            yield entry["key"], position, end, entry["xxh3"]
            position = end
        return
    header, start = read_header(directory / file)
    for key, entry in header.items():
        if key in document["digests"]:
            begin, end = entry["data_offsets"]
            yield key, start + begin, start + end, document["digests"][key]


def _document(directory: Path, file: str) -> Mapping[str, Any]:
    for entry in read_manifest(directory).components.values():
        component = entry.of_rank(max(0, rank_of(file, entry.kind)))
        if file in component.files and component.document is not None:
            document: Dict[str, Any] = json.loads((directory / component.document).read_bytes())
            return document
    return {"digests": {}}


def read_header(path: Path) -> Tuple[Dict[str, Any], int]:
    """Read the header of a safetensors file: its entries, and where the data begins."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(path.stat().st_size - 8, _MAX_HEADER_BYTES):
            raise ValueError("its header is longer than the file")
        try:
            header = json.loads(file.read(length))
        except RecursionError as error:
            raise ValueError("its header is nested too deeply") from error
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")  # noqa: TRY004  # a damaged file
    return header, 8 + length
