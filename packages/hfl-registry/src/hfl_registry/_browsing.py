"""Looking at what is published, without loading it."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

from hfl_core.errors import NotFoundError
from hfl_registry._adapters._write import CONFIG as ADAPTERS
from hfl_registry._base import RegistryBase
from hfl_registry._lifecycle import is_stage_tag, stage_of_tag
from hfl_registry._loading import auto_class_of
from hfl_registry._stage import REQUIREMENTS

if TYPE_CHECKING:
    from hfl_repo import RepoInfo

__all__ = ["PublishedModel"]


@dataclasses.dataclass(frozen=True)
class PublishedModel:
    """A model in a repository.

    Attributes:
        repo_id: The repository.
        commit: The commit.
        tags: The tags that mark this commit.
        model_type: The name that its configuration carries.
        architecture: Its class.
        auto_class: The Auto class that loads it.
        code: The files of code that it brings.
        requirements: What these need from an index, as pip takes it.
        size: Bytes of its weights.
        stages: The stages of a model's life that it is in.
        base: Of adapters, the model that they belong on, with its commit.
    """

    repo_id: str
    commit: str
    tags: Tuple[str, ...]
    model_type: str
    architecture: str
    auto_class: str
    code: Tuple[str, ...]
    requirements: Tuple[str, ...]
    size: int
    stages: Tuple[str, ...] = ()
    base: str | None = None


class Browsing(RegistryBase):
    """What `ModelRegistry` shows."""

    def show(self, repo_id: str, *, revision: str | None = None) -> PublishedModel:
        """Say what a repository has published.

        Args:
            repo_id: The repository.
            revision: A branch, a tag or a commit; the default branch if None.

        Raises:
            RepoNotFoundError: There is no such repository.
            RevisionNotFoundError: It has no such revision.
            NotFoundError: There is no model in it.
        """
        repo = self._repo(repo_id)
        tree = repo.tree(revision)
        adapters = "config.json" not in tree.files and ADAPTERS in tree.files
        if "config.json" not in tree.files and not adapters:
            raise NotFoundError(f"There is no model in {repo.repo_id!r}: it has no config.json.")
        config: Dict[str, Any] = json.loads(
            repo.read(ADAPTERS if adapters else "config.json", tree.commit)
        )
        lines: List[str] = []
        if REQUIREMENTS in tree.files:
            lines = repo.read(REQUIREMENTS, tree.commit).decode("utf-8").split()
        weights = [file for path, file in tree.files.items() if path.endswith(".safetensors")]
        refs = sorted(ref.name for ref in repo.list_tags() if ref.commit == tree.commit)
        return PublishedModel(
            repo.repo_id,
            tree.commit,
            tuple(name for name in refs if not is_stage_tag(name)),
            str(config.get("peft_type" if adapters else "model_type", "")),
            str((config.get("architectures") or [""])[0]),
            "" if adapters else auto_class_of(config),
            tuple(sorted(path for path in tree.files if path.endswith(".py"))),
            tuple(lines),
            sum(file.size for file in weights),
            tuple(stage for name in refs if (stage := stage_of_tag(name)) is not None),
            (
                f"{config.get('base_model_name_or_path')}@{config.get('revision')}"
                if adapters
                else None
            ),
        )

    def card(self, repo_id: str, *, revision: str | None = None) -> str:
        """Read the card of a repository.

        Args:
            repo_id: The repository.
            revision: A branch, a tag or a commit; the default branch if None.
        """
        return self._repo(repo_id).card(revision).text

    def list(self, owner: str | None = None, *, limit: int | None = 100) -> Tuple[RepoInfo, ...]:
        """List the models of an account or organization.

        Args:
            owner: The account or organization; one's own account if None.
            limit: The most to return; None for all.
        """
        from hfl_repo import RepoManager

        repo = RepoManager(profile=self._profile, endpoint=self._endpoint)
        return repo.list(owner, limit=limit)
