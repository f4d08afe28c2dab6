"""Commits of many parts for programs that decide what a branch is to hold."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Iterator, List, Mapping, Sequence, Union

from hfl_core import Progress, load_settings
from hfl_core.errors import ConflictError, ValidationError
from hfl_repo._files import read_file
from hfl_repo._transfer import Transfers
from hfl_repo._transfer._digest_cache import DigestCache
from hfl_repo._transfer._exact import ExactCommit, Parts
from hfl_repo._transfer._findings import Allowed, Finding
from hfl_repo._transfer._paths import checked_path
from hfl_repo._transfer._patterns import as_patterns
from hfl_repo._transfer._remote import list_tree
from hfl_repo._transfer._report import TransferReport
from hfl_repo._transfer._scan import LocalFile, file_key
from hfl_repo._transfer._tree import RemoteFile, RepoTree
from hfl_repo._transfer._upload import Wish
from hfl_repo.errors import EntryNotFoundError, HeadMovedError

if TYPE_CHECKING:
    import os
    import threading

__all__ = ["Commits"]

Source = Union[bytes, str, "os.PathLike[str]"]


class Commits(Transfers):
    """What `RepoManager` offers to programs that decide what a branch is to hold."""

    def tree(self, revision: str | None = None) -> RepoTree:
        """List all files of a revision, with their digests.

        Args:
            revision: A branch, a tag or a commit; the default branch if None.

        Returns:
            The files, and the commit that holds them.

        Raises:
            RepoNotFoundError: There is no such repository.
            RevisionNotFoundError: There is no such revision.

        Example:
            >>> RepoManager("ann/digits").tree().files["README.md"].sha256 is None  # a small file
            True
        """
        commit = self._head(revision)
        return RepoTree(commit, MappingProxyType(list_tree(self._hub, self._target.at(commit))))

    def read(self, path: str, revision: str | None = None) -> bytes:
        """Read a small file; see `download` for large ones.

        Args:
            path: The file.
            revision: A branch, a tag or a commit; the default branch if None.

        Returns:
            Its content.

        Raises:
            EntryNotFoundError: There is no such file.
            RevisionNotFoundError: There is no such revision.

        Example:
            >>> RepoManager("ann/digits").read("README.md").splitlines()[1]
            b'license: mit'
        """
        content = read_file(self._hub, self._target.at(revision or "main", checked_path(path)))
        if content is None:
            raise EntryNotFoundError(self.repo_id, path, revision=revision or "main")
        return content

    def commit(  # noqa: PLR0913  # each has a default that most keep
        self,
        files: Mapping[str, Source] = MappingProxyType({}),
        *,
        message: str,
        delete: Sequence[str] = (),
        copies: Mapping[str, RemoteFile] = MappingProxyType({}),
        revision: str | None = None,
        on: RepoTree | None = None,
        digests: Mapping[str, str] = MappingProxyType({}),
        private: bool | None = None,
        allow: Sequence[str] = (),
        wait_for_quota: bool = True,
        stop: threading.Event | None = None,
        timeout: float | None = None,
        dry_run: bool = False,
    ) -> TransferReport:
        """Change many files of a branch in one commit that stands on a known state, or not at all.

        It goes the way of `upload` (rights, visibility, the gate, large files ahead, one commit, a
        look whether it landed when no answer comes), with one difference: when somebody else has
        committed, it raises instead of carrying the change over, so that whoever asked can decide
        anew what the branch is to hold. Large files that have arrived stay.

        Args:
            files: Path in the repository to the file here, or to the content.
            message: The commit's message.
            delete: Files that go, and folders where a path ends with ``/``; what is not there is
                gone already.
            copies: Path to a large file that the repository has, on whatever branch; from `tree`.
            revision: The branch; ``"main"`` if None.
            on: The state that the change was decided on, from `tree`; where it is now if None.
            digests: The sha256 of files, where it is known. Such a file is not read when the branch
                holds its content already.
            private: What the repository has to be; None if either will do.
            allow: What the gate is to let through, as for `upload`.
            wait_for_quota: Whether a rate limit is waited out; if not, `RateLimitError` tells how
                long that would take.
            stop: Ends the work when it is set.
            timeout: Seconds for everything together; None to wait as long as the Hub asks.
            dry_run: Do everything up to the gate, and send nothing.

        Returns:
            What became of it. When there is nothing to change, no commit is made.

        Raises:
            HeadMovedError: The branch is not at `on` any more. Nothing was changed.
            RateLimitError: The quota of commits is used up, and it was not to be waited out.
            HflError: As for `upload`.

        Example:
            >>> repo = RepoManager("ann/digits")
            >>> before = repo.tree()
            >>> repo.commit({"a.txt": b"one"}, message="Add a", on=before).files[0].kind
            'add'
            >>> try:
            ...     repo.commit({"a.txt": b"two"}, message="Change a", on=before)
            ... except HeadMovedError as error:
            ...     print(error.message)
            Somebody else committed to 'main' of 'ann/digits' meanwhile.
        """
        title, _, rest = message.strip().partition("\n")
        if not title.strip():
            raise ValidationError("A commit needs a message.")
        branch = revision or "main"
        wish = Wish(title.strip(), rest.strip(), allowed=Allowed(as_patterns(allow, "allow") or ()))
        for path, file in copies.items():
            if file.sha256 is None:
                raise ValidationError(
                    f"{file.path!r} is a small file, and the Hub copies only large ones.",
                    hint=f"Pass its content: files={{{path!r}: repo.read({file.path!r})}}",
                )
            checked_path(path)
        patience, hub = self._patient(timeout, waits_for_quota=wait_for_quota, stop=stop)
        with _on_disk(files) as found, Progress() as progress:
            base = self._check_upload(branch, private, create_branch=False, wish=wish)
            if on is not None and on.commit != base:
                raise HeadMovedError(self.repo_id, branch)
            tree = on.files if on is not None else list_tree(hub, self._target.at(base))
            parts = Parts(
                *_looked_at(found, wish.allowed),
                copies=copies,
                deletes=_Deletion(delete),
                known=digests,
            )
            work = ExactCommit(
                hub,
                self._target.at(branch),
                head=lambda: self._head(branch),
                base=base,
                wish=wish,
                patience=patience,
                progress=progress,
            )
            work.prepare_parts(parts, dict(tree), DigestCache(load_settings().cache_dir))
            return work.report(None, is_dry_run=True) if dry_run else work.carry_out()


@contextlib.contextmanager
def _on_disk(files: Mapping[str, Source]) -> Iterator[Mapping[str, Path]]:
    """Give every content a file, so that all travel the same way."""
    with contextlib.ExitStack() as stack:
        found = {}
        folder = None
        for number, (path, source) in enumerate(files.items()):
            if isinstance(source, bytes):
                if folder is None:
                    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                place = folder / str(number)
                place.write_bytes(source)
                found[path] = place
            else:
                found[path] = Path(source)
        yield found


def _looked_at(
    files: Mapping[str, Path], allowed: Allowed
) -> tuple[Sequence[LocalFile], Sequence[Finding]]:
    here: List[LocalFile] = []
    findings: List[Finding] = []
    for path, source in files.items():
        finding = None
        if source.is_symlink():
            finding = Finding(path, "link", "a link")
        elif not source.exists():
            raise ConflictError(f"{str(source)!r} is not there any more; no commit was made.")
        elif not source.is_file():
            finding = Finding(path, "special", "it is no file")
        if finding is not None and not allowed.lets_through(finding):
            findings.append(finding)
        else:
            here.append(LocalFile(checked_path(path), source, file_key(source)))
    return sorted(here, key=lambda file: file.path), findings


class _Deletion:
    """Says of a file whether it, or a folder around it, is to go."""

    def __init__(self, names: Sequence[str]) -> None:
        self._files = {checked_path(name) for name in names if not name.endswith("/")}
        self._folders = tuple(f"{checked_path(name[:-1])}/" for name in names if name.endswith("/"))

    def __call__(self, path: str) -> bool:
        return path in self._files or path.startswith(self._folders)
