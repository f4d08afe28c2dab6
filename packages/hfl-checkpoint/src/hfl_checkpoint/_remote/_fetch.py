"""The way back: a checkpoint of the Hub becomes one of the run's directory, whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, List

from hfl_checkpoint._checkpoint import Checkpoint, describe
from hfl_checkpoint._manifest import MANIFEST, read_manifest
from hfl_checkpoint._remote._address import FOLDER
from hfl_checkpoint._remote._state import require_as_told
from hfl_checkpoint._staging import free_name, staged
from hfl_checkpoint._verify import verify
from hfl_checkpoint.errors import CheckpointDamagedError
from hfl_core import IntegrityError, NotFoundError, get_logger, translated_os_errors

if TYPE_CHECKING:
    from hfl_checkpoint._remote._state import Published, RemoteState
    from hfl_checkpoint._run import RunDirectory
    from hfl_repo import RepoManager

_log = get_logger(__name__)


def fetch(
    run: RunDirectory, repo: RepoManager, state: RemoteState, item: Published, *, naming: str
) -> Checkpoint:
    """Fetch one checkpoint, verify it, and commit it to the run's directory like a save.

    What arrives is kept in the cache that all clients of the Hub share, so an attempt that was
    interrupted is gone on with.

    Args:
        run: The run's directory.
        repo: The repository.
        state: What the branch holds.
        item: The checkpoint.
        naming: The pattern of names, for a directory that has no run yet.

    Returns:
        The checkpoint here; the one that is here already, when it is intact.

    Raises:
        CheckpointDamagedError: It is damaged on the Hub.
        MisleadingIndexError: It is not what the index says.
        NetworkError: It cannot be fetched.
        DiskSpaceError: There is no room for it.
    """
    with translated_os_errors(f"fetch {item.name} to {str(run.path)!r}"):
        present = find_here(run, item)
        if present is not None:
            return present
        run.create()
        with staged(run, item.name) as stage:
            _download(repo, state, item, stage)
            report = verify(stage, "full")
            if not report.ok:
                raise CheckpointDamagedError(
                    item.name, [f"on the Hub, {problem}" for problem in report.problems]
                )
            manifest = read_manifest(stage)
            require_as_told(item, manifest)
            for path in stage.rglob("*"):
                if path.is_dir():
                    run.files.sync_directory(path)
                else:
                    run.files.protect(path)
            run.files.sync_directory(stage)
            run.go_on(manifest.run_id, naming)
            with run.lock():
                name = free_name(run, item.name)
                run.files.move(stage, run.path / name)
    _log.info("fetched %s from %s", item.name, repo.repo_id)
    return describe(run.path / name, manifest, None)


def fetch_newest(
    run: RunDirectory,
    repo: RepoManager,
    state: RemoteState,
    candidates: List[Published],
    *,
    naming: str,
) -> tuple[Checkpoint | None, List[str]]:
    """Fetch the newest checkpoint that is intact.

    Args:
        run: The run's directory.
        repo: The repository.
        state: What the branch holds.
        candidates: The checkpoints, oldest first.
        naming: As for `fetch`.

    Returns:
        The checkpoint, or None when none is intact; and what is wrong with newer ones.
    """
    warnings: List[str] = []
    for item in reversed(candidates):
        try:
            return fetch(run, repo, state, item, naming=naming), warnings
        except CheckpointDamagedError as error:
            warnings.append(f"{error.message} An earlier one on the Hub is used.")
            _log.warning("%s", warnings[-1])
    return None, warnings


def find_here(run: RunDirectory, item: Published) -> Checkpoint | None:
    """Find the checkpoint of the Hub among those that are here, and are intact."""
    scan = run.scan()
    for found in (*scan.checkpoints, *scan.foreign):
        same = (found.run_id, found.sequence, found.created_at)
        wanted = item.checkpoint
        if same == (wanted.run_id, wanted.sequence, wanted.created_at) and verify(found.path).ok:
            return found
    return None


def _download(repo: RepoManager, state: RemoteState, item: Published, stage: Path) -> None:
    """Fetch the files of a checkpoint, and put them into a folder of our own."""
    wanted = state.files_of(item.name)
    try:
        cache = repo.download([f"/{_literal(FOLDER)}/{_literal(item.name)}/"], state.tree.commit)
    except (IntegrityError, NotFoundError) as error:
        raise CheckpointDamagedError(item.name, [f"on the Hub, {error.message}"]) from error
    source = cache / FOLDER / item.name
    _place(source / MANIFEST, stage / MANIFEST)
    # What the manifest does not list was not saved by anybody, and nothing would verify it.
    for path in [item.path for item in read_manifest(stage).files if item.path in wanted]:
        place = stage.joinpath(*path.split("/"))
        place.parent.mkdir(parents=True, exist_ok=True)
        _place(source.joinpath(*path.split("/")), place)


def _place(source: Path, place: Path) -> None:
    """Link a file of the cache, whose files are never changed, or copy it where that cannot be."""
    real = Path(os.path.realpath(source))
    # Windows keeps the files of a cache read-only.
    link = shutil.copyfile if os.name == "nt" else os.link
    try:
        link(real, place)
    except OSError:
        shutil.copyfile(real, place)
    # Whoever wrote it into the cache did not care about power losses.
    with place.open("rb") as file:
        os.fsync(file.fileno())


def _literal(name: str) -> str:
    """Write a name so that a pattern means it and nothing else."""
    return "".join(f"\\{char}" if char in "\\*?[]!#" else char for char in name)
