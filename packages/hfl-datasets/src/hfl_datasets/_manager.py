"""`DatasetManager`: a dataset on a Hub, and everything that can be done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, Mapping, Optional, Sequence, Union

from hfl_core.errors import ConfigError
from hfl_datasets._describing import Describing
from hfl_datasets._layout import check_config
from hfl_datasets._reading import Reading
from hfl_datasets.errors import DatasetValidationError

if TYPE_CHECKING:
    from hfl_datasets._upload_report import UploadReport
    from hfl_datasets._validate._expectations import Expectation
    from hfl_datasets._validate._report import Finding, ValidationReport

__all__ = ["DatasetManager"]


class DatasetManager(Describing, Reading):
    """A dataset on a Hub. Nothing is asked or sent before a method is called.

    Args:
        repo_id: ``namespace/name``; a bare name means the account's own namespace.
        profile: The profile to act as; None for what hfl-auth finds.
        endpoint: The Hub's address; None for what hfl-auth finds.

    Raises:
        ValidationError: The name makes no sense.

    Example:
        >>> dataset = DatasetManager("ann/flowers")
        >>> report = dataset.upload([{"petal": 1.4, "kind": "setosa"}], message="First flowers")
        >>> dict(report.rows), report.is_verified
        ({'train': 1}, True)
    """

    def validate(self, source: Any, **options: Any) -> ValidationReport:
        """Look at data before it is published; nothing is sent.

        Args:
            source: As for `upload`.
            options: As for the function `validate_dataset`: ``expectations``, ``refuse``, ``ignore``, ``severity`` and how
                files are read.

        Returns:
            What was found. Its `ok` says whether the data is fit to be published.

        Example:
            >>> DatasetManager("ann/flowers").validate([{"petal": 1.4}, {"petal": 4.7}]).ok
            True
        """
        from hfl_datasets._validate._check import validate_dataset

        return validate_dataset(source, **options)

    def upload(  # noqa: PLR0913  # each has a default that most keep
        self,
        source: Any,
        *,
        message: Optional[str] = None,
        config: str = "default",
        revision: Optional[str] = None,
        private: Optional[bool] = None,
        version: Optional[str] = None,
        key: Union[str, Sequence[str]] = (),
        metadata: Optional[Mapping[str, Any]] = None,
        citation: str = "",
        replace: bool = False,
        on_conflict: str = "error",
        compare: str = "rows",
        verify: bool = True,
        example: bool = True,
        validate: bool = True,
        expectations: Iterable[Expectation] = (),
        refuse: Iterable[str] = (),
        max_shard_bytes: int = 500_000_000,
        allow: Sequence[str] = (),
        dry_run: bool = False,
    ) -> UploadReport:
        """Publish a dataset, or a new version of it, in one commit.

        The rows are converted to Parquet with statistics in the same pass, loaded by the datasets library here,
        committed together with the card, and read back from the Hub. Whatever goes wrong before that leaves the
        branch as it was, and another try sends only what has not arrived.

        Args:
            source: What `open_source` takes: a path, a pattern, ``{"split": source}``, a frame, a table, rows, or an
                object of the datasets library. Splits that are not named stay as they are.
            message: What it is about: the commit's message and a line of the changelog.
            config: The configuration that it becomes.
            revision: The branch; ``"main"`` if None.
            private: What the repository has to be, or to become; None if either will do.
            version: A version for the tag: ``"1.2.0"``, ``"2026.05.01"``, or ``"major"``, ``"minor"``, ``"patch"`` or
                ``"date"`` for the next one. None for no tag.
            key: Columns that say which row is which, to tell rows that were changed from others.
            metadata: Fields of the card: ``{"license": "mit", "language": ["en"]}``; see `update_card`.
            citation: What is to be cited, for the card.
            replace: Whether splits of the configuration that are not in `source` go.
            on_conflict: What happens to a field of `metadata` that somebody changed on the Hub: ``"error"``,
                ``"ours"`` or ``"theirs"``.
            compare: ``"rows"`` to count rows that were added, removed and changed, for which files that changed are
                read back; ``"counts"`` for the numbers of rows alone.
            verify: Whether all rows are read back from the Hub and compared.
            example: Whether the datasets library loads the files in a process of its own before they are sent, by the
                example that the card then shows. Without it the card shows none that is new.
            validate: Whether the source is validated first, and refused where that finds errors.
            expectations: What has to hold for columns; see `validate`.
            refuse: Rules whose findings keep the data back, such as ``"secret"``; see `validate`.
            max_shard_bytes: Bytes of rows in memory for one file.
            allow: What the gate is to let through; see `RepoManager.upload`.
            dry_run: Do everything that can be done without sending.

        Returns:
            What became of it.

        Raises:
            DatasetValidationError: Validation found errors. Nothing was sent.
            SchemaMismatchError: Splits differ in their columns. Nothing was sent.
            UploadConflictError: Somebody else replaced the same data meanwhile. Nothing was changed.
            CardConflictError: Somebody else changed the same field of the card. Nothing was changed.
            ConflictError: There is a version of that name.
            RowCountError: Not all rows came back; the branch is as it was.
            IntegrityError: Other rows came back; the branch is as it was.
            HflError: As for `RepoManager.commit`.

        Example:
            >>> rows = [{"petal": 1.4, "kind": "setosa"}, {"petal": 4.7, "kind": "versicolor"}]
            >>> report = DatasetManager("ann/flowers").upload(rows, version="minor", key="petal")
            >>> report.version, str(report.changes["train"])
            ('0.1.0', '2 rows, +1 -0 ~0')
        """
        from hfl_datasets._sources._open import open_source
        from hfl_datasets._upload import Upload
        from hfl_datasets._upload_wish import Wish
        from hfl_datasets._validate._check import validate_dataset

        if compare not in ("rows", "counts"):
            raise ConfigError(f"compare is 'rows' or 'counts', not {compare!r}.")
        wish = Wish(
            config=check_config(config),
            message=message,
            version=version,
            revision=revision,
            private=private,
            key=(key,) if isinstance(key, str) else tuple(key),
            metadata=dict(metadata or {}),
            citation=citation,
            replace=replace,
            on_conflict=on_conflict,
            compares_rows=compare == "rows",
            verifies=verify,
            shows_example=example,
            max_shard_bytes=max_shard_bytes,
            allow=allow,
            dry_run=dry_run,
        )
        opened = open_source(source)
        if validate:
            # It has read every row by then, so the schema that it found is not looked for again.
            found = validate_dataset(opened, expectations=expectations, refuse=refuse)
            if not found.ok:
                raise DatasetValidationError(found.source, [_sentence(f) for f in found.errors])
        return Upload(self._repo, self._remote, wish).carry_out(opened)


def _sentence(finding: Finding) -> str:
    return f"{finding.where}: {finding.message}".rstrip(".")
