"""A repository's life: is it there, create it, delete it, give it another name."""

from __future__ import annotations

import itertools
from typing import Literal, Sequence

from hfl_core import get_logger
from hfl_core.errors import (
    ConfigError,
    ConflictError,
    NetworkError,
    RateLimitError,
    ValidationError,
)
from hfl_repo._card._check import checked_fields
from hfl_repo._cards import Cards
from hfl_repo._info import RepoInfo, info_from
from hfl_repo._licenses import check_tags
from hfl_repo._names import check_repo_id
from hfl_repo._target import Target
from hfl_repo.errors import (
    ConfirmationError,
    RepoArchivedError,
    RepoExistsError,
    RepoNotFoundError,
    VisibilityMismatchError,
)

__all__ = ["Life", "OnConflict", "check_visibility"]

_LOG = get_logger(__name__)
OnConflict = Literal["reuse", "fail", "rename"]
_BUSY = "another conflicting operation is in progress"
_SDKS = ("gradio", "streamlit", "docker", "static")
_SLOW = 300.0  # the Hub moves and deletes large repositories while it holds the request


class Life(Cards):
    """What `RepoManager` does with a repository as a whole."""

    def info(self, revision: str | None = None) -> RepoInfo:
        """Ask the Hub about the repository.

        Args:
            revision: A branch, a tag or a commit; the default branch if None.

        Returns:
            What it says.

        Raises:
            RepoNotFoundError: There is none that the account can see.
            RevisionNotFoundError: It has no such revision.

        Example:
            >>> RepoManager("ann/digits").info().is_private
            True
        """
        return info_from(self._describe(revision), self.repo_type, self._hub.endpoint)

    def exists(self) -> bool:
        """Say whether there is a repository of that name that the account can see.

        Example:
            >>> RepoManager("ann/nothing").exists()
            False
        """
        return self._look(self.repo_id) is not None

    def create(
        self,
        private: bool | None = None,
        on_conflict: OnConflict = "reuse",
        *,
        license: str | None = None,  # noqa: A002  # the card's own name for it
        tags: Sequence[str] | None = None,
        space_sdk: str | None = None,
    ) -> RepoInfo:
        """Create the repository, or take the one that is there.

        Everything that can be known here is checked before the Hub is asked for anything: the
        name, the licence, the tags, and whether the account may write there.

        Args:
            private: True or False for what it has to be; None for the default that the account
                or organization has set, and for whatever an existing one is.
            on_conflict: What happens if one of that name exists: take it if its visibility is
                what was asked for (``"reuse"``), raise (``"fail"``), or create ``name-2`` or the
                next free one (``"rename"``), to which the manager then belongs.
            license: The licence's identifier on the Hub, for the card.
            tags: Tags for the card.
            space_sdk: For a space: ``"gradio"``, ``"streamlit"``, ``"docker"`` or ``"static"``.

        Returns:
            The repository, as it is on the Hub.

        Raises:
            ValidationError: The licence, a tag or the SDK makes no sense.
            WrongAccountError: The namespace is not one of the account's.
            PermissionDeniedError: The token may not write there.
            RepoExistsError: It exists and was to be created anew, or has been moved away.
            VisibilityMismatchError: It is public where private was asked for, or the reverse.

        Example:
            >>> RepoManager("ann/digits").create(private=True, license="mit").license
            'mit'
        """
        sdk = self._check_sdk(space_sdk)
        if on_conflict not in ("reuse", "fail", "rename"):
            raise ConfigError(f"on_conflict is 'reuse', 'fail' or 'rename', not {on_conflict!r}.")
        fields = {"license": license, "tags": None if tags is None else check_tags(tags)}
        said = checked_fields({name: value for name, value in fields.items() if value is not None})
        self._check_writable()
        if on_conflict == "rename":
            found = self._create_next(private, sdk)
        else:
            found = self._create_here(self.repo_id, private, sdk, on_conflict)
        if said:
            self.update_card(said, body=f"# {found.repo_id.partition('/')[2]}\n")
            return self.info()
        return found

    def require_visibility(self, private: bool | None = None) -> RepoInfo:
        """Make sure that the repository is what a push takes it for, before a byte is sent.

        Args:
            private: What it has to be; None if either will do.

        Returns:
            The repository.

        Raises:
            RepoNotFoundError: There is none that the account can see.
            VisibilityMismatchError: It is public where private was asked for, or the reverse.
            RepoArchivedError: It is archived.

        Example:
            >>> RepoManager("ann/digits").require_visibility(private=True).is_private
            True
        """
        found = self.info()
        check_visibility(found, private)
        if found.is_archived:
            raise RepoArchivedError(found.repo_id)
        return found

    def delete(self, confirm: str, *, missing_ok: bool = False) -> None:
        """Delete the repository with everything in it, for good.

        Args:
            confirm: Its name once more, as ``namespace/name``.
            missing_ok: Whether it is fine that there is none.

        Raises:
            ConfirmationError: The confirmation is not its name. Nothing was done.
            RepoNotFoundError: There is none.
            PermissionDeniedError: The account may not delete it.

        Example:
            >>> RepoManager("ann/old").create().repo_id
            'ann/old'
            >>> RepoManager("ann/old").delete(confirm="ann/old")
        """
        target = self._target
        if confirm != target.repo_id:
            raise ConfirmationError(target.repo_id, action="deleted")
        self._check_writable()
        found = self._look(target.repo_id)
        if found is None:
            if missing_ok:
                return
            raise RepoNotFoundError(
                target.repo_id, repo_type=self.repo_type, account=self._identity.name
            )
        if found.repo_id != target.repo_id:
            raise ConfirmationError(found.repo_id, action="deleted")
        namespace, _, name = target.repo_id.partition("/")
        body = {"name": name, "organization": namespace, "type": self.repo_type}
        try:
            self._hub.send("DELETE", "/api/repos/delete", target, json=body, timeout=_SLOW)
        except RepoNotFoundError:
            # It was there a moment ago: either an attempt succeeded whose answer was lost, or
            # somebody else was faster. It is gone, which is what was asked for.
            _LOG.info("%r was gone before it could be deleted.", target.repo_id)

    # -- inside -------------------------------------------------------------------------------

    def _look(self, repo_id: str) -> RepoInfo | None:
        target = Target(repo_id, self.repo_type)
        try:
            data = self._hub.get(target.api(), target)
        except RepoNotFoundError:
            return None
        return info_from(data, self.repo_type, self._hub.endpoint)

    def _create_next(self, private: bool | None, sdk: str | None) -> RepoInfo:
        first = self.repo_id
        for number in itertools.count(1):
            candidate = check_repo_id(first if number == 1 else f"{first}-{number}")
            try:
                found = self._create_here(candidate, private, sdk, "fail")
            except RepoExistsError:
                continue
            self._name = candidate
            return found
        raise AssertionError  # the numbers do not end

    def _create_here(
        self, repo_id: str, private: bool | None, sdk: str | None, on_conflict: OnConflict
    ) -> RepoInfo:
        found = self._look(repo_id)
        if found is None:
            made = self._post_create(Target(repo_id, self.repo_type), private, sdk)
            found = self._look(repo_id)
            if found is None:
                raise RepoNotFoundError(
                    repo_id, repo_type=self.repo_type, account=self._identity.name
                )
            if made:
                check_visibility(found, private)
                return found
        if found.repo_id != repo_id:
            raise RepoExistsError(repo_id, moved_to=found.repo_id)
        if on_conflict == "fail":
            raise RepoExistsError(repo_id)
        check_visibility(found, private)
        return found

    def _post_create(self, target: Target, private: bool | None, sdk: str | None) -> bool:
        """Return whether we made it: False when somebody else was faster."""
        namespace, _, name = target.repo_id.partition("/")
        body: dict[str, object] = {"name": name, "type": self.repo_type}
        if namespace != self._identity.name:
            body["organization"] = namespace
        if private is not None:
            body.update(self._hub.visibility_payload(private=private))
        if sdk is not None:
            body["sdk"] = sdk
        lost_answers: list[NetworkError] = []

        def once() -> bool:
            try:
                self._hub.send_once("POST", "/api/repos/create", target, json=body)
            except ConflictError as error:
                if _BUSY in str(error):  # the Hub makes one repository at a time per account
                    raise NetworkError(error.message) from error
                return bool(lost_answers) and self._is_untouched(target)
            except RateLimitError:
                raise
            except NetworkError as error:
                lost_answers.append(error)
                raise
            return True

        return self._hub.retry.call(once)

    def _is_untouched(self, target: Target) -> bool:
        # An attempt whose answer was lost may have been the one that made it.
        data = self._hub.get(target.api(), target)
        return {item.get("rfilename") for item in data.get("siblings") or ()} <= {
            ".gitattributes",
            "README.md",
        }

    def _check_sdk(self, sdk: str | None) -> str | None:
        if self.repo_type != "space":
            if sdk is not None:
                raise ValidationError(f"space_sdk is for spaces, and this is a {self.repo_type}.")
            return None
        if sdk not in _SDKS:
            raise ValidationError(
                f"A space needs an SDK, and {sdk!r} is none.", hint=f"SDKs: {', '.join(_SDKS)}."
            )
        return sdk


def check_visibility(found: RepoInfo, private: bool | None) -> None:
    """Refuse a repository that others can see when that is not what was asked for, or the reverse.

    Args:
        found: The repository.
        private: What was asked for; None if either will do.

    Raises:
        VisibilityMismatchError: It is something else.
    """
    if private is not None and found.is_private != private:
        raise VisibilityMismatchError(found.repo_id, wanted_private=private)
