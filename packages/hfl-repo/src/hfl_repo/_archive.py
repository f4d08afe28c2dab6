"""Put a repository away, and bring it back; give it another name."""

from __future__ import annotations

from typing import Any, Mapping

from hfl_core.errors import ConflictError, NotFoundError
from hfl_repo._card._edit import REMOVED, edited
from hfl_repo._card._text import CardText
from hfl_repo._cards import CardEdit
from hfl_repo._info import ARCHIVE_KEY, RepoInfo
from hfl_repo._life import Life
from hfl_repo._names import check_repo_id
from hfl_repo._refs import References
from hfl_repo._target import Target
from hfl_repo.errors import RepoExistsError

__all__ = ["ARCHIVE_TAG", "Archive"]

ARCHIVE_TAG = "hfl-archived"
_CARD_TAG = "archived"
_SLOW = 300.0


class Archive(Life, References):
    """What `RepoManager` does when a repository's time is over, or its name is wrong."""

    def archive(self) -> RepoInfo:
        """Put the repository away: it stays complete, and nothing is written to it any more.

        It means three things: the card's metadata says so (``hfl_archived``, with the visibility
        until now, and the tag ``archived``), and this library refuses to write to what says so;
        the repository is private; and the git tag ``hfl-archived`` holds on to its present
        state. `unarchive` undoes all of it. Doing it twice does no harm.

        Returns:
            The repository as it is now.

        Raises:
            RepoNotFoundError: There is none that the account can see.
            PermissionDeniedError: The account may not change it.
            InvalidCardError: The card cannot be read, so it cannot say so.

        Example:
            >>> repo = RepoManager("ann/digits")
            >>> repo.archive().is_archived
            True
            >>> repo.unarchive().is_archived
            False
        """
        self._check_writable()
        found = self.info()
        # The card comes first, because it remembers the visibility until now.
        before = "private" if found.is_private else "public"
        self._rewrite_card(
            self._target.at("main"),
            lambda card, said, _is_new: _marked(card, said, before),
            message="Archive the repository",
        )
        if not found.is_private:
            self._set_visibility(private=True)
        self._create(
            "tag", ARCHIVE_TAG, "main", message="Archived", exist_ok=True, even_if_archived=True
        )
        return self.info()

    def unarchive(self) -> RepoInfo:
        """Bring an archived repository back, with the visibility that it had.

        Returns:
            The repository as it is now; one that is not archived stays as it is.

        Raises:
            RepoNotFoundError: There is none that the account can see.
            PermissionDeniedError: The account may not change it.

        Example:
            >>> RepoManager("ann/digits").unarchive().is_private
            True
        """
        self._check_writable()
        found = self.info()
        if not found.is_archived:
            return found
        before = self.card().metadata.get(ARCHIVE_KEY)
        self.delete_tag(ARCHIVE_TAG, missing_ok=True)
        # The marker goes last: until then, doing it again finishes the work.
        if before == "public" and found.is_private:
            self._set_visibility(private=False)
        self._rewrite_card(self._target.at("main"), _unmarked, message="Bring the repository back")
        return self.info()

    def move(self, new_id: str) -> RepoInfo:
        """Give the repository another name, maybe in another namespace. The old one leads there.

        Args:
            new_id: The name, as ``namespace/name``; a bare name stays in the namespace.

        Returns:
            The repository; the manager belongs to the new name from now on.

        Raises:
            ValidationError: The name makes no sense.
            RepoNotFoundError: There is none that the account can see.
            RepoExistsError: There is one of the new name.
            PermissionDeniedError: The account may not write on either side.

        Example:
            >>> RepoManager("ann/draft").create().repo_id
            'ann/draft'
            >>> RepoManager("ann/draft").move("ann/final").repo_id
            'ann/final'
        """
        old = self.repo_id
        new = check_repo_id(new_id if "/" in new_id else f"{old.partition('/')[0]}/{new_id}")
        if new == old:
            return self.info()
        self._check_writable()
        self._check_writable(new)
        self.info()
        there = self._look(new)
        if there is not None and there.repo_id == new:
            raise RepoExistsError(new)
        body = {"fromRepo": old, "toRepo": new, "type": self.repo_type}
        try:
            self._hub.send("POST", "/api/repos/move", self._target, json=body, timeout=_SLOW)
        except (ConflictError, NotFoundError) as error:
            # An attempt may have succeeded whose answer was lost: then the old name leads there.
            there = self._look(old)
            if there is None or there.repo_id != new:
                if isinstance(error, ConflictError):
                    raise RepoExistsError(new) from error
                raise
        self._name = new
        return self.info()

    def _set_visibility(self, *, private: bool) -> None:
        target: Target = self._target
        body = self._hub.visibility_payload(private=private)
        self._hub.send("PUT", target.api("settings"), target, json=body)


def _marked(card: CardText, said: Mapping[str, Any], before: str) -> CardEdit:
    data = card.data
    if ARCHIVE_KEY in data:
        return CardEdit(card, said=said)
    changes = {"tags": [*_tags(data), _CARD_TAG], ARCHIVE_KEY: before}
    return CardEdit(edited(card, changes), tuple(changes), said=said)


def _unmarked(card: CardText, said: Mapping[str, Any], _is_new: bool) -> CardEdit:
    data = card.data
    tags = [tag for tag in _tags(data) if tag != _CARD_TAG]
    changes: dict[str, Any] = {"tags": tags or REMOVED, ARCHIVE_KEY: REMOVED}
    return CardEdit(edited(card, changes), tuple(changes), said=said)


def _tags(data: Mapping[str, Any]) -> list[Any]:
    tags = data.get("tags")
    found = tags if isinstance(tags, list) else [tags]
    return [tag for tag in found if tag is not None and tag != _CARD_TAG]
