"""`.gitattributes` on the Hub: match what will be uploaded, and keep what others wrote."""

from __future__ import annotations

import dataclasses
from typing import Iterable

from hfl_repo._base import RepoBase
from hfl_repo._files import commit_files, read_file
from hfl_repo._lfs_rules import LfsRules, with_rules
from hfl_repo.errors import HeadMovedError

__all__ = ["GitattributesUpdate"]

_PATH = ".gitattributes"


@dataclasses.dataclass(frozen=True)
class GitattributesUpdate:
    """What became of a change to `.gitattributes`.

    Attributes:
        commit: The commit that holds the file as it is now.
        added: The patterns that were added.
        pull_request: The page of the pull request, if one was opened.
    """

    commit: str
    added: tuple[str, ...] = ()
    pull_request: str | None = None


class Attributes(RepoBase):
    """What `RepoManager` does with `.gitattributes`."""

    def set_gitattributes(
        self,
        patterns: Iterable[str] = (),
        *,
        files: Iterable[str] = (),
        revision: str | None = None,
        create_pr: bool = False,
    ) -> GitattributesUpdate:
        """Make the Hub keep files as large files (git-lfs). Lines that are there stay.

        Args:
            patterns: Patterns such as ``"*.arrow"``.
            files: Paths that are going to be uploaded; those that no rule covers get one.
            revision: The branch; the default branch if None.
            create_pr: Open a pull request instead of committing to the branch.

        Returns:
            What was added. When nothing is missing, no commit is made.

        Raises:
            ValidationError: A pattern makes no sense.
            PermissionDeniedError: The account may not write here.

        Example:
            >>> RepoManager("ann/digits").set_gitattributes(files=["state/optimizer.dat"]).added
            ('*.dat',)
        """
        wanted, paths = tuple(patterns), tuple(files)
        LfsRules("").missing(wanted, paths)  # what makes no sense is said before anything is asked
        branch = self._target.at("main" if revision is None else revision)

        def once() -> GitattributesUpdate:
            head = self._head(branch.revision)
            content = read_file(self._hub, branch.at(head, _PATH)) or b""
            added = LfsRules(content.decode("utf-8", "replace")).missing(wanted, paths)
            if not added:
                return GitattributesUpdate(head)
            if not create_pr:
                self._check_writable()
            self._check_open()
            made = commit_files(
                self._hub,
                branch,
                {_PATH: with_rules(content, added)},
                parent=head,
                message="Keep more files as large files",
                create_pr=create_pr,
            )
            return GitattributesUpdate(made.oid, added, made.pull_request)

        return self._hub.patient_with(HeadMovedError).call(once)
