"""Downloads and streams: what `DatasetManager` reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, Union

from hfl_datasets._base import DatasetBase
from hfl_datasets.errors import SplitNotFoundError

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from hfl_datasets._known import Known
    from hfl_datasets._streaming import DatasetStream

__all__ = ["Reading"]


class Reading(DatasetBase):
    """What `DatasetManager` reads."""

    def load(
        self,
        split: Optional[str] = None,
        *,
        config: str = "default",
        revision: Optional[str] = None,
        streaming: bool = False,
    ) -> Any:
        """Load rows: as a stream, or as an object of the datasets library.

        Args:
            split: The split; all of them if None.
            config: The configuration.
            revision: A branch, a tag or a commit; the default branch if None.
            streaming: Read rows as they are needed, and keep none.

        Returns:
            A `DatasetStream` if `streaming`, else a ``datasets.Dataset`` of files that were downloaded and
            verified; a mapping of them where no split was named.

        Raises:
            SplitNotFoundError: There is no such split.
            RevisionNotFoundError: There is no such revision.

        Example:
            >>> dataset = DatasetManager("ann/digits").load("train", revision="1.0.0")
            >>> dataset.num_rows
            1797
        """
        known = self._known(revision)
        files = self._files(known, config, split)
        if streaming:
            streams = {name: self._stream(known, paths) for name, paths in files.items()}
            return streams if split is None else streams[split]
        import datasets

        folder = self._fetch(known, [path for paths in files.values() for path in paths], None)
        data_files = {name: [str(folder / path) for path in paths] for name, paths in files.items()}
        # Files of this disk.
        return datasets.load_dataset("parquet", data_files=data_files, split=split)  # nosec B615

    def download(
        self,
        split: Optional[str] = None,
        *,
        config: Optional[str] = None,
        revision: Optional[str] = None,
        to: Union[str, os.PathLike[str], None] = None,
    ) -> Path:
        """Bring files here, and verify each by its digest; see `RepoManager.download`.

        Args:
            split: The split; all of them if None.
            config: The configuration; all of them if None, or the default one if a split is named.
            revision: A branch, a tag or a commit; the default branch if None.
            to: A folder to copy the files to; the cache that all clients share if None.

        Returns:
            The folder with the files.

        Raises:
            SplitNotFoundError: There is no such split.
            IntegrityError: A file arrives damaged again and again.
        """
        known = self._known(revision)
        if split is None and config is None:
            return self._repo.download(None, known.tree.commit, to=to)
        files = self._files(known, config or "default", split)
        return self._fetch(known, [path for paths in files.values() for path in paths], to)

    def _files(
        self, known: Known, config: str, split: Optional[str]
    ) -> dict[str, dict[str, Optional[str]]]:
        files = known.files(config)
        if not files or (split is not None and split not in files):
            available = files or [
                name if each == "default" else f"{each}/{name}"
                for each in known.configs
                for name in known.files(each)
            ]
            raise SplitNotFoundError(split or config, available=list(available))
        return files if split is None else {split: files[split]}

    def _fetch(self, known: Known, paths: Sequence[str], to: Any) -> Path:
        extra = [path for path in ("README.md",) if path in known.tree.files]
        return self._repo.download([*extra, *paths], known.tree.commit, to=to)

    def _stream(self, known: Known, files: Mapping[str, Optional[str]]) -> DatasetStream:
        from hfl_datasets._streaming import DatasetStream

        identity = [sha256 or known.tree.files[path].git_sha1 for path, sha256 in files.items()]
        return DatasetStream([known.reader(path) for path in files], identity=identity)
