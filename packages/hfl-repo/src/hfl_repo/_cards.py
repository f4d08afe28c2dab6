"""The card: read it, and change fields of its metadata without touching anything else."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType
from typing import Any, Callable, Mapping

from hfl_core.errors import ConfigError
from hfl_repo._base import RepoBase
from hfl_repo._card._check import check_on_hub, checked_fields
from hfl_repo._card._edit import REMOVED, edited
from hfl_repo._card._memory import remembered, trailer
from hfl_repo._card._merge import CardOnConflict, Merged, merge
from hfl_repo._card._text import CardText, UnreadableCardError
from hfl_repo._files import commit_files, read_file
from hfl_repo._info import ARCHIVE_KEY
from hfl_repo._target import Target
from hfl_repo.errors import CardConflictError, HeadMovedError, InvalidCardError, RepoArchivedError

__all__ = ["Card", "CardDraft", "CardUpdate"]

_PATH = "README.md"


@dataclasses.dataclass(frozen=True)
class Card:
    """A repository's README.md.

    Attributes:
        text: The whole file; empty when there is none.
        metadata: What its metadata says.
        body: The text for people, without the metadata.
        commit: The commit at which it was read.
    """

    text: str
    metadata: Mapping[str, Any]
    body: str
    commit: str


@dataclasses.dataclass(frozen=True)
class CardUpdate:
    """What became of a change to a card.

    Attributes:
        commit: The commit that holds the card as it is now.
        changed: The fields that were changed on the Hub.
        kept: The fields that stay as somebody left them there, against what was asked for.
        warnings: What the Hub does not like about the card, and takes.
        pull_request: The page of the pull request, if one was opened.
    """

    commit: str
    changed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    pull_request: str | None = None


@dataclasses.dataclass(frozen=True)
class CardDraft:
    """A card as it is to be, for whoever commits it together with other files.

    Attributes:
        content: The whole file.
        changed: The fields that differ from the card at `commit`.
        kept: The fields that stay as somebody left them there, against what was asked for.
        warnings: What the Hub does not like about the card, and takes.
        trailer: A line for the commit's message: what this library has said in the card. The next
            merge starts from it.
        commit: The commit that the draft was made from.
    """

    content: bytes
    changed: tuple[str, ...]
    kept: tuple[str, ...]
    warnings: tuple[str, ...]
    trailer: str
    commit: str


@dataclasses.dataclass(frozen=True)
class CardEdit:
    """A card as it is to be.

    Attributes:
        card: The card.
        changed: The fields that differ from before.
        kept: The fields that stay as they were, against what was asked for.
        said: What this library has said in the card, this edit included.
    """

    card: CardText
    changed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    said: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Cards(RepoBase):
    """What `RepoManager` does with the card."""

    def card(self, revision: str | None = None) -> Card:
        """Read the card.

        Args:
            revision: A branch, a tag or a commit; the default branch if None.

        Returns:
            The card; an empty one when there is no README.md.

        Raises:
            RepoNotFoundError: There is no such repository.
            RevisionNotFoundError: It has no such revision.
            InvalidCardError: Its metadata is no YAML, or it is not UTF-8.

        Example:
            >>> RepoManager("ann/digits").card().metadata["license"]
            'mit'
        """
        head = self._head(revision)
        content = read_file(self._hub, self._target.at(head, _PATH))
        found = self._parsed(content or b"")
        text = found.encode().decode("utf-8")
        return Card(text, MappingProxyType(found.data), found.body, head)

    def update_card(
        self,
        metadata: Mapping[str, Any] | None = None,
        *,
        body: str | None = None,
        revision: str | None = None,
        on_conflict: CardOnConflict = "error",
        message: str | None = None,
        create_pr: bool = False,
    ) -> CardUpdate:
        """Change fields of the card's metadata, and create the card if there is none.

        Everything else stays byte for byte: the text for people, unknown fields, comments,
        order, quotes and line ends. The change is a merge of three sides: what this library said
        last (kept in the commit's message), what the card says now, and what it is to say. So what
        people edited on the Hub in between stays; lists are merged item by item.

        Args:
            metadata: Field to new value; None takes a field away. Other fields stay.
            body: The text for people of a new card; of an existing card it stays as it is.
            revision: The branch; the default branch if None.
            on_conflict: What happens to a field that was changed on the Hub and has to change
                here too, to something else: raise and change nothing (``"error"``), or let one
                side win (``"ours"``, ``"theirs"``).
            message: The first line of the commit's message.
            create_pr: Open a pull request instead of committing to the branch.

        Returns:
            What became of it. When there is nothing to change, no commit is made.

        Raises:
            ValidationError: A licence, a tag or a value makes no sense. Nothing was sent.
            CardConflictError: Both sides changed a field. Nothing was changed.
            InvalidCardError: The card cannot be read, or the Hub does not take the new one.
            HeadMovedError: Others commit faster than it can be merged.

        Example:
            >>> RepoManager("ann/digits").update_card({"license": "mit", "tags": ["digits"]}).changed
            ('tags',)
        """
        if on_conflict not in ("error", "ours", "theirs"):
            raise ConfigError(f"on_conflict is 'error', 'ours' or 'theirs', not {on_conflict!r}.")
        wanted = checked_fields(metadata or {})
        if not create_pr:
            self._check_writable()
        branch = self._target.at("main" if revision is None else revision)

        # The base is what had been said when this began: what others say meanwhile, from other
        # runs, is theirs, and is not taken out again because we do not repeat it.
        bases: list[Mapping[str, Any]] = []

        def change(card: CardText, said: Mapping[str, Any], is_new: bool) -> CardEdit:
            bases.append(said)
            if ARCHIVE_KEY in card.data:
                raise RepoArchivedError(self.repo_id)
            merged = merge(bases[0], card.data, wanted)
            fields, kept = self._settled(merged, wanted, on_conflict)
            if is_new and body is not None:
                card = dataclasses.replace(card, body=body)
            return CardEdit(edited(card, fields), tuple(fields), kept, {**said, **wanted})

        return self._rewrite_card(
            branch, change, message=message or "Update the card", create_pr=create_pr
        )

    def draft_card(
        self,
        metadata: Mapping[str, Any],
        *,
        body: Callable[[str], str] | None = None,
        revision: str | None = None,
        on_conflict: CardOnConflict | Mapping[str, CardOnConflict] = "error",
    ) -> CardDraft:
        """Merge a change into the card as `update_card` does, and commit nothing.

        For programs that commit the card together with what it describes, with `commit`.

        Args:
            metadata: As for `update_card`.
            body: Makes the text for people out of the one that is there (empty in a new card).
            revision: A branch, a tag or a commit; the default branch if None.
            on_conflict: As for `update_card`, or field to policy; ``"error"`` for other fields. A
                field that is ``"ours"`` in such a mapping is what it is said to be, whatever
                anybody else says, and is not remembered.

        Returns:
            The card as it is to be.

        Raises:
            ValidationError: A licence, a tag or a value makes no sense.
            CardConflictError: Both sides changed a field.
            InvalidCardError: The card cannot be read, or the Hub would not take the new one.

        Example:
            >>> draft = RepoManager("ann/digits").draft_card({"tags": ["digits"]})
            >>> draft.changed
            ('tags',)
        """
        wanted = checked_fields(metadata)
        head = self._head(revision)
        content = read_file(self._hub, self._target.at(head, _PATH))
        said = {} if content is None else remembered(self._hub, self._target.at(head))
        card = self._parsed(content or b"")
        if ARCHIVE_KEY in card.data:
            raise RepoArchivedError(self.repo_id)
        policies: Mapping[str, CardOnConflict] = {}
        if not isinstance(on_conflict, str):
            policies = on_conflict
        lasting = {field: wanted[field] for field in wanted if policies.get(field) != "ours"}
        said = {field: value for field, value in said.items() if policies.get(field) != "ours"}
        merged = merge(said, card.data, wanted)
        by_policy: dict[CardOnConflict, list[str]] = {"error": [], "ours": [], "theirs": []}
        for field in merged.conflicts:
            default: CardOnConflict = on_conflict if isinstance(on_conflict, str) else "error"
            by_policy[policies.get(field, default)].append(field)
        if by_policy["error"]:
            raise CardConflictError(self.repo_id, fields=tuple(by_policy["error"]))
        ours = dataclasses.replace(merged, conflicts=tuple(by_policy["ours"]))
        fields, kept = self._settled(ours, wanted, "ours")
        if body is not None:
            card = dataclasses.replace(card, body=body(card.body))
        try:
            new = edited(card, fields).encode()
        except UnreadableCardError as error:
            raise InvalidCardError(self.repo_id, problems=[str(error)]) from error
        problems = check_on_hub(self._hub, new.decode("utf-8"), self.repo_type)
        if problems.errors:
            raise InvalidCardError(self.repo_id, problems=problems.errors)
        kept = (*kept, *by_policy["theirs"])
        line = trailer({**said, **lasting})
        return CardDraft(new, tuple(fields), kept, problems.warnings, line, head)

    def _rewrite_card(
        self,
        branch: Target,
        change: Callable[[CardText, Mapping[str, Any], bool], CardEdit],
        *,
        message: str,
        create_pr: bool = False,
    ) -> CardUpdate:
        """Read, change and commit; from the start again when somebody else was faster."""
        attempted: dict[bytes, CardEdit] = {}

        def once() -> CardUpdate:
            head = self._head(branch.revision)
            content = read_file(self._hub, branch.at(head, _PATH))
            said = {} if content is None else remembered(self._hub, branch.at(head))
            if content in attempted:  # it landed, and only the answer was lost
                done = attempted[content]
                return CardUpdate(head, done.changed, done.kept)
            try:
                edit = change(CardText.parse(content or b""), said, content is None)
            except UnreadableCardError as error:
                raise InvalidCardError(self.repo_id, problems=[str(error)]) from error
            new = edit.card.encode()
            if new == (content or b""):
                return CardUpdate(head, kept=edit.kept)
            problems = check_on_hub(self._hub, new.decode("utf-8"), self.repo_type)
            if problems.errors:
                raise InvalidCardError(self.repo_id, problems=problems.errors)
            attempted[new] = edit
            made = commit_files(
                self._hub,
                branch,
                {_PATH: new},
                parent=head,
                message=message,
                description=trailer(edit.said),
                create_pr=create_pr,
            )
            return CardUpdate(
                made.oid, edit.changed, edit.kept, problems.warnings, made.pull_request
            )

        return self._hub.patient_with(HeadMovedError).call(once)

    def _settled(
        self, merged: Merged, wanted: Mapping[str, Any], on_conflict: CardOnConflict
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        if merged.conflicts and on_conflict == "error":
            raise CardConflictError(self.repo_id, fields=merged.conflicts)
        if on_conflict == "theirs":
            return merged.changes, (*merged.kept, *merged.conflicts)
        ours = {
            field: REMOVED if wanted[field] is None else wanted[field] for field in merged.conflicts
        }
        return {**merged.changes, **ours}, merged.kept

    def _parsed(self, content: bytes) -> CardText:
        try:
            return CardText.parse(content)
        except UnreadableCardError as error:
            raise InvalidCardError(self.repo_id, problems=[str(error)]) from error
