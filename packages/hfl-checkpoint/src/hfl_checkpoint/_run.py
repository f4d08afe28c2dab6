"""The directory of a run: who it belongs to, which checkpoints it holds, which are pinned."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import secrets
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set, Tuple

from hfl_checkpoint import _canonical, _lease
from hfl_checkpoint._arguments import require_directory_name
from hfl_checkpoint._checkpoint import Checkpoint, describe
from hfl_checkpoint._manifest import MANIFEST, Manifest, read_manifest
from hfl_checkpoint._oddities import bare, split_copies
from hfl_checkpoint._run_lock import RunLock
from hfl_checkpoint.errors import CheckpointDamagedError, UnsupportedFormatError
from hfl_core import ConfigError, ConflictError, Files, get_logger, translated_os_errors

RUN_FILE = "run.json"
PINS_FILE = "pins.json"

# A commit holds the lock for a few system calls; somebody who holds it this long hangs.
_LOCK_SECONDS = 60.0

_log = get_logger(__name__)


@dataclasses.dataclass(frozen=True)
class Scan:
    """What a run's directory holds.

    Attributes:
        checkpoints: The current run's, oldest first.
        foreign: Other runs', oldest first within each run.
        unreadable: Directories whose manifest is damaged, with the error.
        newer: Directories in a format of a newer version, with the error.
        copies: Copies of the current run's checkpoints that somebody made beside them.
        remarks: What is odd about the directory, one sentence each.
    """

    checkpoints: List[Checkpoint]
    foreign: List[Checkpoint]
    unreadable: List[Tuple[Path, CheckpointDamagedError]]
    newer: List[Tuple[Path, UnsupportedFormatError]]
    copies: List[Checkpoint] = dataclasses.field(default_factory=list)
    remarks: List[str] = dataclasses.field(default_factory=list)


class RunDirectory:
    """A directory that holds the checkpoints of a run; nothing is created before the first save.

    Args:
        path: The directory; it may not exist yet.
        files: The layer through which everything durable is written.

    Raises:
        ConfigError: The path is a file, or a checkpoint, or cannot be the name of a directory.
    """

    def __init__(self, path: str | os.PathLike[str], files: Files | None = None) -> None:
        self.path = Path(path)
        self.files = files or Files()
        self._manifests: Dict[str, Tuple[Tuple[int, int, int], Manifest]] = {}
        self._locks: Dict[int, RunLock] = {}
        self._own: str | None = None
        self._is_warned = False
        require_directory_name(self.path, path)
        with translated_os_errors(f"look at the run's directory {str(self.path)!r}"):
            is_file = self.path.exists() and not self.path.is_dir()
            is_checkpoint = not is_file and (self.path / MANIFEST).is_file()
        if is_checkpoint:
            raise ConfigError(
                f"{os.fspath(path)!r} is a checkpoint, and a run is the directory around it.",
                hint=f"Pass {os.fspath(self.path.parent)!r}.",
            )
        if is_file:
            raise ConfigError(
                f"{os.fspath(path)!r} is a file, and a run needs a directory.",
                hint="Name a directory; it is created when the first checkpoint is saved.",
            )

    staging = property(lambda self: self.path / ".staging")
    trash = property(lambda self: self.path / ".trash")
    quarantine = property(lambda self: self.path / ".quarantine")
    leases = property(lambda self: self.path / ".leases")
    uploads = property(lambda self: self.path / ".uploads")

    def create(self) -> None:
        """Make the directory and its inner folders; existing ones stay."""
        with translated_os_errors(f"create the run's directory {str(self.path)!r}"):
            for directory in (self.path, self.staging, self.trash, self.leases):
                self.files.ensure_directory(directory)
        self.refuse_links()

    def refuse_links(self) -> None:
        """Refuse inner folders that lead elsewhere: what is in them is removed.

        Raises:
            ConfigError: One of them is a symbolic link.
        """
        for directory in (self.staging, self.trash, self.leases, self.quarantine, self.uploads):
            if directory.is_symlink():
                raise ConfigError(
                    f"{str(directory)!r} is a symbolic link, and what lies behind it is not ours to remove.",
                    hint="Remove the link; a folder is made in its place.",
                )

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from committing or deleting in the meantime."""
        # One that this thread still holds was left behind by a Ctrl-C just before or after its block; its
        # traceback, which a notebook keeps, would hold it for ever. Blocks are never nested.
        thread = threading.get_ident()
        left_behind = self._locks.pop(thread, None)
        if left_behind is not None:
            left_behind.release()
        lock = self._locks[thread] = RunLock(self.path / ".lock")
        try:
            try:
                lock.acquire(_LOCK_SECONDS)
            except TimeoutError as error:
                raise ConflictError(
                    f"Another process has held the lock of {str(self.path)!r} for {_LOCK_SECONDS:.0f} s.",
                    hint="Look for a process that hangs while saving into the same directory.",
                ) from error
            yield
        finally:
            lock.release()
            if self._locks.get(thread) is lock:
                del self._locks[thread]

    def run_id(self) -> str | None:
        """The id of the current run, or None in a directory without one.

        It is the run that this object belongs to; else the one that the run's file names. When that
        file is lost, or the run that it names never committed anything, the newest checkpoint tells.
        """
        if self._own is not None:
            return self._own
        with translated_os_errors(f"read the run's directory {str(self.path)!r}"):
            return self._current(self._read_all())

    def _current(self, content: _Content) -> str | None:
        if self._own is not None:
            return self._own
        named = self._named_run()
        if named is not None and (
            content.unreadable
            or content.newer
            or any(manifest.run_id == named for _, manifest in content.found)
        ):
            return named
        manifests = [manifest for _, manifest in content.found]
        newest = max(manifests, key=lambda m: m.created_at, default=None)
        return named if newest is None else newest.run_id

    def adopt(self, run_id: str) -> None:
        """Belong to a run from here on, whatever others begin in the same directory."""
        self._own = run_id

    def _named_run(self) -> str | None:
        try:
            return str(_canonical.load(self.path / RUN_FILE)["run_id"])
        except FileNotFoundError:
            return None
        except CheckpointDamagedError as error:
            _log.warning("%s The newest checkpoint tells which run this is.", error.message)
            return None

    def begin(self, naming: str) -> str:
        """Start a run of its own; checkpoints that are there stay, and stay another run's.

        Args:
            naming: The pattern of the names, for the record.

        Returns:
            The run's id. A run that was begun here and never committed anything is taken up.
        """
        with self.lock():
            run_id = self.run_id()
            if run_id is not None:
                earlier = self.scan().checkpoints
                if not earlier:
                    self.adopt(run_id)
                    return run_id
                _log.warning(
                    "%s holds %d checkpoints of a run that was not resumed; a new run begins beside "
                    "them. Call resume() or restore() first to go on with the old one.",
                    self.path,
                    len(earlier),
                )
            run_id = secrets.token_hex(16)
            self._write_run_file(run_id, naming)
            self.adopt(run_id)
            return run_id

    def go_on(self, run_id: str, naming: str) -> None:
        """Go on with a run that was restored; mend its file if it was lost or damaged."""
        if self._named_run() is None:
            with self.lock():
                self._write_run_file(run_id, naming)

    def _write_run_file(self, run_id: str, naming: str) -> None:
        document = {
            "format": _canonical.FORMAT,
            "run_id": run_id,
            "created": datetime.datetime.now(datetime.timezone.utc).isoformat(),
            "naming": naming,
            "parent": None,
        }
        self.files.replace_bytes(self.path / RUN_FILE, _canonical.dump(document))

    def scan(self) -> Scan:
        """Read what is there; order comes from the manifests alone."""
        with translated_os_errors(f"read the run's directory {str(self.path)!r}"):
            content = self._read_all()
            current = self._current(content)
            found = content.found
            pins = self._pins_of([path.name for path, _ in found])
            originals, copies, remarks = split_copies(found)
            remarks += bare(content.others)
        checkpoints = [describe(path, item, pins.get(path.name)) for path, item in originals]
        checkpoints.sort(key=lambda item: (item.run_id, item.sequence, item.created_at, item.name))
        return Scan(
            [checkpoint for checkpoint in checkpoints if checkpoint.run_id == current],
            [checkpoint for checkpoint in checkpoints if checkpoint.run_id != current],
            content.unreadable,
            content.newer,
            [
                describe(path, item, pins.get(path.name))
                for path, item in copies
                if item.run_id == current
            ],
            remarks,
        )

    def next_sequence(self, run_id: str) -> int:
        """The place of the next commit in a run's order; only valid while the lock is held."""
        manifests = [manifest for _, manifest in self._read_all().found]
        taken = [manifest.sequence for manifest in manifests if manifest.run_id == run_id]
        return 1 + max(taken, default=0)

    def pins(self) -> Dict[str, Tuple[str, ...]]:
        """Name of each pinned checkpoint to its labels."""
        file = self.path / PINS_FILE
        try:
            # Reading a pipe would wait for ever.
            document = (
                None if file.exists() and not file.is_file() else json.loads(file.read_bytes())
            )
            return {name: tuple(labels) for name, labels in document["pins"].items()}  # type: ignore[index]  # None is malformed, too
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CheckpointDamagedError(
                self.path.name,
                [f"{PINS_FILE} is malformed ({error!r})"],
                hint=f"Nothing is deleted until it is mended. Repair {PINS_FILE}, or remove it to unpin all.",
            ) from error

    def _pins_of(self, names: List[str]) -> Dict[str, Tuple[str, ...]]:
        try:
            return self.pins()
        except CheckpointDamagedError as error:
            if not self._is_warned:
                self._is_warned = True
                _log.warning("%s Until then, every checkpoint counts as pinned.", error)
            return dict.fromkeys(names, ())

    def set_pins(self, pins: Dict[str, Tuple[str, ...]]) -> None:
        """Replace all pins at once."""
        document: Dict[str, Any] = {
            "format": _canonical.FORMAT,
            "pins": {name: list(labels) for name, labels in sorted(pins.items())},
        }
        text = json.dumps(document, indent=1) + "\n"
        self.files.replace_bytes(self.path / PINS_FILE, text.encode())

    def set_aside(self, path: Path) -> Path:
        """Move a damaged checkpoint out of the way, where a person can look at it."""
        self.files.ensure_directory(self.quarantine)
        target: Path = self.quarantine / f"{path.name}-{secrets.token_hex(4)}"
        self.files.move(path, target)
        return target

    @contextlib.contextmanager
    def reading(self, checkpoint: Checkpoint) -> Iterator[None]:
        """Keep a checkpoint from being deleted while it is read.

        Where nothing can be written, nothing can be deleted either, so a lease is not needed. It may
        have been deleted before the lease was taken: look again inside the block.
        """
        lease = None
        # Under the lock, so that nobody who is about to delete misses it.
        with contextlib.suppress(OSError), self.lock():
            lease = _lease.take_for_reading(self.files, self.leases, checkpoint.name)
        try:
            yield
        finally:
            if lease is not None:
                _lease.give_back(lease)

    def _read_all(self) -> _Content:
        while True:
            names = self._directories()
            content = _Content([], [], [], [])
            for name in sorted(names):
                path = self.path / name
                try:
                    content.found.append((path, self._read(path)))
                except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                    content.others.append(path)  # not a checkpoint, whatever its name looks like
                except CheckpointDamagedError as error:
                    content.unreadable.append((path, error))
                except UnsupportedFormatError as error:
                    content.newer.append((path, error))
            # Others may have committed a checkpoint and deleted the one before it while these were
            # read; then neither of the two was seen.
            if self._directories() == names:
                return content

    def _directories(self) -> Set[str]:
        try:
            with os.scandir(self.path) as entries:
                return {
                    entry.name
                    for entry in entries
                    if not entry.name.startswith(".") and entry.is_dir()
                }
        except FileNotFoundError:
            return set()

    def _read(self, path: Path) -> Manifest:
        # A committed manifest never changes; its identity tells when a name was given to another one.
        status = os.stat(f"{path}/{MANIFEST}")  # noqa: PTH116  # pathlib takes three times as long
        identity = (status.st_ino, status.st_mtime_ns, status.st_size)
        known = self._manifests.get(path.name)
        if known is not None and known[0] == identity:
            return known[1]
        manifest = read_manifest(path)
        self._manifests[path.name] = (identity, manifest)
        return manifest


@dataclasses.dataclass
class _Content:
    """What is in a run's directory, as it was found.

    Attributes:
        found: Directories with a manifest, and the manifest.
        unreadable: Directories whose manifest is damaged, with the error.
        newer: Directories in a format of a newer version, with the error.
        others: Other directories.
    """

    found: List[Tuple[Path, Manifest]]
    unreadable: List[Tuple[Path, CheckpointDamagedError]]
    newer: List[Tuple[Path, UnsupportedFormatError]]
    others: List[Path]
