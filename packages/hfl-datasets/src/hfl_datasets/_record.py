"""What a version of a dataset says about itself, in ``.hfl/dataset.json`` beside its data.

It is committed together with the data, so versions can be listed and compared without reading a row.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Dict, Mapping, Optional

__all__ = ["RECORD_PATH", "ConfigRecord", "DatasetRecord", "Entry", "SplitRecord"]

# A hidden folder is none that the datasets library looks for data in.
RECORD_PATH = ".hfl/dataset.json"
_FORMAT = 1
_LONGEST_CHANGELOG = 50


@dataclasses.dataclass(frozen=True)
class SplitRecord:
    """A split of a version.

    Attributes:
        rows: How many rows it has.
        num_bytes: Their bytes in memory.
        content: The digest of all rows; empty where nobody has computed it.
        columns: Column to type, in order.
        files: Path of a Parquet file to its sha256.
        statistics: Column to its figures; empty where nobody has computed them.
    """

    rows: int
    num_bytes: int
    content: str
    columns: Mapping[str, str]
    files: Mapping[str, str]
    statistics: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A line of the changelog.

    Attributes:
        date: The day, as in ``2026-05-01``.
        message: What it was about.
        version: The version, if it was given one.
        changes: What became of the rows, for people.
    """

    date: str
    message: str
    version: Optional[str] = None
    changes: str = ""


@dataclasses.dataclass(frozen=True)
class ConfigRecord:
    """A configuration of a dataset: its splits."""

    splits: Mapping[str, SplitRecord] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class DatasetRecord:
    """A version of a dataset.

    Attributes:
        configs: Name to configuration.
        changelog: What was changed, the newest first.
        sections: The parts of the card that were written, whether or not they still stand there.
    """

    configs: Mapping[str, ConfigRecord] = dataclasses.field(default_factory=dict)
    changelog: tuple[Entry, ...] = ()
    sections: tuple[str, ...] = ()

    def config(self, name: str) -> ConfigRecord:
        """Return a configuration; an empty one when there is none of that name."""
        return self.configs.get(name, ConfigRecord())

    @property
    def rows(self) -> Dict[str, int]:
        """Split to rows; ``config/split`` where there are several configurations."""
        is_one = len(self.configs) == 1
        return {
            split if is_one else f"{config}/{split}": record.rows
            for config, found in self.configs.items()
            for split, record in found.splits.items()
        }

    def encode(self) -> bytes:
        """Return the file."""
        document = {"format": _FORMAT, **dataclasses.asdict(self)}
        document["changelog"] = document["changelog"][:_LONGEST_CHANGELOG]
        return (json.dumps(document, ensure_ascii=False, indent=1, sort_keys=False) + "\n").encode()

    @classmethod
    def decode(cls, data: bytes) -> Optional[DatasetRecord]:
        """Read the file.

        Returns:
            The record; None when it is none, or of a format that is newer than this library.
        """
        try:
            found = json.loads(data)
            if found["format"] != _FORMAT:
                return None
            configs = {
                name: ConfigRecord(
                    {split: SplitRecord(**record) for split, record in config["splits"].items()}
                )
                for name, config in found["configs"].items()
            }
            changelog = tuple(Entry(**entry) for entry in found["changelog"])
            return cls(configs, changelog, tuple(found["sections"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def matching(self, files: Mapping[str, Optional[str]]) -> DatasetRecord:
        """Leave out the splits whose files are not the ones that are there: somebody else replaced them.

        Args:
            files: Path to sha256 (None for a small file) of all files of the revision.

        Returns:
            What still holds.
        """
        kept = {
            name: ConfigRecord(
                {
                    split: record
                    for split, record in config.splits.items()
                    # A file may be stored as a small one, without a sha256; then its path has to do.
                    if all(
                        path in files and files[path] in (None, sha256)
                        for path, sha256 in record.files.items()
                    )
                }
            )
            for name, config in self.configs.items()
        }
        present = {name: config for name, config in kept.items() if config.splits}
        return dataclasses.replace(self, configs=present)
