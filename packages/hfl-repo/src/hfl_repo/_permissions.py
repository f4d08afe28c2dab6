"""What the account may do with the repository, and why not."""

from __future__ import annotations

import dataclasses

from hfl_core.errors import AuthError, NotFoundError, PermissionDeniedError
from hfl_repo._account import refusal
from hfl_repo._base import RepoBase
from hfl_repo.errors import RepoNotFoundError

__all__ = ["Permissions"]


@dataclasses.dataclass(frozen=True)
class Permissions:
    """What an account may do with a repository.

    Attributes:
        read: See it and download its files.
        write: Commit, branch and tag.
        admin: Delete it, move it and change its visibility.
        reason: Why something is not allowed, or where the rights come from; one sentence.
    """

    read: bool
    write: bool
    admin: bool
    reason: str


class Rights(RepoBase):
    """What `RepoManager` finds out about rights."""

    def permissions(self) -> Permissions:
        """Find out what the account may do, without doing it.

        Returns:
            The rights, with the reason.

        Raises:
            NetworkError: The Hub cannot be asked.

        Example:
            >>> RepoManager("ann/digits").permissions()
            Permissions(read=True, write=True, admin=True, reason="'ann' owns the namespace 'ann'.")
        """
        target = self._target
        try:
            self._hub.send("GET", target.api("auth-check"), target)
        except (RepoNotFoundError, PermissionDeniedError) as error:
            return Permissions(read=False, write=False, admin=False, reason=error.message)
        if not self._hub.has_token:
            reason = "Nobody is signed in, and visitors may only read."
            return Permissions(read=True, write=False, admin=False, reason=reason)
        account = self._identity
        clause = refusal(account, target.repo_id) or self._refusal_by_hub()
        if clause is not None:
            reason = f"{clause[:1].upper()}{clause[1:]}."
            return Permissions(read=True, write=False, admin=False, reason=reason)
        namespace = target.repo_id.partition("/")[0]
        if namespace == account.name:
            reason = f"{account.name!r} owns the namespace {namespace!r}."
            return Permissions(read=True, write=True, admin=True, reason=reason)
        role = account.orgs.get(namespace, "")
        return Permissions(
            read=True,
            write=True,
            # Who may write in an organization may administer what is there; contributors only
            # what they made themselves, which cannot be seen from here.
            admin=role in ("", "write", "admin"),
            reason=f"{account.name!r} is a member of {namespace!r} (role: {role or 'not told'}).",
        )

    def _refusal_by_hub(self) -> str | None:
        target = self._target
        try:
            self._hub.send("GET", target.api("auth-check", "write"), target)
        except (PermissionDeniedError, AuthError, RepoNotFoundError) as error:
            return error.message.rstrip(".")
        except NotFoundError:  # an older Hub cannot be asked for the right to write
            return None
        return None
