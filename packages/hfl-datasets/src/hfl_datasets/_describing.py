"""Versions, cards and settings: what `DatasetManager` says about a dataset, and what it lets people say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Optional, Union

from hfl_core.errors import ConfigError
from hfl_datasets._base import DatasetBase

if TYPE_CHECKING:
    from hfl_datasets._versions import DatasetDiff, DatasetVersion
    from hfl_repo import Card, CardUpdate

__all__ = ["Describing"]


class Describing(DatasetBase):
    """What `DatasetManager` does with versions, cards and settings."""

    def versions(
        self, *, revision: Optional[str] = None, limit: Optional[int] = None
    ) -> tuple[DatasetVersion, ...]:
        """List the versions: commits that changed data, or that have a tag. The newest comes first.

        Args:
            revision: Where to start; the default branch if None.
            limit: The most to return; None for all.

        Returns:
            The versions. `DatasetVersion.commit` pins one for good; a tag can be moved by whoever may write.

        Raises:
            RevisionNotFoundError: There is no such revision.

        Example:
            >>> DatasetManager("ann/digits").versions()[0].tags
            ('1.0.0',)
        """
        from hfl_datasets._history import find_versions

        return find_versions(self._repo, revision, limit)

    def tag(self, version: str, *, revision: Optional[str] = None, message: str = "") -> str:
        """Give a version a name.

        Args:
            version: As for `upload`.
            revision: The branch, tag or commit; the default branch if None.
            message: What it is about.

        Returns:
            The tag.

        Raises:
            ConflictError: There is a version of that name.
            ValidationError: The name makes no sense.
        """
        import datetime as dt

        from hfl_datasets._version_names import next_version

        tags = [tag.name for tag in self._repo.list_tags()]
        name = next_version(version, tags, dt.datetime.now(dt.timezone.utc).date())
        return self._repo.create_tag(name, revision, message=message or None).name

    def diff(self, before: str, after: Optional[str] = None) -> DatasetDiff:
        """Compare two versions: columns, counts of rows, and figures that moved.

        No row is read: versions that this library published say these things about themselves, of others the
        footers of their files are read.

        Args:
            before: A branch, a tag or a commit.
            after: Another; the default branch if None.

        Returns:
            How they differ.

        Raises:
            RevisionNotFoundError: There is no such revision.

        Example:
            >>> DatasetManager("ann/digits").diff("1.0.0").is_same
            True
        """
        from hfl_datasets._versions import DatasetDiff, diff_records

        one, other = self._known(before), self._known(after)
        splits = diff_records(one.whole(), other.whole())
        return DatasetDiff(one.tree.commit, other.tree.commit, splits)

    def card(self, revision: Optional[str] = None) -> Card:
        """Read the card.

        Args:
            revision: A branch, a tag or a commit; the default branch if None.

        Returns:
            The card.

        Example:
            >>> DatasetManager("ann/digits").card().metadata["size_categories"]
            ['1K<n<10K']
        """
        return self._repo.card(revision)

    def update_card(
        self,
        metadata: Mapping[str, Any],
        *,
        revision: Optional[str] = None,
        on_conflict: Any = "error",
    ) -> CardUpdate:
        """Change fields of the card, and leave everything else byte for byte; see `RepoManager.update_card`.

        Args:
            metadata: Field to value; None takes a field away. What describes the data (``dataset_info``,
                ``configs``) is written by `upload`.
            revision: The branch; the default branch if None.
            on_conflict: As for `RepoManager.update_card`.

        Returns:
            What became of it.

        Raises:
            ValidationError: A field makes no sense, or is not for people to write.
            CardConflictError: Both sides changed a field. Nothing was changed.

        Example:
            >>> card = {"license": "cc-by-4.0", "tags": ["digits"], "language": ["en"]}
            >>> DatasetManager("ann/digits").update_card(card).changed
            ('license', 'tags', 'language')
        """
        from hfl_datasets._card_fields import check_fields

        check_fields(metadata)
        return self._repo.update_card(metadata, revision=revision, on_conflict=on_conflict)

    def set_gated(
        self,
        mode: Union[str, bool],
        *,
        prompt: Optional[str] = None,
        fields: Optional[Mapping[str, Any]] = None,
    ) -> None:
        """Let people ask for access before they get the data, or take that back.

        Args:
            mode: ``"auto"`` to let in whoever asks, ``"manual"`` to decide on each, False for no gate.
            prompt: What those who ask are to read.
            fields: What they are to fill in, as in ``{"Affiliation": "text", "I agree": "checkbox"}``.

        Raises:
            ConfigError: There is no such mode.
            PermissionDeniedError: The account may not change settings here.
        """
        if mode not in ("auto", "manual", False):
            raise ConfigError(f"A gate is 'auto', 'manual' or False, not {mode!r}.")
        asked = {"extra_gated_prompt": prompt, "extra_gated_fields": fields}
        said = {name: value for name, value in asked.items() if value is not None}
        if said:
            self._repo.update_card(said, message="Say what is asked before access is given")
        self._remote("main").set_gated(mode)
