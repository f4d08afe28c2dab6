"""Branches, tags, history and pull requests, with one behaviour for every verb.

=========  ======================  ==========================  ==============================
verb       there is none           it is where it should be    it is elsewhere
=========  ======================  ==========================  ==============================
create     made                    nothing to do               `RefExistsError`; with
                                                               ``exist_ok`` it stays there
delete     `RevisionNotFoundError`  deleted                    deleted
           ; with ``missing_ok``
           nothing to do
=========  ======================  ==========================  ==============================

Where nothing has to be done, no right to write is needed. Names that start with ``refs/`` (those
of pull requests) are the Hub's: they can be read as a revision, not created or deleted.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from typing import Any, Iterator, Literal

from hfl_core.errors import ConflictError, PermissionDeniedError, ValidationError
from hfl_repo._account import check_contributor
from hfl_repo._base import RepoBase
from hfl_repo._info import time_of
from hfl_repo._names import check_ref_name
from hfl_repo.errors import RefExistsError, RevisionNotFoundError

__all__ = ["Commit", "PullRequest", "Ref"]

_KINDS = {"branch": "branches", "tag": "tags", "pull_request": "pullRequests"}
_DEFAULT = "main"


@dataclasses.dataclass(frozen=True)
class Ref:
    """A name for a commit.

    Attributes:
        name: The name: ``"main"``, ``"v1.0"``, ``"refs/pr/3"``.
        kind: ``"branch"``, ``"tag"`` or ``"pull_request"``.
        commit: The commit.
    """

    name: str
    kind: Literal["branch", "tag", "pull_request"]
    commit: str


@dataclasses.dataclass(frozen=True)
class Commit:
    """A commit in the history of a repository.

    Attributes:
        id: The commit.
        title: The first line of its message.
        message: The rest of it.
        authors: Who made it.
        created_at: When it was made.
    """

    id: str
    title: str
    message: str
    authors: tuple[str, ...]
    created_at: dt.datetime | None


@dataclasses.dataclass(frozen=True)
class PullRequest:
    """A proposal to change a repository.

    Attributes:
        number: Its number.
        revision: The revision to upload to: ``"refs/pr/3"``.
        url: Its page.
    """

    number: int
    revision: str
    url: str


class References(RepoBase):
    """What `RepoManager` does with branches, tags, history and pull requests."""

    def list_branches(self) -> tuple[Ref, ...]:
        """List the branches.

        Example:
            >>> [ref.name for ref in RepoManager("ann/digits").list_branches()]
            ['main']
        """
        return self._refs("branch")

    def create_branch(
        self, name: str, revision: str | None = None, *, exist_ok: bool = False
    ) -> Ref:
        """Create a branch.

        Args:
            name: Its name.
            revision: The branch, tag or commit that it starts at; the default branch if None.
            exist_ok: Whether one that is elsewhere is fine, and stays there.

        Returns:
            The branch.

        Raises:
            ValidationError: The name is not one for a branch.
            RefExistsError: There is one already, at another commit.
            RevisionNotFoundError: There is no such revision to start at.
            PermissionDeniedError: The account may not write here.

        Example:
            >>> RepoManager("ann/digits").create_branch("experiments/lr-3e-4").kind
            'branch'
        """
        return self._create("branch", name, revision, exist_ok=exist_ok)

    def delete_branch(self, name: str, *, missing_ok: bool = False) -> None:
        """Delete a branch. Its commits stay as long as something else leads to them.

        Args:
            name: Its name.
            missing_ok: Whether it is fine that there is none.

        Raises:
            RevisionNotFoundError: There is none.
            PermissionDeniedError: It is the default branch, or the account may not write here.

        Example:
            >>> RepoManager("ann/digits").delete_branch("experiments/lr-3e-4", missing_ok=True)
        """
        if name == _DEFAULT:
            raise PermissionDeniedError(
                f"{name!r} is the default branch of {self.repo_id!r}, which cannot be deleted.",
                hint="Delete the repository with: hfl repo delete",
            )
        self._delete("branch", name, missing_ok=missing_ok)

    def list_tags(self) -> tuple[Ref, ...]:
        """List the tags.

        Example:
            >>> RepoManager("ann/digits").list_tags()
            ()
        """
        return self._refs("tag")

    def create_tag(
        self,
        name: str,
        revision: str | None = None,
        *,
        message: str | None = None,
        exist_ok: bool = False,
    ) -> Ref:
        """Create a tag.

        Args:
            name: Its name.
            revision: The branch, tag or commit that it marks; the default branch if None.
            message: What it is about.
            exist_ok: Whether one at another commit is fine, and stays there.

        Returns:
            The tag.

        Raises:
            ValidationError: The name is not one for a tag.
            RefExistsError: There is one already, at another commit.
            RevisionNotFoundError: There is no such revision to mark.
            PermissionDeniedError: The account may not write here.

        Example:
            >>> RepoManager("ann/digits").create_tag("v1.0", message="First release").name
            'v1.0'
        """
        return self._create("tag", name, revision, message=message, exist_ok=exist_ok)

    def delete_tag(self, name: str, *, missing_ok: bool = False) -> None:
        """Delete a tag.

        Args:
            name: Its name.
            missing_ok: Whether it is fine that there is none.

        Raises:
            RevisionNotFoundError: There is none.
            PermissionDeniedError: The account may not write here.

        Example:
            >>> RepoManager("ann/digits").delete_tag("v1.0", missing_ok=True)
        """
        self._delete("tag", name, missing_ok=missing_ok)

    def history(self, revision: str | None = None, *, limit: int | None = None) -> Iterator[Commit]:
        """Go through the history, newest first; the Hub is asked for more as it is needed.

        Args:
            revision: Where to start; the default branch if None.
            limit: The most commits to yield.

        Returns:
            An iterator of commits.

        Raises:
            RevisionNotFoundError: There is no such revision.

        Example:
            >>> next(RepoManager("ann/digits").history()).authors
            ('ann',)
        """
        head = self._head(revision)
        target = self._target.at(head)
        size = 200 if limit is None else max(1, min(limit, 200))
        found = self._hub.pages(target.api("commits", head), target, params={"limit": size})
        return itertools.islice((_commit(data) for data in found), limit)

    def create_pull_request(self, title: str, description: str = "") -> PullRequest:
        """Open a pull request, for repositories to which one may not push.

        Args:
            title: What it is about.
            description: The same at length.

        Returns:
            The pull request; upload to its ``revision``.

        Raises:
            ValidationError: The title is too short for the Hub.
            PermissionDeniedError: The token is for reading only.

        Example:
            >>> RepoManager("ann/digits").create_pull_request("Better weights").revision
            'refs/pr/1'
        """
        if len(title.strip()) < 3:
            raise ValidationError(
                f"{title!r} is too short for the title of a pull request.",
                hint="Say in a few words what changes.",
            )
        check_contributor(self._identity, self.repo_id)
        target = self._target
        body = {"title": title.strip(), "description": description, "pullRequest": True}
        # Sent once: a second attempt after a lost answer would open a second one.
        found = self._hub.send_once("POST", target.api("discussions"), target, json=body).json()
        number = int(found["num"])
        prefix = "" if self.repo_type == "model" else f"{self.repo_type}s/"
        url = f"{self.endpoint}/{prefix}{target.repo_id}/discussions/{number}"
        return PullRequest(number, f"refs/pr/{number}", url)

    # -- inside -------------------------------------------------------------------------------

    def _refs(self, *kinds: Literal["branch", "tag", "pull_request"]) -> tuple[Ref, ...]:
        target = self._target
        params = {"include_prs": 1} if "pull_request" in kinds else None
        data = self._hub.get(target.api("refs"), target, params=params)
        return tuple(
            Ref(
                str(ref["ref"] if kind == "pull_request" else ref["name"]),
                kind,
                str(ref["targetCommit"]),
            )
            for kind in kinds
            for ref in data.get(_KINDS[kind]) or ()
        )

    def _find(self, kind: Literal["branch", "tag"], name: str) -> Ref | None:
        return next((ref for ref in self._refs(kind) if ref.name == name), None)

    def _create(
        self,
        kind: Literal["branch", "tag"],
        name: str,
        revision: str | None,
        *,
        message: str | None = None,
        exist_ok: bool,
        even_if_archived: bool = False,
    ) -> Ref:
        check_ref_name(name, kind)
        commit = self._head(revision)
        found = self._find(kind, name)
        if found is None:
            self._check_writable()
            if not even_if_archived:
                self._check_open()
            target = self._target.at(revision)
            body: dict[str, Any] = {"startingPoint": commit}
            path = target.api("branch", name)
            if kind == "tag":
                body = {"tag": name, **({"message": message} if message else {})}
                path = target.api("tag", commit)
            try:
                self._hub.send("POST", path, target, json=body)
            except ConflictError as error:
                # Somebody was faster, maybe an attempt of ours whose answer was lost.
                found = self._find(kind, name)
                if found is None:
                    raise ConflictError(
                        f"{self.repo_id!r} cannot have a {kind} {name!r}: {error.message}",
                        hint="Names are also paths: 'a' and 'a/b' cannot both exist.",
                    ) from error
            else:
                return Ref(name, kind, commit)
        if found.commit != commit and not exist_ok:
            raise RefExistsError(self.repo_id, name, kind=kind, target=found.commit)
        return found

    def _delete(self, kind: Literal["branch", "tag"], name: str, *, missing_ok: bool) -> None:
        check_ref_name(name, kind)
        refs = self._refs(kind)
        if all(ref.name != name for ref in refs):
            if missing_ok:
                return
            raise RevisionNotFoundError(self.repo_id, name, available=[ref.name for ref in refs])
        self._check_writable()
        target = self._target.at(name)
        try:
            self._hub.send("DELETE", target.api(kind, name), target)
        except RevisionNotFoundError:
            # It was there a moment ago, so it is gone by now, which is what was asked for.
            return


def _commit(data: Any) -> Commit:
    authors = tuple(
        str(author.get("user") or author.get("name") or "")
        for author in data.get("authors") or ()
        if isinstance(author, dict)
    )
    return Commit(
        id=str(data["id"]),
        title=str(data.get("title") or ""),
        message=str(data.get("message") or ""),
        authors=authors,
        created_at=time_of(data.get("date")),
    )
