"""Uploads, downloads and differences between a folder and a repository."""

from __future__ import annotations

import copy
import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Sequence

from hfl_core import Progress, load_settings
from hfl_core.errors import ConfigError, NetworkError, NotFoundError, ValidationError
from hfl_repo._account import check_contributor
from hfl_repo._base import RepoBase
from hfl_repo._info import info_from
from hfl_repo._life import check_visibility
from hfl_repo._names import check_ref_name
from hfl_repo._transfer._cache_layout import RepoCache, TreeNotes, cache_folder
from hfl_repo._transfer._change import Change
from hfl_repo._transfer._digest_cache import DigestCache
from hfl_repo._transfer._download import Download, chosen_files
from hfl_repo._transfer._findings import Allowed
from hfl_repo._transfer._patience import Patience
from hfl_repo._transfer._patterns import PathFilter, as_patterns
from hfl_repo._transfer._placing import place_files
from hfl_repo._transfer._remote import Tree, list_tree
from hfl_repo._transfer._report import TransferReport
from hfl_repo._transfer._scan import Scan, scan
from hfl_repo._transfer._upload import OnUploadConflict, Upload, Wish, plan_for
from hfl_repo.errors import RepoArchivedError, RevisionNotFoundError

if TYPE_CHECKING:
    import threading

    from hfl_repo._hub import Hub

__all__ = ["Transfers"]

_DEFAULT = "main"


class Transfers(RepoBase):
    """What `RepoManager` moves between this machine and the Hub."""

    def upload(  # noqa: PLR0913  # each has a default that most keep
        self,
        path: str | os.PathLike[str],
        path_in_repo: str | None = None,
        *,
        revision: str | None = None,
        message: str | None = None,
        delete: bool | str | Sequence[str] = False,
        include: str | Sequence[str] | None = None,
        exclude: str | Sequence[str] | None = None,
        allow: Sequence[str] = (),
        private: bool | None = None,
        create_branch: bool = False,
        create_pr: bool = False,
        on_conflict: OnUploadConflict = "error",
        timeout: float | None = None,
        dry_run: bool = False,
    ) -> TransferReport:
        """Bring a file or a folder into the repository, in one commit.

        Only what differs is sent, and what the repository has already under another name it
        copies itself. Before a byte leaves the machine it is made sure that the account may write,
        that the repository is as private as you think, and that no secret, path of this machine or
        broken file is among it. When it is interrupted, in this process or by its end, call it
        again: large files that have arrived are not sent again, and nobody ever sees half of it.

        Args:
            path: The file or folder.
            path_in_repo: The folder of the repository that a folder's content goes into (the root
                if None); for a file, its path there (its name if None).
            revision: The branch, or the pull request as ``"refs/pr/3"``; ``"main"`` if None.
            message: The commit's message.
            delete: Which files of the repository go that are not here: none, all (True; within
                `path_in_repo` and as far as `include` and `exclude` reach; never
                ``.gitattributes``), or those that patterns name, relative to `path_in_repo`.
            include: Patterns, as in a ``.gitignore``, for what is taken from a folder; all if None.
            exclude: Patterns for what is not taken.
            allow: What the gate is to let through: ``"path:kind"``, ``"path"``, or ``"kind"``.
            private: What the repository has to be; None if either will do.
            create_branch: Create the branch, from the default one, if it is not there.
            create_pr: Open a pull request instead of committing to the branch.
            on_conflict: What happens if somebody else changes the same files meanwhile: raise
                and change nothing (``"error"``), overwrite (``"ours"``) or leave them
                (``"theirs"``).
            timeout: Seconds for everything together; None to wait as long as the Hub asks.
            dry_run: Do everything up to the gate, and send nothing.

        Returns:
            What became of it. When there is nothing to change, no commit is made.

        Raises:
            ValidationError: There is nothing to upload, or a path makes no sense. Nothing was sent.
            RepoNotFoundError: There is no such repository.
            RevisionNotFoundError: There is no such branch, and it was not to be created.
            PermissionDeniedError: The account may not write here, or the repository is archived.
            VisibilityMismatchError: It is public where private was asked for, or the reverse.
            UnsafeUploadError: The gate found something. Nothing was sent.
            UploadConflictError: Somebody else changed the same files meanwhile.
            IntegrityError: A file arrives damaged again and again.
            TransferTimeoutError: The time is over.
            NetworkError: The Hub cannot be reached.

        Example:
            >>> import tempfile
            >>> folder = tempfile.mkdtemp()
            >>> with open(f"{folder}/config.json", "w") as file:
            ...     written = file.write('{"layers": 2}')
            >>> report = RepoManager("ann/digits").upload(folder, message="Describe the model")
            >>> [(change.path, change.kind) for change in report.files]
            [('config.json', 'add')]
            >>> RepoManager("ann/digits").upload(folder).is_empty
            True
        """
        source = Path(path)
        title, description = _message(message, source)
        wish = Wish(
            title,
            description,
            create_pr=create_pr,
            on_conflict=_conflict_policy(on_conflict),
            delete=delete if isinstance(delete, bool) else as_patterns(delete, "delete") or False,
            taken=_filter(include, exclude),
            allowed=Allowed(as_patterns(allow, "allow") or ()),
        )
        found = scan(source, path_in_repo, wish.taken, wish.allowed)
        patience, hub = self._patient(timeout)
        branch = self._target.at(_DEFAULT if revision is None else revision).revision or ""
        base = self._check_upload(branch, private, create_branch=create_branch, wish=wish)
        with Progress() as progress:
            work = Upload(
                hub,
                self._target.at(branch),
                head=lambda: self._head(branch),
                base=base,
                wish=wish,
                patience=patience,
                progress=progress,
            )
            work.prepare(found, DigestCache(load_settings().cache_dir))
            return work.report(None, is_dry_run=True) if dry_run else work.carry_out()

    def diff(
        self,
        path: str | os.PathLike[str],
        path_in_repo: str | None = None,
        *,
        revision: str | None = None,
        delete: bool | str | Sequence[str] = False,
        include: str | Sequence[str] | None = None,
        exclude: str | Sequence[str] | None = None,
    ) -> tuple[Change, ...]:
        """Compare a file or a folder with the repository, by content.

        Args:
            path: The file or folder.
            path_in_repo: As for `upload`.
            revision: A branch, a tag or a commit; the default branch if None.
            delete: As for `upload`; with True, what is in the repository only is named, too.
            include: As for `upload`.
            exclude: As for `upload`.

        Returns:
            What an upload would change, by path.

        Raises:
            ValidationError: There is nothing at `path`, or a path makes no sense.
            RevisionNotFoundError: There is no such revision.

        Example:
            >>> import tempfile
            >>> folder = tempfile.mkdtemp()
            >>> with open(f"{folder}/notes.md", "w") as file:
            ...     written = file.write("# Notes")
            >>> [(change.path, change.kind) for change in RepoManager("ann/digits").diff(folder)]
            [('notes.md', 'add')]
        """
        patience, hub = self._patient(None)
        wish = Wish(
            "compare",
            delete=delete if isinstance(delete, bool) else as_patterns(delete, "delete") or False,
            taken=_filter(include, exclude),
            allowed=Allowed(["link"]),
        )
        found: Scan = scan(Path(path), path_in_repo, wish.taken, wish.allowed)
        tree = list_tree(hub, self._target.at(self._head(revision)))
        cache = DigestCache(load_settings().cache_dir)
        with Progress() as progress:
            plan, _ = plan_for(found, tree, cache, wish, progress=progress, check=patience.check)
        return tuple(sorted(plan.changes, key=lambda change: change.path))

    def download(
        self,
        files: str | Sequence[str] | None = None,
        revision: str | None = None,
        *,
        to: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
    ) -> Path:
        """Bring files of the repository here, and verify each by its digest.

        They are kept in the cache that all of the Hub's clients share. What is there already is
        verified, too, and fetched again if it is damaged; what was fetched half is gone on with.

        Args:
            files: Patterns, as in a ``.gitignore``, or paths; everything if None.
            revision: A branch, a tag or a commit; the default branch if None.
            to: A folder to copy the files to, for use without the cache. It gets them when all
                are verified: a new folder appears whole, and what else is in an old one stays.
            timeout: Seconds for everything together; None to wait as long as the Hub asks.

        Returns:
            The folder with the files: `to`, or the one in the cache, whose files must not be
            changed.

        Raises:
            RepoNotFoundError: There is no such repository.
            RevisionNotFoundError: There is no such revision.
            EntryNotFoundError: There is no such file.
            DiskSpaceError: There is no room. Nothing was fetched.
            IntegrityError: A file arrives damaged again and again.
            TransferTimeoutError: The time is over.
            NetworkError: The Hub cannot be reached, or the network is switched off and not all of
                it is here.

        Example:
            >>> folder = RepoManager("ann/digits").download("README.md")
            >>> (folder / "README.md").read_text().splitlines()[1]
            'license: mit'
        """
        patterns = as_patterns(files, "files")
        place = None if to is None else Path(to)
        if place is not None and place.exists() and not place.is_dir():
            raise ValidationError(f"{os.fspath(place)!r} is not a folder.")
        patience, hub = self._patient(timeout)
        settings = load_settings()
        digests = DigestCache(settings.cache_dir)
        notes = TreeNotes(settings.cache_dir, hub.endpoint, self._target)
        cache = RepoCache(cache_folder(), self._target)
        commit, tree = self._commit_and_tree(hub, revision, cache, notes)
        chosen = chosen_files(tree, patterns, self._target.at(revision))
        with Progress() as progress:
            work = Download(
                hub, self._target.at(commit), cache_folder(), digests, patience, progress
            )
            snapshot = work.carry_out(chosen, room_for_copy=place)
        cache.remember(revision or _DEFAULT, commit)
        if place is None:
            return snapshot
        place_files(snapshot, chosen, place, digests)
        return place

    # -- inside -------------------------------------------------------------------------------

    def _patient(
        self,
        timeout: float | None,
        *,
        waits_for_quota: bool = True,
        stop: threading.Event | None = None,
    ) -> tuple[Patience, Hub]:
        """Return the Hub with the policy of a transfer: as patient as it was asked to be."""
        hub = copy.copy(self._hub)
        patience = Patience(hub.retry, timeout, waits_for_quota=waits_for_quota, stop=stop)
        hub.retry = dataclasses.replace(hub.retry, timeout=timeout, sleep=patience.sleep)
        hub.timeout = patience.bounded(hub.timeout)
        return patience, hub

    def _commit_and_tree(
        self, hub: Hub, revision: str | None, cache: RepoCache, notes: TreeNotes
    ) -> tuple[str, Tree]:
        if hub.is_offline:
            commit = cache.commit_of(revision or _DEFAULT)
            tree = None if commit is None else notes.read(commit)
            if commit is None or tree is None:
                raise NetworkError(
                    f"{self.repo_id!r} was not downloaded yet, and the network is switched off.",
                    hint="Unset HFL_OFFLINE (and HF_HUB_OFFLINE) to talk to the Hub.",
                )
            return commit, tree
        commit = self._head(revision)
        tree = notes.read(commit)
        if tree is None:
            tree = list_tree(hub, self._target.at(commit))
            notes.write(commit, tree)
        return commit, tree

    def _check_upload(
        self, branch: str, private: bool | None, *, create_branch: bool, wish: Wish
    ) -> str:
        """Make sure that the upload may be, before anything is read; return the branch's commit."""
        if wish.create_pr:
            check_contributor(self._identity, self.repo_id)
        else:
            self._check_writable()
        found = info_from(self._describe(None), self.repo_type, self._hub.endpoint)
        check_visibility(found, private)
        if found.is_archived:
            raise RepoArchivedError(found.repo_id)
        if branch == _DEFAULT and found.sha is not None:
            return found.sha
        if not branch.startswith("refs/pr/"):
            self._check_branch(branch, found.sha, create=create_branch)
        return self._head(branch)

    def _check_branch(self, branch: str, start: str | None, *, create: bool) -> None:
        """Make sure that the revision is a branch: a tag and a commit stay where they are."""
        target = self._target
        refs = self._hub.get(target.api("refs"), target)
        names = [str(ref["name"]) for ref in refs.get("branches", ())]
        if branch in names:
            return
        tags = [str(ref["name"]) for ref in refs.get("tags", ())]
        if branch in tags:
            raise ValidationError(
                f"{branch!r} is a tag of {self.repo_id!r}, and tags stay where they are.",
                hint="Upload to a branch, then tag its commit.",
            )
        if not create:
            raise RevisionNotFoundError(self.repo_id, branch, available=names)
        check_ref_name(branch, "branch")
        body = {} if start is None else {"startingPoint": start}
        try:
            self._hub.send("POST", target.api("branch", branch), target, json=body)
        except NotFoundError:
            raise RevisionNotFoundError(self.repo_id, branch, available=names) from None


def _message(message: str | None, source: Path) -> tuple[str, str]:
    text = f"Upload {source.resolve().name or 'files'}" if message is None else message.strip()
    title, _, rest = text.partition("\n")
    if not title.strip():
        raise ConfigError("A commit needs a message.", hint="Leave it out for a default one.")
    return title.strip(), rest.strip()


def _filter(include: str | Sequence[str] | None, exclude: str | Sequence[str] | None) -> PathFilter:
    return PathFilter(as_patterns(include, "include"), as_patterns(exclude, "exclude"))


def _conflict_policy(value: OnUploadConflict) -> OnUploadConflict:
    if value not in ("error", "ours", "theirs"):
        raise ConfigError(f"on_conflict is 'error', 'ours' or 'theirs', not {value!r}.")
    return value
