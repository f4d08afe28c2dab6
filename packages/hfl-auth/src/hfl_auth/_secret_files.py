"""Reading and writing the files of the store: owner-only, whole or not at all, one at a time."""

from __future__ import annotations

import configparser
import contextlib
import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from hfl_auth._paths import StorePaths
from hfl_auth.errors import InsecureFileError, shown_path
from hfl_core import write_secret
from hfl_core.errors import ConflictError, HflError, IntegrityError, PermissionDeniedError

_PATIENCE = 30.0


@dataclass(frozen=True)
class Content:
    """What a file held.

    Attributes:
        text: Its text; None if there is none, or it could not be read.
        problem: Why it may not be used.
    """

    text: str | None = None
    problem: HflError | None = None

    def checked(self) -> str | None:
        """Return the text.

        Raises:
            HflError: It may not be used.
        """
        if self.problem is not None:
            raise self.problem
        return self.text


def read_content(path: Path, *, holds: str = "holds a token") -> Content:
    """Read a file that only its owner should be able to read or change.

    Args:
        path: The file.
        holds: What makes it worth protecting, for the error.

    Returns:
        Its content; none if there is no such file.
    """
    try:
        # Opened without waiting: a pipe without a writer would keep every command for ever.
        with open(path, "rb", opener=_open_at_once) as file:  # Path.open takes no opener
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return _content_of_device(path, status)
            mode = stat.S_IMODE(status.st_mode)
            text = file.read().decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Content()
    except UnicodeDecodeError:
        # Without the cause: it carries the bytes, and with them perhaps a token.
        return Content(problem=_damaged(path, "it is not text"))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return Content(
            problem=PermissionDeniedError(
                f"'{shown_path(path)}' cannot be read: {reason}.",
                hint="Check who owns it, or name another one with HF_HOME.",
            )
        )
    if os.name != "nt" and mode & 0o077:
        return Content(text, InsecureFileError(path, mode=mode, holds=holds))
    return Content(text)


def check_places(paths: StorePaths) -> None:
    """Make sure, before anything is written, that each file is one or can become one.

    Raises:
        PermissionDeniedError: A folder, a pipe or a device is in its place.
    """
    for path in (paths.token, paths.stored_tokens, paths.ours):
        if path.exists() and not path.is_file():
            raise _no_file(path)


def write_private(path: Path, text: str) -> None:
    """Write an owner-only file at once; where a link stands, the file that it leads to."""
    write_secret(Path(os.path.realpath(path)), text)


def parse_sections(text: str, path: Path) -> dict[str, dict[str, str]]:
    """Read huggingface_hub's profiles.

    Raises:
        IntegrityError: The file cannot be understood. Nothing may be written over it then.
    """
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(text)
    except configparser.Error:
        # Without the cause: its message quotes lines, and with them tokens.
        raise _damaged(path, "it is not the INI file that huggingface_hub writes") from None
    return {name: dict(parser.items(name)) for name in parser.sections()}


def dump_sections(sections: dict[str, dict[str, str]]) -> str:
    """Write profiles as huggingface_hub does."""
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    for name in sorted(sections):
        parser[name] = sections[name]
    buffer = io.StringIO()
    parser.write(buffer)
    return buffer.getvalue()


@contextlib.contextmanager
def locked(paths: StorePaths) -> Iterator[None]:
    """Keep other processes, huggingface_hub's refresh among them, from changing the store.

    Raises:
        ConflictError: Another process does not let go of it.
        PermissionDeniedError: The folder cannot be written.
    """
    import filelock

    lock = filelock.FileLock(str(paths.lock), timeout=_PATIENCE, mode=0o600)
    try:
        paths.lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout as error:
        raise ConflictError(
            f"Another process has kept the lock '{shown_path(paths.lock)}' for {_PATIENCE:.0f} s.",
            hint="Wait for it to end, then try again.",
        ) from error
    except OSError as error:  # no rights, a read-only file system, a file in place of the folder
        reason = error.strerror or type(error).__name__
        raise PermissionDeniedError(
            f"The folder of the tokens, '{shown_path(paths.lock.parent)}', cannot be written:"
            f" {reason}.",
            hint="Check who owns it, or name another one with HF_HOME.",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _open_at_once(name: str, flags: int) -> int:
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))  # Windows has no such pipes


def _content_of_device(path: Path, status: os.stat_result) -> Content:
    if stat.S_ISCHR(status.st_mode) and path.samefile(os.devnull):
        return Content()  # what people set who want no token to be found
    return Content(problem=_no_file(path))


def _no_file(path: Path) -> PermissionDeniedError:
    return PermissionDeniedError(
        f"'{shown_path(path)}' is no regular file.",
        hint="Move it away, or name another place with HF_HOME or HF_TOKEN_PATH.",
    )


def _damaged(path: Path, reason: str) -> IntegrityError:
    return IntegrityError(
        f"'{shown_path(path)}' cannot be understood: {reason}. It is left as it is.",
        hint="Move it away, then sign in again with: hfl auth login",
    )
