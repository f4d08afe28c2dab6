"""Lists of repositories: one's own, and whatever matches a search."""

from __future__ import annotations

import itertools
from typing import Any, Literal, Sequence

from hfl_core.errors import ValidationError
from hfl_repo._base import RepoBase
from hfl_repo._info import RepoInfo, info_from
from hfl_repo._licenses import check_license, check_tags

__all__ = ["Lists", "Sort"]

Sort = Literal["last_modified", "created_at", "downloads", "likes", "trending"]
_SORTS = {
    "last_modified": "lastModified",
    "created_at": "createdAt",
    "downloads": "downloads",
    "likes": "likes",
    "trending": "trendingScore",
}
_PAGE = 1000


class Lists(RepoBase):
    """What `RepoManager` finds."""

    def list(  # the verb that people look for
        self,
        author: str | None = None,
        *,
        tags: Sequence[str] = (),
        license: str | None = None,  # noqa: A002  # the card's own name for it
        sort: Sort = "last_modified",
        limit: int | None = 100,
    ) -> tuple[RepoInfo, ...]:
        """List the repositories of an account or organization.

        Args:
            author: The account or organization; one's own account if None.
            tags: Tags that all of them have.
            license: The licence that all of them have.
            sort: What comes first: the newest, or the greatest.
            limit: The most to return; None for all.

        Returns:
            The repositories, of this manager's type, private ones that the account may see included.

        Raises:
            AuthError: Nobody is signed in, so there is no own account.
            ValidationError: A filter makes no sense.

        Example:
            >>> [repo.repo_id for repo in RepoManager().list()]
            ['ann/digits']
        """
        who = self._identity.name if author is None else author
        return self._found({"author": who}, tags, license, sort, limit)

    def search(
        self,
        query: str,
        *,
        author: str | None = None,
        tags: Sequence[str] = (),
        license: str | None = None,  # noqa: A002  # the card's own name for it
        sort: Sort = "downloads",
        limit: int | None = 20,
    ) -> tuple[RepoInfo, ...]:
        """Search the repositories of the whole Hub by name.

        Args:
            query: A part of the name.
            author: Only those of this account or organization.
            tags: Tags that all of them have.
            license: The licence that all of them have.
            sort: What comes first: the newest, or the greatest.
            limit: The most to return; None for all.

        Returns:
            The repositories, of this manager's type.

        Raises:
            ValidationError: A filter makes no sense.

        Example:
            >>> [repo.repo_id for repo in RepoManager().search("digit", license="mit")]
            ['ann/digits']
        """
        params = {"search": query}
        if author is not None:
            params["author"] = author
        return self._found(params, tags, license, sort, limit)

    def _found(
        self,
        params: dict[str, str],
        tags: Sequence[str],
        license_id: str | None,
        sort: str,
        limit: int | None,
    ) -> tuple[RepoInfo, ...]:
        if sort not in _SORTS:
            raise ValidationError(
                f"Repositories are not sorted by {sort!r}.", hint=f"By: {', '.join(_SORTS)}."
            )
        if limit is not None and (isinstance(limit, bool) or limit < 1):
            raise ValidationError(f"limit is a number of 1 or more, or None, and not {limit!r}.")
        query: Any = [*params.items(), ("sort", _SORTS[sort]), ("cardData", "true")]
        query += [("filter", tag) for tag in check_tags(tags)]
        if license_id is not None:
            query.append(("filter", f"license:{check_license(license_id)}"))
        query.append(("limit", str(_PAGE if limit is None else min(limit, _PAGE))))
        found = self._hub.pages(f"/api/{self.repo_type}s", params=query)
        return tuple(
            info_from(data, self.repo_type, self._hub.endpoint)
            for data in itertools.islice(found, limit)
        )
