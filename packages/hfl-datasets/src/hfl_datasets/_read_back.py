"""Reading back what was published, and taking it back where it is not what was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Optional, Sequence

from hfl_core import get_logger
from hfl_core.errors import IntegrityError
from hfl_datasets._content import ContentHash
from hfl_datasets._features import fitted
from hfl_datasets._parquet_reader import ParquetReader
from hfl_datasets.errors import RowCountError

if TYPE_CHECKING:
    from hfl_datasets._hub import RemoteFiles
    from hfl_datasets._shards import WrittenSplit
    from hfl_repo import RepoManager, RepoTree

__all__ = ["read_back", "take_back"]

_LOG = get_logger(__name__)


def read_back(
    split: WrittenSplit, files: Sequence[tuple[str, RemoteFiles]], advance: Callable[[int], None]
) -> None:
    """Read all rows of a split, and compare their count and content with what was written.

    Raises:
        RowCountError: There are more, or fewer.
        IntegrityError: They are others.
    """
    content = ContentHash(split.schema)
    for path, remote in files:
        reader = ParquetReader(path, lambda path=path, remote=remote: remote.open(path))  # type: ignore[misc]  # mypy cannot infer a default
        for batch in reader.batches():
            content.update(fitted(batch, split.schema))
            advance(batch.num_rows)
        reader.close()
    if content.rows != split.rows:
        raise RowCountError(split.name, expected=split.rows, found=content.rows)
    if content.hexdigest() != split.content:
        raise IntegrityError(
            f"Split {split.name!r} came back with other values than it was sent with.",
            hint="Upload it again; what was published before is unchanged.",
        )


def take_back(repo: RepoManager, commit: str, before: RepoTree, revision: Optional[str]) -> None:
    """Bring a branch back to what it held, by one commit on top.

    Args:
        repo: The repository.
        commit: What is taken back; if somebody has committed on top of it, nothing is done.
        before: What the branch held.
        revision: The branch.
    """
    now = repo.tree(revision)
    if now.commit != commit:
        _LOG.warning("Somebody committed on top of %s, so it is not taken back.", commit)
        return
    differs = {
        path: file
        for path, file in before.files.items()
        if path not in now.files or now.files[path].git_sha1 != file.git_sha1
    }
    repo.commit(
        {path: repo.read(path, before.commit) for path, f in differs.items() if not f.sha256},
        message=f"Take back {commit[:12]}: its rows could not be read back",
        copies={path: file for path, file in differs.items() if file.sha256},
        delete=[path for path in now.files if path not in before.files],
        revision=revision,
        on=now,
    )
