from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import huggingface_hub.constants
import pytest

from hfl_checkpoint import CheckpointManager
from hfl_core import RetryPolicy
from hfl_localhub import LocalHub
from hfl_repo import RepoManager
from hfl_repo._hub import Hub

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Iterator[LocalHub]:
    with LocalHub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def token(hub) -> str:
    return hub.create_user("ann")


@pytest.fixture(autouse=True)
def _at_home(hub, token, monkeypatch, tmp_path) -> Iterator[None]:
    """No setting, token, cache or file of the person who runs the tests; no fault of another test."""
    for name in ("HFL_PROFILE", "HFL_ENDPOINT", "HFL_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in hub.settings(token).items():
        monkeypatch.setenv(name, value)
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    # As the default, without the waiting.
    monkeypatch.setattr(Hub, "__init__", _impatient(Hub.__init__))
    hub.faults.clear()
    yield
    hub.faults.clear()


def _impatient(init: Callable[..., None]) -> Callable[..., None]:
    def begin(self: Hub, credential: Any, **options: Any) -> None:
        init(self, credential, **{"retry": RetryPolicy(3, 0.001, 0.01), **options})

    return begin


@pytest.fixture
def name() -> str:
    """A repository that nobody has used."""
    return f"ann/run{next(_NUMBERS)}"


@pytest.fixture
def repo(name) -> RepoManager:
    return RepoManager(name)


@pytest.fixture
def train(run_path, name, live, hub) -> Callable[..., Path]:
    """Save steps with a manager that publishes, and close it; the Hub may fail from the start on."""

    def run(
        *steps: int, directory: Path | None = None, broken: int | None = None, **options: Any
    ) -> Path:
        place = directory or run_path
        with CheckpointManager(
            place, **{"hub": name, "hub_wait": 30, "metadata": {}, **options}
        ) as manager:
            state = live()
            manager.resume(**state.components)
            if broken is not None:
                hub.faults.answer(broken, times=None)
            for step in steps:
                manager.save(
                    step, metrics={"loss": 1 / (1 + step)}, **state.move_to(step).components
                )
        return place

    return run


class Remote:
    """A branch as anybody sees it, with nothing but listings."""

    def __init__(self, repo: RepoManager, branch: str = "checkpoints") -> None:
        self.repo, self.branch = repo, branch

    @property
    def files(self) -> List[str]:
        return sorted(self.repo.tree(self.branch).files)

    @property
    def names(self) -> List[str]:
        return sorted({path.split("/")[1] for path in self.files if path.count("/") > 1})

    @property
    def latest(self) -> Dict[str, Any]:
        return json.loads(self.repo.read("checkpoints/latest.json", self.branch))

    @property
    def titles(self) -> List[str]:
        return [commit.title for commit in self.repo.history(self.branch)][::-1]

    def read(self, path: str) -> bytes:
        return self.repo.read(f"checkpoints/{path}", self.branch)


@pytest.fixture
def remote(repo) -> Remote:
    return Remote(repo)


@pytest.fixture
def queue(run_path) -> Callable[[], Dict[str, Any]]:
    """What waits, as it stands on the disk."""

    def read() -> Dict[str, Any]:
        return json.loads((run_path / ".uploads" / "queue.json").read_bytes())

    return read


def pending(document: Dict[str, Any]) -> List[str]:
    return [item["name"] for item in document["pending"]]
