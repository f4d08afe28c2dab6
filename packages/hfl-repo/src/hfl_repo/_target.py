"""What a request is about, so that an error can name it."""

from __future__ import annotations

import dataclasses
from typing import Literal
from urllib.parse import quote

from hfl_core.errors import ConfigError

__all__ = ["REPO_TYPES", "RepoType", "Target"]

RepoType = Literal["model", "dataset", "space"]
REPO_TYPES: tuple[RepoType, ...] = ("model", "dataset", "space")


@dataclasses.dataclass(frozen=True)
class Target:
    """A repository, and maybe a revision and a path in it.

    Attributes:
        repo_id: ``namespace/name``.
        repo_type: ``"model"``, ``"dataset"`` or ``"space"``.
        revision: A branch, a tag or a commit.
        path: A file or folder in the repository.
    """

    repo_id: str
    repo_type: RepoType = "model"
    revision: str | None = None
    path: str | None = None

    def at(self, revision: str | None = None, path: str | None = None) -> Target:
        """Return the same repository with another revision and path.

        Raises:
            ConfigError: The revision is empty: a variable that was not set is not the default branch.
        """
        if revision == "":
            raise ConfigError(
                "The revision is empty.",
                hint="Leave it out for the default branch, or check the variable that holds it.",
            )
        return dataclasses.replace(self, revision=revision, path=path)

    def api(self, *parts: str) -> str:
        """Return a path of the Hub's API below this repository; each part is quoted as one segment."""
        quoted = "".join(f"/{quote(part, safe='')}" for part in parts)
        return f"/api/{self.repo_type}s/{self.repo_id}{quoted}"
