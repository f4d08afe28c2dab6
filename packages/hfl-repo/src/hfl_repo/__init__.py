"""Hub repositories: create, describe, branch, transfer, clean.

Everything starts at `RepoManager`:

    from hfl_repo import RepoManager

    repo = RepoManager("me/digits")
    repo.create(private=True, license="mit")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import __version__, lazy_exports

if TYPE_CHECKING:
    from hfl_repo._attributes import GitattributesUpdate as GitattributesUpdate
    from hfl_repo._cards import Card as Card
    from hfl_repo._cards import CardDraft as CardDraft
    from hfl_repo._cards import CardUpdate as CardUpdate
    from hfl_repo._info import RepoInfo as RepoInfo
    from hfl_repo._manager import RepoManager as RepoManager
    from hfl_repo._permissions import Permissions as Permissions
    from hfl_repo._refs import Commit as Commit
    from hfl_repo._refs import PullRequest as PullRequest
    from hfl_repo._refs import Ref as Ref
    from hfl_repo._storage import ReclaimReport as ReclaimReport
    from hfl_repo._storage import RefUsage as RefUsage
    from hfl_repo._storage import StorageReport as StorageReport
    from hfl_repo._storage import StoredFile as StoredFile
    from hfl_repo._transfer._change import Change as Change
    from hfl_repo._transfer._report import TransferReport as TransferReport
    from hfl_repo._transfer._tree import RemoteFile as RemoteFile
    from hfl_repo._transfer._tree import RepoTree as RepoTree
    from hfl_repo.errors import CardConflictError as CardConflictError
    from hfl_repo.errors import ConfirmationError as ConfirmationError
    from hfl_repo.errors import EntryNotFoundError as EntryNotFoundError
    from hfl_repo.errors import GatedRepoError as GatedRepoError
    from hfl_repo.errors import HeadMovedError as HeadMovedError
    from hfl_repo.errors import InvalidCardError as InvalidCardError
    from hfl_repo.errors import RefExistsError as RefExistsError
    from hfl_repo.errors import RepoArchivedError as RepoArchivedError
    from hfl_repo.errors import RepoExistsError as RepoExistsError
    from hfl_repo.errors import RepoNotFoundError as RepoNotFoundError
    from hfl_repo.errors import RevisionNotFoundError as RevisionNotFoundError
    from hfl_repo.errors import TransferTimeoutError as TransferTimeoutError
    from hfl_repo.errors import UnsafeUploadError as UnsafeUploadError
    from hfl_repo.errors import UploadConflictError as UploadConflictError
    from hfl_repo.errors import VisibilityMismatchError as VisibilityMismatchError

_EXPORTS = {
    "Card": "._cards",
    "CardConflictError": ".errors",
    "CardDraft": "._cards",
    "CardUpdate": "._cards",
    "Change": "._transfer._change",
    "Commit": "._refs",
    "ConfirmationError": ".errors",
    "EntryNotFoundError": ".errors",
    "GatedRepoError": ".errors",
    "GitattributesUpdate": "._attributes",
    "HeadMovedError": ".errors",
    "InvalidCardError": ".errors",
    "Permissions": "._permissions",
    "PullRequest": "._refs",
    "ReclaimReport": "._storage",
    "Ref": "._refs",
    "RefExistsError": ".errors",
    "RefUsage": "._storage",
    "RemoteFile": "._transfer._tree",
    "RepoArchivedError": ".errors",
    "RepoExistsError": ".errors",
    "RepoInfo": "._info",
    "RepoManager": "._manager",
    "RepoNotFoundError": ".errors",
    "RepoTree": "._transfer._tree",
    "RevisionNotFoundError": ".errors",
    "StorageReport": "._storage",
    "StoredFile": "._storage",
    "TransferReport": "._transfer._report",
    "TransferTimeoutError": ".errors",
    "UnsafeUploadError": ".errors",
    "UploadConflictError": ".errors",
    "VisibilityMismatchError": ".errors",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
