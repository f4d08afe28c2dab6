"""A download: huggingface_hub fetches, and here every file is verified by its digest."""

from __future__ import annotations

import errno
import functools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Iterable, Mapping, Sequence

from hfl_core import (
    Progress,
    RetryPolicy,
    get_logger,
    in_parallel,
    require_free_space,
    translated_os_errors,
)
from hfl_core.errors import DiskSpaceError, HflError, IntegrityError, NetworkError, ValidationError
from hfl_repo._transfer._cache_layout import RepoCache
from hfl_repo._transfer._digest_cache import DigestCache
from hfl_repo._transfer._digests import digest_files
from hfl_repo._transfer._paths import path_problem
from hfl_repo._transfer._patience import DamagedOnTheWayError, Patience
from hfl_repo._transfer._patterns import Patterns
from hfl_repo._transfer._remote import RemoteFile, Tree
from hfl_repo._transfer._scan import LocalFile, file_key
from hfl_repo.errors import EntryNotFoundError

if TYPE_CHECKING:
    from hfl_repo._hub import Hub
    from hfl_repo._target import Target

__all__ = ["Download", "chosen_files"]

_LOG = get_logger(__name__)
_AT_ONCE = 5
_SHOWN = 3
_ONCE = RetryPolicy(attempts=1)


def chosen_files(
    tree: Tree, patterns: Sequence[str] | None, target: Target
) -> Mapping[str, RemoteFile]:
    """Choose files of a commit.

    Args:
        tree: All of them.
        patterns: As in a ``.gitignore``; None for all.
        target: The repository with the revision.

    Returns:
        The files by path.

    Raises:
        EntryNotFoundError: A path without wildcards is not there, or nothing matches.
        ValidationError: The Hub names a file that would lie outside of the folder.
    """
    found = tree if patterns is None else _meant(tree, patterns, target)
    bad = next((path for path in found if path_problem(path)), None)
    if bad is not None:
        raise ValidationError(
            f"{target.repo_id!r} has a file that cannot be kept here: {bad!r} ({path_problem(bad)}).",
            hint="Name the files that you need, or have it renamed in the repository.",
        )
    return found


def _meant(tree: Tree, patterns: Sequence[str], target: Target) -> Mapping[str, RemoteFile]:
    revision = target.revision or "main"
    exact = {pattern for pattern in patterns if pattern in tree}  # "a [1].txt" is one, too
    for pattern in patterns:
        if pattern not in exact and not re.search(r"[*?\[!\\]", pattern):
            one = Patterns([pattern])
            if not any(one.match(path) for path in tree):
                raise EntryNotFoundError(target.repo_id, pattern, revision=revision)
    meant = Patterns(patterns)
    found = {path: file for path, file in tree.items() if path in exact or meant.match(path)}
    if not found:
        raise EntryNotFoundError(target.repo_id, ", ".join(patterns), revision=revision)
    return found


class Download:
    """One download under way.

    Args:
        hub: The Hub.
        target: The repository with the commit.
        folder: The cache of the Hub's clients.
        digests: The digests that are known.
        patience: How long it may take.
        progress: Where it is shown.
    """

    def __init__(
        self,
        hub: Hub,
        target: Target,
        folder: Path,
        digests: DigestCache,
        patience: Patience,
        progress: Progress,
    ) -> None:
        self._hub = hub
        self._target = target
        self._folder = folder
        self._digests = digests
        self._patience = patience
        self._progress = progress
        self._cache = RepoCache(folder, target)
        self.snapshot = self._cache.snapshot(target.revision or "")

    def carry_out(self, files: Mapping[str, RemoteFile], *, room_for_copy: Path | None) -> Path:
        """Fetch what is missing or damaged in the cache, and verify all of it.

        Args:
            files: The files.
            room_for_copy: Where the files are to be copied to afterwards, if they are.

        Returns:
            The folder in the cache that holds them.

        Raises:
            DiskSpaceError: There is no room; nothing was fetched.
            IntegrityError: A file arrives damaged again and again.
            HflError: A file cannot be had.
        """
        good = self._verified(files.values())
        wanted = [file for file in files.values() if file.path not in good]
        if wanted and self._hub.is_offline:
            names = ", ".join(file.path for file in wanted[:_SHOWN])
            raise NetworkError(
                f"The network is switched off, and {len(wanted)} files are not here or damaged:"
                f" {names}.",
                hint="Unset HFL_OFFLINE (and HF_HUB_OFFLINE) to fetch them.",
            )
        self._check_room(files, wanted, room_for_copy)
        self.snapshot.mkdir(parents=True, exist_ok=True)
        total = sum(file.size for file in wanted)
        with self._progress.task("Downloading", total, "bytes") as task, self._hub.quietly():
            work = [functools.partial(self._fetch, file, task.advance) for file in wanted]
            try:
                errors = in_parallel(work, _AT_ONCE, "hfl-download", seconds=self._patience.left)
            except TimeoutError as error:
                raise self._patience.overdue() from error
            except BaseException:  # Ctrl-C
                self._patience.give_up()
                raise
        self._digests.flush()
        if errors:
            raise errors[0]
        return self.snapshot

    def _fetch(self, file: RemoteFile, advance: Callable[[int], None]) -> None:
        place = self.snapshot.joinpath(*file.path.split("/"))
        is_again = os.path.lexists(place)  # it is there and not good

        def once() -> None:
            nonlocal is_again
            force, is_again = is_again, True
            self._fetch_once(file, force=force)
            if not self._verified([file]):
                self._cache.discard(place)
                raise DamagedOnTheWayError(f"{file.path!r} arrived damaged.")

        try:
            self._patience.call(once)
        except DamagedOnTheWayError as error:
            raise IntegrityError(
                f"{file.path!r} of {self._target.repo_id!r} arrives damaged again and again.",
                hint="Something between here and the Hub changes what is sent, or the Hub's copy is"
                " damaged.",
            ) from error
        advance(file.size)

    def _fetch_once(self, file: RemoteFile, *, force: bool) -> None:
        try:
            self._hub.call(
                lambda api: api.hf_hub_download(
                    self._target.repo_id,
                    file.path,
                    repo_type=self._target.repo_type,
                    revision=self._target.revision,
                    cache_dir=self._folder,
                    force_download=force,
                    etag_timeout=self._patience.bounded(self._hub.timeout),
                ),
                self._target.at(self._target.revision, file.path),
                retry=_ONCE,
            )
        except HflError:
            raise
        except self._hub.library.errors.LocalEntryNotFoundError as error:
            raise NetworkError(f"{self._hub.endpoint} cannot be reached.") from error
        except (OSError, RuntimeError) as error:
            if _is_no_room(error):
                raise DiskSpaceError(
                    f"The disk became full while {file.path!r} was fetched to {self._folder}.",
                    hint="Free some space and call it again: what has arrived stays.",
                ) from error
            # huggingface_hub found fewer or more bytes than were announced, or hf_xet gave up.
            if isinstance(error, RuntimeError) or "onsistency" in str(error):
                raise DamagedOnTheWayError(f"{file.path!r} arrived incomplete.") from error
            with translated_os_errors(f"keep {file.path!r}"):
                raise

    def _verified(self, files: Iterable[RemoteFile]) -> set[str]:
        """Return which of the files are in the cache with the content that they are to have."""
        here: list[LocalFile] = []
        meant: dict[str, RemoteFile] = {}
        for file in files:
            place = self.snapshot.joinpath(*file.path.split("/"))
            if place.is_file() and place.stat().st_size == file.size:
                here.append(LocalFile(file.path, place, file_key(place)))
                meant[file.path] = file
        hashed = digest_files(here, self._digests, check=self._patience.check)
        return {path for path, digests in hashed.digests.items() if meant[path].holds(digests)}

    def _check_room(
        self,
        files: Mapping[str, RemoteFile],
        wanted: Sequence[RemoteFile],
        room_for_copy: Path | None,
    ) -> None:
        needed: dict[Path, int] = {_existing(self._folder): sum(file.size for file in wanted)}
        if room_for_copy is not None:
            copy, first = _existing(room_for_copy), next(iter(needed))
            total = sum(file.size for file in files.values())
            if copy.stat().st_dev == first.stat().st_dev:
                needed[first] += total
            else:
                needed[copy] = total
        for folder, size in needed.items():
            if size:
                require_free_space(folder, size, purpose=f"a download of {self._target.repo_id!r}")


def _is_no_room(error: BaseException) -> bool:
    # hf_xet has only a text for it.
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(
        text in str(error) for text in ("No space left on device", "(os error 28)")
    )


def _existing(path: Path) -> Path:
    absolute = Path.cwd() / path
    return next(parent for parent in (absolute, *absolute.parents) if parent.is_dir())
