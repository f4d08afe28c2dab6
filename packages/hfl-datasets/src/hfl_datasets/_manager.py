"""`DatasetManager`: a dataset on a Hub, and everything that can be done with it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, Union

from hfl_core.errors import ConfigError
from hfl_datasets._layout import check_config
from hfl_repo import RepoManager

if TYPE_CHECKING:
    from hfl_auth import AuthManager
    from hfl_datasets._hub import RemoteFiles
    from hfl_datasets._upload_report import UploadReport

__all__ = ["DatasetManager"]


class DatasetManager:
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

    def __init__(
        self, repo_id: str, *, profile: Optional[str] = None, endpoint: Optional[str] = None
    ) -> None:
        self._repo = RepoManager(repo_id, repo_type="dataset", profile=profile, endpoint=endpoint)
        self._profile = profile
        self._endpoint = endpoint

    def __repr__(self) -> str:
        return f"DatasetManager({self._repo._name!r})"

    @functools.cached_property
    def _auth(self) -> AuthManager:
        from hfl_auth import AuthManager

        return AuthManager(profile=self._profile, endpoint=self._endpoint)

    def _remote(self, commit: str) -> RemoteFiles:
        from hfl_datasets._hub import RemoteFiles

        return RemoteFiles(self.repo_id, commit, self._auth.credential())

    @property
    def repo_id(self) -> str:
        """The repository as ``namespace/name``."""
        return self._repo.repo_id

    @property
    def repo(self) -> RepoManager:
        """The repository, for branches, tags, settings and whatever else is not about data."""
        return self._repo

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
        validate: bool = True,
        max_shard_bytes: int = 500_000_000,
        allow: Sequence[str] = (),
        dry_run: bool = False,
    ) -> UploadReport:
        """Publish a dataset, or a new version of it, in one commit."""
        from hfl_datasets._sources._open import open_source
        from hfl_datasets._upload import Upload, Wish

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
            max_shard_bytes=max_shard_bytes,
            allow=allow,
            dry_run=dry_run,
        )
        opened = open_source(source)
        return Upload(self._repo, self._remote, wish).carry_out(opened)
