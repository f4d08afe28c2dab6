"""What is known about a revision of a dataset: its record, or what the footers of its files say."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Dict, Mapping, Optional

from hfl_datasets._layout import splits_in
from hfl_datasets._parquet_reader import ParquetReader
from hfl_datasets._record import RECORD_PATH, ConfigRecord, DatasetRecord, SplitRecord

if TYPE_CHECKING:
    from hfl_datasets._hub import RemoteFiles
    from hfl_repo import RepoManager, RepoTree

__all__ = ["Known", "read_known"]


class Known:
    """A revision of a dataset.

    Args:
        tree: Its files.
        record: What its record says and still holds.
        remote: Opens its files.

    Attributes:
        tree: As given.
        record: As given.
        remote: As given.
    """

    def __init__(self, tree: RepoTree, record: DatasetRecord, remote: RemoteFiles) -> None:
        self.tree = tree
        self.record = record
        self.remote = remote

    @property
    def digests(self) -> Dict[str, Optional[str]]:
        """Path to sha256 of all files."""
        return {path: file.sha256 for path, file in self.tree.files.items()}

    def files(self, config: str) -> Dict[str, Dict[str, Optional[str]]]:
        """Return split to (path to sha256) of a configuration."""
        found = splits_in(self.tree.files, self.digests, config)
        order = [name for name in self.record.config(config).splits if name in found]
        return {name: found[name] for name in dict.fromkeys([*order, *found])}

    @property
    def configs(self) -> tuple[str, ...]:
        """The configurations, by their folders."""
        folders = {path.partition("/")[0] for path in self.tree.files if path.endswith(".parquet")}
        names = sorted("default" if folder == "data" else folder for folder in folders)
        return tuple(name for name in names if self.files(name))

    def split(self, config: str, name: str) -> SplitRecord:
        """Return what is known about a split; what has no record is read from the footers."""
        known = self.record.config(config).splits.get(name)
        return known if known is not None else self._from_footers(self.files(config)[name])

    def whole(self) -> DatasetRecord:
        """Return what is known about all splits of all configurations."""
        found = {
            config: ConfigRecord({name: self.split(config, name) for name in self.files(config)})
            for config in self.configs
        }
        return DatasetRecord(found, self.record.changelog, self.record.sections)

    def reader(self, path: str) -> ParquetReader:
        """Open a file."""
        return ParquetReader(path, functools.partial(self.remote.open, path))

    def _from_footers(self, files: Mapping[str, Optional[str]]) -> SplitRecord:
        rows, columns = 0, {}
        for path in files:
            reader = self.reader(path)
            rows += sum(reader.group_rows)
            columns = {field.name: str(field.type) for field in reader.schema}
            reader.close()
        size = sum(self.tree.files[path].size for path in files)
        return SplitRecord(rows, size, "", columns, {p: sha or "" for p, sha in files.items()})


def read_known(repo: RepoManager, tree: RepoTree, remote: RemoteFiles) -> Known:
    """Read what a revision says about itself.

    Args:
        repo: The repository.
        tree: The revision.
        remote: Opens its files.

    Returns:
        What is known.
    """
    record = None
    if RECORD_PATH in tree.files:
        record = DatasetRecord.decode(repo.read(RECORD_PATH, tree.commit))
    found = record or DatasetRecord()
    return Known(tree, found.matching({p: f.sha256 for p, f in tree.files.items()}), remote)
