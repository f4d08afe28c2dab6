"""The register of repositories: their folders, settings, and where moved ones went."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import shutil
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator, Tuple

from hfl_localhub._durable import fsync_directory, read_json, write_json
from hfl_localhub._errors import conflict
from hfl_localhub._git import GitRepo
from hfl_localhub._lfs_index import LfsIndex

__all__ = ["Key", "Repo", "Repositories", "Settings"]

Key = Tuple[str, str, str]  # type in the singular, namespace, name


@dataclasses.dataclass(frozen=True)
class Settings:
    """What can be changed about a repository without a commit.

    Attributes:
        visibility: ``"public"``, ``"private"`` or ``"protected"``.
        gated: False, ``"auto"`` or ``"manual"``.
        created_at: Seconds since the epoch.
        likes: Who likes it.
        access: For gated repositories: user to ``"pending"``, ``"accepted"`` or ``"rejected"``.
        sdk: For spaces.
    """

    visibility: str = "public"
    gated: Any = False
    created_at: float = 0.0
    likes: Tuple[str, ...] = ()
    access: Tuple[Tuple[str, str], ...] = ()
    sdk: Any = None

    @property
    def is_private(self) -> bool:
        """Whether strangers see it at all."""
        return self.visibility == "private"


class Repo:
    """One repository.

    Attributes:
        key: Its type, namespace and name.
        path: Its folder: ``repo.json``, ``git/``, ``lfs/``, ``discussions/``.
        lock: Held while references, settings or discussions change.
        downloads: Counted since the Hub started.
    """

    def __init__(self, key: Key, path: Path) -> None:
        self.key = key
        self.path = path
        self.lock = threading.RLock()
        self.git = GitRepo(path / "git")
        self.lfs = LfsIndex(path / "lfs")
        self.downloads = 0
        self._is_retired = False
        self.settings = self._read_settings()

    @property
    def type(self) -> str:
        """``"model"``, ``"dataset"``, ``"space"`` or ``"kernel"``."""
        return self.key[0]

    @property
    def namespace(self) -> str:
        """The user or organization it belongs to."""
        return self.key[1]

    @property
    def name(self) -> str:
        """Its name within the namespace."""
        return self.key[2]

    @property
    def id(self) -> str:
        """Namespace and name."""
        return f"{self.namespace}/{self.name}"

    @property
    def web_path(self) -> str:
        """Its path in URLs for people."""
        return self.id if self.type == "model" else f"{self.type}s/{self.id}"

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock for a change.

        Raises:
            HubError: 409, the repository was deleted or moved while the caller waited.
        """
        with self.lock:
            if self._is_retired:
                raise conflict(f"{self.id} was moved or deleted meanwhile.")
            yield

    def retire(self) -> None:
        """Refuse further changes through this object. The caller holds the lock."""
        self._is_retired = True
        self.git.retire()

    def change(self, **settings: Any) -> None:
        """Change settings, as one step."""
        with self.changing():
            changed = dataclasses.replace(self.settings, **settings)
            write_json(self.path / "repo.json", dataclasses.asdict(changed))
            self.settings = changed

    def _read_settings(self) -> Settings:
        found = read_json(self.path / "repo.json")
        found["likes"] = tuple(found["likes"])
        found["access"] = tuple((user, status) for user, status in found["access"])
        return Settings(**found)


class Repositories:
    """All repositories of a Hub.

    Args:
        root: The Hub's folder.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / "repos"
        self._staging = root / "staging"
        self._redirects_path = root / "redirects.json"
        self._lock = threading.RLock()
        shutil.rmtree(self._staging, ignore_errors=True)  # left by a kill
        self._staging.mkdir(parents=True)
        self._folder.mkdir(exist_ok=True)
        self._redirects: dict[str, str] = read_json(self._redirects_path, {})
        self._repos: dict[Key, Repo] = {}
        for marker in self._folder.glob("*/*/*/repo.json"):
            repo_type, namespace, name = marker.parent.parts[-3:]
            key = (repo_type[:-1], namespace, name)
            repo = self._repos[key] = Repo(key, marker.parent)
            repo.git.discard_leftovers()

    def get(self, key: Key) -> Repo | None:
        """Return a repository by its present name."""
        return self._repos.get(key)

    def redirect(self, key: Key) -> Key | None:
        """Return the present name of a repository that had this one."""
        text = "/".join(key)
        for _ in range(len(self._redirects) + 1):
            target = self._redirects.get(text)
            if target is None:
                return None
            repo_type, namespace, name = target.split("/")
            if (repo_type, namespace, name) in self._repos:
                return (repo_type, namespace, name)
            text = target
        return None

    def __iter__(self) -> Iterator[Repo]:
        return iter(list(self._repos.values()))

    def create(self, key: Key, settings: Settings, fill: Callable[[Repo], None]) -> Repo:
        """Create a repository as one step.

        Args:
            key: Its name.
            settings: Its settings; the time of creation is set here.
            fill: Makes the first commit, before anybody sees the repository.

        Raises:
            HubError: 409, it exists.
        """
        staged = self._staging / secrets.token_hex(8)
        staged.mkdir()
        created = dataclasses.replace(settings, created_at=time.time())
        write_json(staged / "repo.json", dataclasses.asdict(created))
        GitRepo.create(staged / "git")
        try:
            fill(Repo(key, staged))
            with self._lock:
                if key in self._repos:
                    raise conflict(f"You already created this {key[0]} repo: {key[1]}/{key[2]}")
                self._rename(staged, self._path(key))
                repo = self._repos[key] = Repo(key, self._path(key))
                self._forget_redirect(key)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        return repo

    def delete(self, repo: Repo) -> None:
        """Delete a repository: it is gone as one step, its folder is removed after that."""
        trash = self._staging / secrets.token_hex(8)
        with repo.git.alone(), self._lock, repo.changing():
            del self._repos[repo.key]
            repo.retire()
            repo.path.rename(trash)
            fsync_directory(repo.path.parent)
        shutil.rmtree(trash, ignore_errors=True)

    def move(self, repo: Repo, key: Key) -> None:
        """Give a repository another name; the old one redirects.

        Raises:
            HubError: 409, there is one of that name.
        """
        with repo.git.alone(), self._lock, repo.changing():
            if key in self._repos:
                raise conflict(f"A {key[0]} repo named {key[1]}/{key[2]} exists already.")
            # The redirect first: a kill between the two leaves one that nobody follows yet.
            self._redirects["/".join(repo.key)] = "/".join(key)
            self._redirects.pop("/".join(key), None)
            write_json(self._redirects_path, self._redirects)
            repo.retire()
            self._rename(repo.path, self._path(key))
            moved = Repo(key, self._path(key))
            moved.lock = repo.lock  # who waits for it goes on with the same repository
            del self._repos[repo.key]
            self._repos[key] = moved

    def holders(self, sha256: str) -> list[Repo]:
        """Return the repositories that hold a blob."""
        return [repo for repo in self if repo.lfs.holds(sha256)]

    def _rename(self, source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
        fsync_directory(target.parent)

    def _forget_redirect(self, key: Key) -> None:
        if self._redirects.pop("/".join(key), None) is not None:
            write_json(self._redirects_path, self._redirects)

    def _path(self, key: Key) -> Path:
        repo_type, namespace, name = key
        return self._folder / f"{repo_type}s" / namespace / name
