"""One checkpoint for several processes: rank 0 chooses it, and each reads it where it can.

Where the run's directory is shared, every process reads the same files. One that does not see them gets a
copy from rank 0, which lies in its own staging area until it has been read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import time
from typing import TYPE_CHECKING, Callable, Collection, Iterator, List, Sequence

from hfl_checkpoint._manifest import MANIFEST, FileEntry, Manifest, parse_manifest
from hfl_checkpoint._ranks import Alone, Team
from hfl_checkpoint._relay import receive, send
from hfl_checkpoint._select import Selection
from hfl_checkpoint._staging import staged
from hfl_checkpoint._verify import require_files
from hfl_checkpoint.errors import CheckpointError
from hfl_core import get_logger, require_free_space, translated_os_errors

if TYPE_CHECKING:
    from pathlib import Path

    from hfl_checkpoint._run import RunDirectory

# How long a network file system may take until one machine sees what another has written.
_PATIENCE = 60.0

_log = get_logger(__name__)


@contextlib.contextmanager
def chosen(
    run: RunDirectory,
    team: Alone,
    choose: Callable[[], contextlib.AbstractContextManager[Selection]],
    wanted: Callable[[Selection], Collection[str]],
) -> Iterator[Selection]:
    """Choose a checkpoint on rank 0, and give every process a place from which it can read it.

    Args:
        run: The run's directory.
        team: The processes.
        choose: Verifies a checkpoint, and keeps it from being deleted; only rank 0 does that.
        wanted: Names the components that are going to be read.

    Yields:
        The selection, the same on all processes, with the path of this one. What it is going to read there
        was verified.
    """
    with contextlib.ExitStack() as stack:
        if not isinstance(team, Team):
            yield stack.enter_context(choose())
            return

        def begin() -> tuple[Selection, bytes, List[str]]:
            selection = stack.enter_context(choose())
            path = selection.checkpoint.path
            return selection, (path / MANIFEST).read_bytes(), list(wanted(selection))

        selection, data, names = team.first(begin)
        here = run.path / selection.checkpoint.path.name
        manifest = selection.manifest if team.is_first else parse_manifest(data, here)
        entries = files_of(manifest, names)
        sees = _sees(here, data)
        if not all(team.all(sees)):
            is_shared = _shares_disk(run, team)
            sees = team.is_first or _waited_for(here, data, is_patient=is_shared and not sees)
            if is_shared and not sees:
                _log.warning("%s does not appear on this machine", here)
            if not all(team.all(sees)):
                here = _relayed(run, team, stack, here, data, entries, needs=not sees)
        if not team.is_first:
            team_entries = own_files(manifest, names, team.rank)
            team.agree(lambda: require_files(here, team_entries))
        else:
            team.agree(lambda: None)
        checkpoint = dataclasses.replace(selection.checkpoint, path=here)
        yield dataclasses.replace(selection, checkpoint=checkpoint, manifest=manifest)


def require_nowhere_else(team: Alone, names: Sequence[str]) -> None:
    """Refuse to begin anew where another process has checkpoints on a disk of its own.

    Args:
        team: The processes; each has to ask.
        names: The checkpoints that this one sees, oldest first.

    Raises:
        CheckpointError: Rank 0 sees none, and another process does.
    """
    if not team.is_several:
        return
    seen = team.all(list(names))
    holder = next((rank for rank, found in enumerate(seen) if found), 0)
    if not seen[0] and holder:
        raise CheckpointError(
            f"Rank 0 has no checkpoint of this run on its disk, and rank {holder} has "
            f"{seen[holder][-1]}: to begin anew would lose what was trained.",
            hint="Start the process on that machine as rank 0, copy the run's directory to rank 0's "
            "machine, use a directory that all machines share, or publish with hub=. To begin anew on "
            "purpose, choose another directory.",
        )


def files_of(manifest: Manifest, names: Collection[str]) -> List[FileEntry]:
    """The files of components, those of all processes."""
    paths = {
        path
        for name, entry in manifest.components.items()
        if name.partition(".")[0] in names
        for path in entry.files
    }
    return [entry for entry in manifest.files if entry.path in paths]


def own_files(manifest: Manifest, names: Collection[str], rank: int) -> List[FileEntry]:
    """The files of components that one process reads."""
    paths = {
        path
        for name, entry in manifest.components.items()
        if name.partition(".")[0] in names
        for path in entry.of_rank(rank).files
    }
    return [entry for entry in manifest.files if entry.path in paths]


def _sees(here: Path, data: bytes) -> bool:
    """Whether this process sees the checkpoint, and not another one of the same name."""
    try:
        return (here / MANIFEST).read_bytes() == data
    except OSError:
        return False


def _waited_for(here: Path, data: bytes, *, is_patient: bool) -> bool:
    end = time.monotonic() + (_PATIENCE if is_patient else 0.0)
    while not _sees(here, data):
        if time.monotonic() >= end:
            return False
        time.sleep(0.2)
    return True


def _shares_disk(run: RunDirectory, team: Team) -> bool:
    """Whether this process sees what rank 0 writes: the name of a file that nobody has looked for yet."""
    mark = run.staging / f"seen-by-all-{secrets.token_hex(8)}"

    def leave() -> str:
        with translated_os_errors(f"find out whether {str(run.path)!r} is shared"):
            run.create()
            run.files.write_bytes(mark, b"")
        return str(mark.name)

    staging: Path = run.staging
    found = (staging / team.first(leave)).exists()
    team.all(found)
    if team.is_first:
        with contextlib.suppress(OSError):
            mark.unlink()
    return found


def _relayed(
    run: RunDirectory,
    team: Team,
    stack: contextlib.ExitStack,
    here: Path,
    data: bytes,
    entries: List[FileEntry],
    *,
    needs: bool,
) -> Path:
    """Send the files from rank 0 to the processes that do not see them; return where this one reads."""

    def make_room() -> Path | None:
        if not needs:
            return None
        with translated_os_errors(f"receive {here.name} in {str(run.path)!r}"):
            run.create()
            size = sum(entry.size for entry in entries)
            require_free_space(run.path, size, purpose=f"a copy of {here.name}")
            place = stack.enter_context(staged(run, here.name)) / here.name
            run.files.make_directory(place)
            (place / MANIFEST).write_bytes(data)
            return place

    place = team.agree(make_room)
    if team.is_first:
        failure = send(team.caller, here, entries)
    else:
        failure = receive(team.caller, place, entries)

    def complete() -> None:
        if failure is not None:
            with translated_os_errors(f"pass {here.name} on to every process"):
                raise failure
        if place is not None:
            _log.info("%s was received from rank 0", here.name)

    team.agree(complete)
    if not needs and not team.is_first and not _sees(here, data):
        raise CheckpointError(f"{here.name} has disappeared.")
    return here if place is None else place
