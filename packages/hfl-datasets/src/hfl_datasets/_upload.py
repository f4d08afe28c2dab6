"""An upload of a dataset, from the rows to a commit that was read back.

::

    convert → try to load it here → compare with what is there → one commit → read back → tag
                                            ↑                         │
                                            └─ somebody was faster ───┘
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, Mapping, Optional, Sequence, Tuple

import pyarrow as pa

from hfl_core import Progress
from hfl_core.errors import IntegrityError
from hfl_datasets._card_fields import COMPUTED, data_fields
from hfl_datasets._card_text import sections_of
from hfl_datasets._changes import RowChanges, changes_text, compare_rows
from hfl_datasets._described import check_same_columns, columns_of, ordered, record_of, type_name
from hfl_datasets._known import Known, read_known
from hfl_datasets._layout import shard_path
from hfl_datasets._parquet_reader import ParquetReader
from hfl_datasets._read_back import read_back, take_back
from hfl_datasets._record import RECORD_PATH, ConfigRecord, DatasetRecord, Entry, SplitRecord
from hfl_datasets._sections import merge_sections
from hfl_datasets._shards import WrittenSplit, write_split
from hfl_datasets._upload_report import UploadReport
from hfl_datasets._upload_wish import Prepared, Wish
from hfl_datasets._usage import executed_example
from hfl_datasets._version_names import next_version, version_taken
from hfl_datasets._workspace import workspace
from hfl_repo import HeadMovedError, UploadConflictError

if TYPE_CHECKING:
    from hfl_datasets._hub import RemoteFiles
    from hfl_datasets._sources._model import Source
    from hfl_repo import RepoManager, TransferReport

__all__ = ["Upload"]

_ATTEMPTS = 8
# Each row costs 16 bytes to compare, or 32 with a key.
_MOST_COMPARED = 20_000_000


class Upload:
    """One upload under way.

    Args:
        repo: The repository.
        remote: Opens the files of a commit.
        wish: What it is to be.
    """

    def __init__(self, repo: RepoManager, remote: Callable[[str], RemoteFiles], wish: Wish) -> None:
        self._repo = repo
        self._remote = remote
        self._wish = wish

    def carry_out(self, source: Source) -> UploadReport:
        """Upload all splits of a source.

        Returns:
            What became of it.
        """
        is_there = self._repo.exists()
        self._check(is_there=is_there)
        with workspace() as folder:
            prepared = self._prepare(source, folder)
            if self._wish.dry_run and not is_there:
                return self._planned(prepared)
            if not self._wish.dry_run:
                self._repo.create(private=self._wish.private)
            return self._send(prepared)

    def _check(self, *, is_there: bool) -> None:
        """Refuse what can be refused before hours of work."""
        if is_there:
            self._repo.require_visibility(self._wish.private)
        if self._wish.version is not None:
            head = self._repo.tree(self._wish.revision).commit if is_there else None
            self._version(head)

    def _version(self, head: Optional[str]) -> Tuple[Optional[str], bool]:
        """Decide what the version is called, and say whether the branch's head is called so already.

        That is so where an attempt was cut off after it had done everything, and is not known to be the same data yet.
        """
        wanted = self._wish.version
        if wanted is None:
            return None, False
        tags = {} if head is None else {tag.name: tag.commit for tag in self._repo.list_tags()}
        if head is not None and tags.get(wanted) == head:
            return wanted, True
        today = dt.datetime.now(dt.timezone.utc).date()
        return next_version(wanted, tags, today), False

    # -- before anything is sent --------------------------------------------------------------

    def _prepare(self, source: Source, folder: Path) -> Prepared:
        config = self._wish.config
        splits: Dict[str, WrittenSplit] = {}
        with Progress() as progress:
            for split in source.splits.values():
                raw = folder / "raw" / split.name
                raw.mkdir(parents=True)
                with progress.task(f"Converting {split.name}") as task:
                    splits[split.name] = write_split(
                        split,
                        raw,
                        max_shard_bytes=self._wish.max_shard_bytes,
                        advance=task.advance,
                    )
        check_same_columns({name: columns_of(split) for name, split in splits.items()})
        files, digests = {}, {}
        for name, written in splits.items():
            for index, shard in enumerate(written.shards):
                path = shard_path(config, name, index, len(written.shards))
                target = folder / "repo" / path
                target.parent.mkdir(parents=True, exist_ok=True)
                files[path], digests[path] = shard.path.rename(target), shard.sha256
        example = self._example(splits, folder) if self._wish.shows_example else ""
        return Prepared(splits, files, digests, example)

    def _example(self, splits: Mapping[str, WrittenSplit], folder: Path) -> str:
        name, split = next(iter(splits.items()))
        config = ConfigRecord({key: record_of(item, {}) for key, item in splits.items()})
        fields = data_fields(
            {}, self._wish.config, config, split.features, download_size=0, total_rows=0
        )
        # YAML reads JSON.
        card = f"---\n{json.dumps(fields, indent=1)}\n---\n"
        (folder / "repo" / "README.md").write_text(card, encoding="utf-8")
        home = folder / "home"
        home.mkdir()
        return executed_example(
            self._repo.repo_id,
            folder / "repo",
            self._wish.config,
            name,
            rows=split.rows,
            features=split.features,
            home=home,
        )

    # -- the commit ---------------------------------------------------------------------------

    def _send(self, prepared: Prepared) -> UploadReport:
        first: Optional[Known] = None
        for _ in range(_ATTEMPTS):
            tree = self._repo.tree(self._wish.revision)
            known = read_known(self._repo, tree, self._remote(tree.commit))
            self._check_undisturbed(first or known, known, prepared)
            first = first or known
            try:
                return self._commit(prepared, known)
            except HeadMovedError as error:
                last = error
        raise last

    def _check_undisturbed(self, first: Known, now: Known, prepared: Prepared) -> None:
        """Raise if somebody else replaced the same data meanwhile; changes of the card are merged."""
        before, after = first.files(self._wish.config), now.files(self._wish.config)
        paths = [
            path
            for split in prepared.splits
            for path in {**before.get(split, {}), **after.get(split, {})}
            if before.get(split, {}).get(path, "") != after.get(split, {}).get(path, "")
        ]
        if paths:
            branch = self._wish.revision or "main"
            raise UploadConflictError(self._repo.repo_id, branch, paths=paths)

    def _commit(self, prepared: Prepared, known: Known) -> UploadReport:
        wish = self._wish
        there = known.files(wish.config)
        kept = (
            {}
            if wish.replace
            else {
                name: known.split(wish.config, name)
                for name in there
                if name not in prepared.splits
            }
        )
        new = {
            name: record_of(split, prepared.paths(self._wish.config, name))
            for name, split in prepared.splits.items()
        }
        check_same_columns({name: record.columns for name, record in {**kept, **new}.items()})
        gone = [name for name in there if name not in kept and name not in new]
        removed = [
            path
            for name in (*new, *gone)
            for path in there.get(name, {})
            if path not in prepared.files
        ]
        is_same = not removed and all(
            known.tree.files.get(path) is not None and known.digests[path] == sha256
            for path, sha256 in prepared.digests.items()
        )
        changes = self._changes(prepared, known, gone, is_same=is_same)
        version, is_tagged = self._version(known.tree.commit)
        if is_tagged and not is_same:
            raise version_taken(str(version))
        order = ordered([*known.record.config(wish.config).splits, *there, *new])
        splits = {name: {**kept, **new}[name] for name in order if name in kept or name in new}
        record = self._new_record(
            known, splits, changes, version, is_same=is_same and (version is None or is_tagged)
        )
        card_kept, files, trailer, warnings = self._described(prepared, known, record)
        title = wish.message or f"Upload {', '.join(prepared.splits)}"
        done = self._repo.commit(
            {**prepared.files, **files},
            message=f"{title}\n\n{changes_text(changes)}\n\n{trailer}",
            delete=removed,
            revision=wish.revision,
            on=known.tree,
            digests=prepared.digests,
            private=wish.private,
            allow=wish.allow,
            dry_run=wish.dry_run,
        )
        if not wish.dry_run:
            if wish.verifies and done.commit is not None:
                self._verify(prepared, done, known)
            if version is not None and not is_tagged:
                self._repo.create_tag(version, done.head, message=title)
        return UploadReport(
            self._repo.repo_id,
            wish.config,
            done.commit,
            version,
            {name: split.rows for name, split in splits.items()},
            changes,
            tuple(prepared.files),
            done.bytes_sent,
            done.bytes_skipped,
            tuple(removed),
            card_kept,
            (*warnings, *done.card_problems),
            is_verified=wish.verifies and done.commit is not None and not wish.dry_run,
            is_dry_run=wish.dry_run,
        )

    def _new_record(
        self,
        known: Known,
        splits: Mapping[str, SplitRecord],
        changes: Mapping[str, RowChanges],
        version: Optional[str],
        *,
        is_same: bool,
    ) -> DatasetRecord:
        wish, old = self._wish, known.record
        configs = {
            name: known.record.config(name) for name in known.record.configs if name != wish.config
        }
        order = ordered([*old.configs, wish.config])
        configs[wish.config] = ConfigRecord(splits)
        changelog = old.changelog
        if not is_same:
            today = dt.datetime.now(dt.timezone.utc)
            message = wish.message or f"Upload {', '.join(changes)}"
            title = message.strip().splitlines()[0]
            entry = Entry(f"{today:%Y-%m-%d}", title, version, changes_text(changes))
            changelog = (entry, *changelog)
        return DatasetRecord(
            {name: configs[name] for name in order if name in configs}, changelog, old.sections
        )

    def _described(
        self, prepared: Prepared, known: Known, record: DatasetRecord
    ) -> tuple[tuple[str, ...], Dict[str, bytes], str, tuple[str, ...]]:
        """Return what of the card stays as others left it, the card and the record, and what to remember."""
        wish = self._wish
        now = self._repo.card(known.tree.commit).metadata
        first = next(iter(prepared.splits.values()))
        config = record.config(wish.config)
        sizes = {path: file.size for path, file in known.tree.files.items()}
        sizes.update({path: file.stat().st_size for path, file in prepared.files.items()})
        fields = data_fields(
            now,
            wish.config,
            config,
            first.features,
            download_size=sum(
                sizes.get(path, 0) for split in config.splits.values() for path in split.files
            ),
            total_rows=sum(record.rows.values()),
        )
        types = {name: type_name(feature) for name, feature in first.features.items()}
        sections = sections_of(
            record, {wish.config: types}, usage=prepared.example, citation=wish.citation
        )
        for name in ("citation", "usage"):  # what was cited and shown before still is
            if not sections[name]:
                del sections[name]
        text_kept: list[str] = []

        def body(text: str) -> str:
            title = f"\n# {self._repo.repo_id.partition('/')[2]}\n"
            merged = merge_sections(text or title, sections, written=record.sections)
            text_kept.extend(merged.kept)
            return merged.text

        policies = dict.fromkeys(wish.metadata, wish.on_conflict)
        policies.update(dict.fromkeys(COMPUTED, "ours"), size_categories="theirs")
        draft = self._repo.draft_card(
            {**fields, **wish.metadata},
            body=body,
            revision=known.tree.commit,
            on_conflict=policies,
        )
        written = ordered([*record.sections, *(name for name, text in sections.items() if text)])
        final = dataclasses.replace(record, sections=tuple(written))
        files = {"README.md": draft.content, RECORD_PATH: final.encode()}
        return (*draft.kept, *text_kept), files, draft.trailer, draft.warnings

    def _changes(
        self, prepared: Prepared, known: Known, gone: Sequence[str], *, is_same: bool
    ) -> Dict[str, RowChanges]:
        there = known.files(self._wish.config)
        found = {}
        for name, split in prepared.splits.items():
            if name not in there:
                found[name] = RowChanges(0, split.rows, split.rows, 0)
            elif is_same:
                found[name] = RowChanges(split.rows, split.rows, 0, 0)
            else:
                found[name] = self._compared(prepared, known, name)
        for name in gone:
            rows = known.split(self._wish.config, name).rows
            found[name] = RowChanges(rows, 0, 0, rows)
        return found

    def _compared(self, prepared: Prepared, known: Known, name: str) -> RowChanges:
        split = prepared.splits[name]
        before = known.split(self._wish.config, name).rows
        if not self._wish.compares_rows or before + split.rows > _MOST_COMPARED:
            return RowChanges(before, split.rows)
        old = known.files(self._wish.config)[name]
        new = prepared.paths(self._wish.config, name)
        # A file that is in both versions holds the same rows in both: neither has to be read.
        common = set(old.values()) & set(new.values())
        same = sum(shard.rows for shard in split.shards if shard.sha256 in common)
        older = [known.reader(path) for path, sha256 in old.items() if sha256 not in common]
        newer = [
            ParquetReader(path, lambda path=path: pa.OSFile(str(prepared.files[path])))  # type: ignore[misc]  # mypy cannot infer a default
            for path, sha256 in new.items()
            if sha256 not in common
        ]
        return compare_rows(
            (batch for reader in older for batch in reader.batches()),
            (batch for reader in newer for batch in reader.batches()),
            key=self._wish.key,
            same_rows=same,
        )

    # -- after the commit ---------------------------------------------------------------------

    def _verify(self, prepared: Prepared, done: TransferReport, known: Known) -> None:
        """Read all rows back from the Hub, and take the commit back if they are not those that were sent."""
        remote = self._remote(str(done.commit))
        try:
            with Progress() as progress:
                for name, split in prepared.splits.items():
                    paths = prepared.paths(self._wish.config, name)
                    with progress.task(f"Reading back {name}", split.rows) as task:
                        read_back(split, [(p, remote) for p in paths], task.advance)
        except IntegrityError:
            take_back(self._repo, str(done.commit), known.tree, self._wish.revision)
            raise

    def _planned(self, prepared: Prepared) -> UploadReport:
        return UploadReport(
            self._repo.repo_id,
            self._wish.config,
            None,
            None,
            {name: split.rows for name, split in prepared.splits.items()},
            {n: RowChanges(0, split.rows, split.rows, 0) for n, split in prepared.splits.items()},
            tuple(prepared.files),
            is_dry_run=True,
        )
