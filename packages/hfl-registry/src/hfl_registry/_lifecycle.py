"""Stages of a model's life: tags that move, and a dated tag for every move, which stays."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import re
from typing import TYPE_CHECKING, Callable

from hfl_core.errors import ConfigError, ConflictError
from hfl_registry._base import RegistryBase
from hfl_registry.errors import StageNotFoundError

if TYPE_CHECKING:
    from hfl_repo import Ref, RepoManager

__all__ = ["Stage", "StageMove"]

STAGES = ("candidate", "staging", "production", "archived")
# 'stage/production' and 'stage/production/…' could not both exist: names of tags are paths.
_CURRENT = "stage/"
_HISTORY = "stage-history/"
_TIME = "%Y%m%dT%H%M%S.%fZ"
_DATED = re.compile(r"stage-history/(?P<stage>[a-z]+)/(?P<time>\d{8}T\d{6}\.\d{6}Z)")


@dataclasses.dataclass(frozen=True)
class StageMove:
    """That a model was put into a stage.

    Attributes:
        commit: The commit.
        at: When, in UTC.
        tag: The tag that keeps it.
    """

    commit: str
    at: dt.datetime
    tag: str


@dataclasses.dataclass(frozen=True)
class Stage:
    """A stage, and what is in it.

    Attributes:
        name: ``"candidate"``, ``"staging"``, ``"production"`` or ``"archived"``.
        commit: The commit that is in it; None where it was emptied.
        tag: The tag that marks it, good as a revision wherever one is taken.
        history: What has been put there, newest first.
    """

    name: str
    commit: str | None
    tag: str
    history: tuple[StageMove, ...] = ()

    @property
    def since(self) -> dt.datetime | None:
        """When what is in it was put there; None when that is not known."""
        newest = self.history[0] if self.history else None
        return newest.at if newest is not None and newest.commit == self.commit else None


class Stages:
    """The stages of one repository.

    Args:
        repo: The repository.
        now: Tells the time, in UTC.
    """

    def __init__(
        self,
        repo: RepoManager,
        *,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.timezone.utc),
    ) -> None:
        self._repo = repo
        self._now = now

    def list(self) -> tuple[Stage, ...]:
        """List the stages that hold a model or have held one, in the order of a model's life."""
        refs = self._repo.list_tags()
        found = (self._read(name, refs) for name in STAGES)
        return tuple(stage for stage in found if stage.commit or stage.history)

    def commit_of(self, name: str) -> str:
        """Return the commit that is in a stage.

        Raises:
            StageNotFoundError: None is.
        """
        _check(name)
        stages = {stage.name: stage.commit for stage in self.list()}
        commit = stages.get(name)
        if commit is None:
            occupied = [stage for stage, held in stages.items() if held]
            raise StageNotFoundError(self._repo.repo_id, name, occupied=occupied)
        return commit

    def put(self, name: str, revision: str | None = None) -> Stage:
        """Put a model into a stage.

        The dated tag comes first, so that whatever happens meanwhile, it is known what was in a stage
        and since when. Called again after an interruption it finishes the work.

        Args:
            name: The stage.
            revision: A branch, tag, commit or other stage; the default branch if None.

        Returns:
            The stage as it is now.

        Raises:
            ConfigError: There is no such stage.
            RevisionNotFoundError: There is no such revision.
            ConflictError: It is in production and is to be archived.
        """
        _check(name)
        commit = self.commit_of(revision) if revision in STAGES else self._repo.info(revision).sha
        if commit is None:
            raise ConflictError(f"The Hub does not say at which commit {revision!r} is.")
        refs = self._repo.list_tags()
        before = self._read(name, refs)
        if name == "archived" and self._read("production", refs).commit == commit:
            raise ConflictError(
                f"Commit {commit[:12]} of {self._repo.repo_id!r} is in production.",
                hint="Put another one into production first.",
            )
        newest = before.history[0] if before.history else None
        if newest is None or newest.commit != commit:
            tag = f"{_HISTORY}{name}/{self._now().strftime(_TIME)}"
            self._repo.create_tag(tag, commit, message=f"Put into {name}")
        if before.commit != commit:
            self._repo.delete_tag(_CURRENT + name, missing_ok=True)
            self._repo.create_tag(_CURRENT + name, commit, message=f"In {name} now")
        return self._read(name, self._repo.list_tags())

    def clear(self, name: str) -> Stage:
        """Take what is in a stage out of it; its history stays.

        Raises:
            ConfigError: There is no such stage.
            StageNotFoundError: Nothing is in it.
        """
        self.commit_of(name)
        self._repo.delete_tag(_CURRENT + name)
        return self._read(name, self._repo.list_tags())

    def _read(self, name: str, refs: tuple[Ref, ...]) -> Stage:
        moves = []
        commit = None
        for ref in refs:
            if ref.name == _CURRENT + name:
                commit = ref.commit
            dated = _DATED.fullmatch(ref.name)
            if dated is None or dated["stage"] != name:
                continue
            with contextlib.suppress(ValueError):  # somebody's own tag, and no date
                at = dt.datetime.strptime(dated["time"], _TIME).replace(tzinfo=dt.timezone.utc)
                moves.append(StageMove(ref.commit, at, ref.name))
        moves.sort(key=lambda move: move.at, reverse=True)
        return Stage(name, commit, _CURRENT + name, tuple(moves))


class Staging(RegistryBase):
    """What `ModelRegistry` does with the stages of a model's life."""

    def stage(self, repo_id: str, stage: str, *, revision: str | None = None) -> Stage:
        """Put a published model into a stage.

        A stage is a tag, ``stage/production``, that moves; every move leaves a dated tag that stays,
        ``stage-history/production/20300101T000000.000000Z``.

        Args:
            repo_id: The repository.
            stage: ``"candidate"``, ``"staging"``, ``"production"`` or ``"archived"``.
            revision: A branch, a tag, a commit, or another stage, to move its model on; the default
                branch if None.

        Returns:
            The stage as it is now.

        Raises:
            ConfigError: There is no such stage.
            StageNotFoundError: The stage that was named as the revision is empty.
            RevisionNotFoundError: There is no such revision.
            ConflictError: It is in production and is to be archived.

        Example:
            >>> ModelRegistry().stage("ann/digits", "production").tag
            'stage/production'
        """
        return Stages(self._repo(repo_id)).put(stage, revision)

    def stages(self, repo_id: str) -> tuple[Stage, ...]:
        """List the stages of a repository that hold a model or have held one.

        Args:
            repo_id: The repository.

        Returns:
            The stages, in the order of a model's life, each with its history.

        Example:
            >>> [each.name for each in ModelRegistry().stages("ann/digits")]
            ['production']
        """
        return Stages(self._repo(repo_id)).list()

    def clear_stage(self, repo_id: str, stage: str) -> Stage:
        """Take what is in a stage out of it; its history stays.

        Args:
            repo_id: The repository.
            stage: The stage.

        Returns:
            The stage as it is now.

        Raises:
            StageNotFoundError: Nothing is in it.
        """
        return Stages(self._repo(repo_id)).clear(stage)


def stage_revision(repo: RepoManager, stage: str, revision: str | None) -> str:
    """Return the commit that is in a stage.

    Raises:
        ConfigError: A revision was named as well, or there is no such stage.
        StageNotFoundError: Nothing is in it.
    """
    if revision is not None:
        raise ConfigError(f"Stage {stage!r} or revision {revision!r}: one of the two.")
    return Stages(repo).commit_of(stage)


def is_stage_tag(name: str) -> bool:
    """Whether a tag is one that stages are kept with."""
    return name.startswith((_CURRENT, _HISTORY))


def stage_of_tag(name: str) -> str | None:
    """Return the stage whose model a tag marks; None for any other tag."""
    stage = name[len(_CURRENT) :]
    return stage if name.startswith(_CURRENT) and stage in STAGES else None


def _check(name: str) -> None:
    if name not in STAGES:
        raise ConfigError(f"There is no stage {name!r}.", hint=f"Stages are: {', '.join(STAGES)}.")
