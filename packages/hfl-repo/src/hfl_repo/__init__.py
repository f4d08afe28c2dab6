"""Hub repositories: create, describe, branch, transfer, clean.

Today this package holds the errors that working with a repository can raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import __version__, lazy_exports

if TYPE_CHECKING:
    from hfl_repo.errors import RepoExistsError as RepoExistsError
    from hfl_repo.errors import RepoNotFoundError as RepoNotFoundError
    from hfl_repo.errors import RevisionNotFoundError as RevisionNotFoundError
    from hfl_repo.errors import UnsafeUploadError as UnsafeUploadError
    from hfl_repo.errors import UploadConflictError as UploadConflictError
    from hfl_repo.errors import VisibilityMismatchError as VisibilityMismatchError

_EXPORTS = {
    "RepoExistsError": ".errors",
    "RepoNotFoundError": ".errors",
    "RevisionNotFoundError": ".errors",
    "UnsafeUploadError": ".errors",
    "UploadConflictError": ".errors",
    "VisibilityMismatchError": ".errors",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
