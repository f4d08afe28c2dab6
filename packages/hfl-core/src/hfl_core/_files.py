"""Files that are complete or not there, whatever happens while they are written.

`Files` is the narrow layer through which everything durable is written. Each operation that changes
the disk is announced to an observer first, so that a test can fail, or kill the process, at any of them.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import shutil
import stat
import sys
from pathlib import Path
from typing import Any, BinaryIO, Callable, Iterator, Set

from hfl_core._digest import Digest
from hfl_core.errors import DiskSpaceError, HflError, PermissionDeniedError

# A quota that is used up and a file-size limit leave a user as stuck as a full disk does.
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}

# ioctl_ficlone(2): the new file gets the blocks of the old one, which are copied when one of them is written to.
_FICLONE = 0x40049409

# What a file system says that cannot clone or link these two files, or where the old one has just gone.
_CANNOT_SHARE = {
    errno.EXDEV,
    errno.EMLINK,
    errno.EPERM,
    errno.EACCES,
    errno.ENOENT,
    errno.EINVAL,
    errno.ENOTTY,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.ESTALE,
}

# Written and hashed piece by piece, so that the hash reads what the write has just brought into the cache.
_PIECE_BYTES = 4 << 20


class Files:
    """The operations that durable writing is made of.

    Args:
        observer: Called with the operation's name and the path before each change of the disk.
            What it raises goes to the caller, and the change does not happen.
    """

    def __init__(self, observer: Callable[[str, Path], None] | None = None) -> None:
        self._observer = observer
        self._cannot_clone: Set[int] = set()

    def _announce(self, operation: str, path: Path) -> None:
        if self._observer is not None:
            self._observer(operation, path)

    @contextlib.contextmanager
    def create(self, path: Path, *, mode: int = 0o644) -> Iterator[FileWriter]:
        """Create a new file, and flush it to the device before the block ends.

        Args:
            path: Where; it must not exist yet.
            mode: The permission bits, from the start.

        Yields:
            A writer with ``write(buffer)``; it hashes when given a digest.

        Raises:
            FileExistsError: The file exists.
            OSError: The disk is full or cannot be written.
        """
        self._announce("create", path)
        descriptor = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode
        )
        with io.FileIO(descriptor, "w") as file:
            yield FileWriter(self, path, file)
            self._announce("fsync", path)
            os.fsync(file.fileno())

    def write_bytes(self, path: Path, data: bytes, *, mode: int = 0o644) -> None:
        """Create a new file that holds `data`, flushed to the device."""
        with self.create(path, mode=mode) as writer:
            writer.write(data)

    def replace_bytes(self, path: Path, data: bytes, *, mode: int = 0o644) -> None:
        """Write a file so that a reader sees the old content or the new one, never a mixture.

        Args:
            path: The file; it may exist.
            data: The new content.
            mode: The permission bits of the new file.
        """
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            self.write_bytes(temporary, data, mode=mode)
            self._announce("replace", path)
            os.replace(temporary, path)  # noqa: PTH105  # one call for str and Path alike
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        self.sync_directory(path.parent)

    def share(self, source: BinaryIO, target: Path) -> bool:
        """Make a file that has the content of another one, without writing it again.

        The file is a clone where the file system can clone (each keeps its content when the other one
        is written to), else a second name for the same file.

        Args:
            source: The other file, opened by its path. Nobody may write to it from here on.
            target: The new name; it must not exist yet.

        Returns:
            Whether it was made. False means that the file system cannot, and that there is no new file.

        Raises:
            FileExistsError: The target exists.
            OSError: The disk is full or cannot be written.
        """
        if self._clone(source, target):
            return True
        self._announce("link", target)
        try:
            os.link(source.name, target)
        except OSError as error:
            if error.errno not in _CANNOT_SHARE:
                raise
            return False
        if not os.path.samestat(os.fstat(source.fileno()), target.stat()):
            target.unlink()  # the name was given to another file after it was opened
            return False
        return True

    def _clone(self, source: BinaryIO, target: Path) -> bool:
        device = os.fstat(source.fileno()).st_dev
        if sys.platform != "linux" or device in self._cannot_clone:
            return False
        import fcntl

        self._announce("clone", target)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            fcntl.ioctl(descriptor, _FICLONE, source.fileno())
            self._announce("fsync", target)
            os.fsync(descriptor)
        except BaseException as error:
            target.unlink()
            if isinstance(error, OSError) and error.errno in _CANNOT_SHARE:
                self._cannot_clone.add(device)
                return False
            raise
        finally:
            os.close(descriptor)
        return True

    def make_directory(self, path: Path) -> None:
        """Create a directory that must not exist yet; its parent must."""
        self._announce("mkdir", path)
        path.mkdir()

    def ensure_directory(self, path: Path) -> None:
        """Create a directory and the parents that it lacks, and make their names durable."""
        missing = [item for item in (path, *path.parents) if not item.exists()]
        for directory in reversed(missing):
            self._announce("mkdir", directory)
            directory.mkdir(exist_ok=True)
            self.sync_directory(directory.parent)

    def move(self, source: Path, target: Path) -> None:
        """Rename a directory to a name that is not taken, and make the new name durable.

        Raises:
            FileExistsError: The target exists.
            OSError: It could not be renamed or flushed; it has its old name.
        """
        self._announce("rename", target)
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        # A directory with content cannot be renamed over another one with content, so a
        # name that was taken in between is refused by the kernel.
        os.rename(source, target)  # noqa: PTH104  # Path.rename would hide that nothing is replaced
        try:
            self.sync_directory(target.parent)
            if source.parent != target.parent:
                self.sync_directory(source.parent)
        except BaseException:
            # Nobody knows whether the new name would survive, so an error means the old one.
            with contextlib.suppress(OSError):
                os.rename(target, source)  # noqa: PTH104  # as above
            raise

    def remove_tree(self, path: Path) -> None:
        """Remove a directory and what is in it, read-only files included."""
        self._announce("remove", path)
        if os.name == "nt":  # pragma: no cover  # Windows refuses to remove read-only files
            for file in path.rglob("*"):
                file.chmod(stat.S_IWRITE)
        shutil.rmtree(path)

    def protect(self, path: Path) -> None:
        """Take the write permission from a file."""
        self._announce("chmod", path)
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)

    def sync_directory(self, path: Path) -> None:
        """Make renames and creations in a directory survive a power loss."""
        self._announce("fsync", path)
        if os.name == "nt":  # pragma: no cover  # directories cannot be opened there
            return
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            # Some network and FUSE file systems cannot flush a directory; they order renames themselves.
            if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
                raise
        finally:
            os.close(descriptor)


class FileWriter:
    """Writes to one new file, hashing on the way.

    Attributes:
        size: Bytes written so far.
    """

    def __init__(self, files: Files, path: Path, file: io.FileIO) -> None:
        self._files = files
        self._path = path
        self._file = file
        self.size = 0

    def write(self, buffer: Any, *digests: Digest) -> None:
        """Write a whole bytes-like object, and add it to the digests, without copying it.

        Args:
            buffer: A contiguous object with the buffer protocol.
            *digests: Each is updated with the same bytes.
        """
        view = memoryview(buffer).cast("B")
        for start in range(0, len(view), _PIECE_BYTES):
            piece = view[start : start + _PIECE_BYTES]
            self._files._announce("write", self._path)
            for digest in digests:
                digest.update(piece)
            while piece:
                count = self._file.write(piece)
                self.size += count
                piece = piece[count:]


def write_atomically(path: str | os.PathLike[str], data: bytes | str, *, mode: int = 0o644) -> None:
    """Replace a file's content at once: after a crash it holds the old bytes or the new ones.

    Args:
        path: The file; its directory must exist.
        data: The content; text is written as UTF-8.
        mode: The permission bits.

    Raises:
        DiskSpaceError: The disk is full or a quota is used up.
        PermissionDeniedError: The place cannot be written.

    Example:
        >>> import tempfile, pathlib
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "note.txt"
        >>> write_atomically(file, "kept")
        >>> file.read_text()
        'kept'
    """
    payload = data.encode() if isinstance(data, str) else data
    with translated_os_errors(f"write {os.fspath(path)!r}"):
        Files().replace_bytes(Path(path), payload, mode=mode)


def write_secret(path: str | os.PathLike[str], text: str) -> None:
    """Write a file that only its owner can read, in a directory that only its owner can enter.

    Args:
        path: The file. Its directory is created when it is missing.
        text: The secret.
    """
    target = Path(path)
    with translated_os_errors(f"write {os.fspath(path)!r}"):
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        Files().replace_bytes(target, text.encode(), mode=0o600)


def read_secret(path: str | os.PathLike[str]) -> str:
    """Read a file that only its owner may read.

    Args:
        path: The file.

    Returns:
        Its text.

    Raises:
        PermissionDeniedError: Others can read the file too; the hint holds the command that mends it.
        FileNotFoundError: There is no such file.
    """
    target = Path(path)
    if os.name != "nt" and stat.S_IMODE(target.stat().st_mode) & 0o077:
        raise PermissionDeniedError(
            f"Others on this machine can read {os.fspath(path)!r}, so it is not used.",
            hint=f"Make it private: chmod 600 {os.fspath(path)!r}",
        )
    return target.read_text(encoding="utf-8")


def require_free_space(directory: str | os.PathLike[str], required: int, *, purpose: str) -> None:
    """Refuse early when the file system has no room for what is about to be written.

    A quota cannot be asked for in a portable way; running into one later raises the same error.

    Args:
        directory: Where it would be written.
        required: Bytes.
        purpose: What for, as it reads after "for": ``"a checkpoint of step 500"``.

    Raises:
        DiskSpaceError: Less than `required` bytes are free.
    """
    available = shutil.disk_usage(directory).free
    if available < required:
        raise DiskSpaceError(
            f"{required:,} bytes are needed for {purpose}, and {available:,} are free "
            f"in {os.fspath(directory)!r}.",
            hint="Free some space, keep fewer checkpoints, or write to another disk.",
            required=required,
            available=available,
        )


@contextlib.contextmanager
def translated_os_errors(action: str) -> Iterator[None]:
    """Turn the operating system's errors about space and rights into ours.

    Args:
        action: What was being done, as it reads after "Could not": ``"save step 500"``.

    Raises:
        DiskSpaceError: For a full disk, a used-up quota and a file-size limit.
        PermissionDeniedError: For missing rights and read-only file systems.
    """
    try:
        yield
    except HflError:
        raise
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        if error.errno in _NO_SPACE:
            raise DiskSpaceError(
                f"Could not {action}: {os.strerror(error.errno)}{place}.",
                hint="Free some space, keep fewer checkpoints, or write to another disk.",
            ) from error
        if error.errno in _NOT_ALLOWED:
            raise PermissionDeniedError(
                f"Could not {action}: {os.strerror(error.errno)}{place}.",
                hint="Check who owns the directory and whether its file system is mounted read-only.",
            ) from error
        raise
