"""What all parts of `RepoManager` stand on."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from hfl_core.errors import ConfigError, NetworkError
from hfl_repo._account import check_writable
from hfl_repo._info import ARCHIVE_KEY
from hfl_repo._names import check_repo_id, check_repo_type
from hfl_repo._target import RepoType, Target
from hfl_repo.errors import RepoArchivedError, RevisionNotFoundError

if TYPE_CHECKING:
    from hfl_auth import AuthManager, Identity
    from hfl_repo._hub import Hub, Params

__all__ = ["RepoBase"]


class RepoBase:
    """A repository's name and the Hub that it is on. Nothing is asked before a method is called.

    Args:
        repo_id: ``namespace/name``; a bare name means the account's own namespace. None for what
            is not about one repository, such as `list`.
        repo_type: ``"model"``, ``"dataset"`` or ``"space"``.
        profile: The profile to act as; None for what hfl-auth finds.
        endpoint: The Hub's address; None for what hfl-auth finds.

    Raises:
        ValidationError: The name or the type makes no sense.
    """

    def __init__(
        self,
        repo_id: str | None = None,
        *,
        repo_type: RepoType = "model",
        profile: str | None = None,
        endpoint: str | None = None,
    ) -> None:
        self._name = None if repo_id is None else check_repo_id(repo_id)
        self.repo_type = check_repo_type(repo_type)
        self._profile = profile
        self._endpoint = endpoint
        self._open: Hub | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r}, repo_type={self.repo_type!r})"

    @property
    def repo_id(self) -> str:
        """The repository as ``namespace/name``.

        Raises:
            ConfigError: The manager was made without a repository.
            AuthError: The name has no namespace and nobody is signed in.
        """
        if self._name is None:
            raise ConfigError(
                "This needs to know which repository it is about.",
                hint="Make the manager with one: RepoManager('namespace/name')",
            )
        return self._name if "/" in self._name else f"{self._identity.name}/{self._name}"

    @property
    def endpoint(self) -> str:
        """The Hub's address."""
        return self._hub.endpoint

    @property
    def _target(self) -> Target:
        return Target(self.repo_id, self.repo_type)

    @property
    def _hub(self) -> Hub:
        """The Hub as the account that is in use now sees it.

        A profile that is in use for a block (``auth.use``) counts for this thread only, so work
        that is handed to other threads takes this object along instead of asking there.
        """
        from hfl_repo._hub import Hub

        credential = self._auth.credential()
        if self._open is None or self._open.credential != credential:
            self._open = Hub(credential)
        return self._open

    @property
    def _identity(self) -> Identity:
        """Whose token is in use; asked once.

        Raises:
            TokenNotFoundError: There is none.
        """
        identity = self._auth.whoami()
        self._hub.account = identity.name
        return identity

    @functools.cached_property
    def _auth(self) -> AuthManager:
        from hfl_auth import AuthManager

        return AuthManager(profile=self._profile, endpoint=self._endpoint)

    def _head(self, revision: str | None) -> str:
        """Return the commit that a revision is at now.

        Raises:
            RevisionNotFoundError: There is no such revision; the error names those that exist.
        """
        data = self._describe(revision, params=[("expand", "sha")])
        if not isinstance(data.get("sha"), str):
            raise NetworkError(f"{self._hub.endpoint} does not say at which commit it is.")
        return str(data["sha"])

    def _describe(self, revision: str | None, params: Params | None = None) -> Any:
        target = self._target.at(revision)
        path = target.api() if revision is None else target.api("revision", revision)
        try:
            return self._hub.get(path, target, params=params)
        except RevisionNotFoundError as error:
            refs = self._hub.get(target.api("refs"), target)
            names = [
                str(ref["name"]) for kind in ("branches", "tags") for ref in refs.get(kind, ())
            ]
            raise RevisionNotFoundError(target.repo_id, error.revision, available=names) from error

    def _check_writable(self, repo_id: str | None = None) -> None:
        check_writable(self._identity, repo_id or self.repo_id)

    def _check_open(self) -> None:
        """Refuse to write to an archived repository.

        Raises:
            RepoArchivedError: It is archived.
        """
        card = self._describe(None, params=[("expand", "cardData")]).get("cardData")
        if isinstance(card, dict) and ARCHIVE_KEY in card:
            raise RepoArchivedError(self.repo_id)
