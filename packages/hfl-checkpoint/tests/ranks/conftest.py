from __future__ import annotations

import contextlib
import datetime
import os
import pickle
import random
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest
import torch
import torch.distributed as dist

from hfl_checkpoint import CheckpointManager
from hfl_core import Files, HflError


class Stream:
    """What every rank has of its own: the stream that it draws from, and how often it drew."""

    per_rank = True

    def __init__(self, rank: int) -> None:
        self.random = random.Random(rank)
        self.drawn = 0

    def draw(self) -> float:
        self.drawn += 1
        return self.random.uniform(-1.0, 1.0)

    def state_dict(self) -> Dict[str, Any]:
        return {"stream": self.random.getstate(), "drawn": self.drawn}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        self.random.setstate(state["stream"])
        self.drawn = state["drawn"]


class Training:
    """A model whose every step depends on what all ranks drew in all steps before."""

    def __init__(self, rank: int) -> None:
        torch.manual_seed(3)
        self.model = torch.nn.Sequential(
            torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)
        )
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.1)
        self.stream = Stream(rank)
        self.counters: Dict[str, Any] = {"step": 0}

    @property
    def step(self) -> int:
        return int(self.counters["step"])

    epoch = None

    def components(self) -> Dict[str, Any]:
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "stream": self.stream,
            "counters": self.counters,
        }

    def advance(self) -> float:
        self.optimizer.zero_grad()
        loss = self.model(torch.tensor([self.stream.draw(), self.stream.draw()])).square().sum()
        loss.backward()
        for parameter in self.model.parameters():
            if dist.is_initialized():
                dist.all_reduce(parameter.grad)
        self.optimizer.step()
        self.counters["step"] += 1
        return float(loss.detach())

    @property
    def bits(self) -> List[Any]:
        return [
            [value.tolist() for value in self.model.state_dict().values()],
            [
                {name: value.tolist() for name, value in state.items()}
                for state in self.optimizer.state.values()
            ],
            self.stream.random.getstate(),
            dict(self.counters),
        ]


class Ranks:
    """Runs a function on several ranks: forks of this process that meet in a group on gloo."""

    def __init__(self, children: Any, folder: Path) -> None:
        self._children = children
        self._folder = folder
        self._meetings = 0
        self._path = list(sys.path)

    def run(
        self, function: Callable[[int], Any], count: int = 2, *, seconds: float = 60.0
    ) -> List[Any]:
        """Run on every rank; return what each returns, or None for one that was killed."""
        self._meetings += 1
        meeting = self._folder / f"meeting-{self._meetings}"

        def begin(rank: int) -> Callable[[], Any]:
            def there() -> Any:
                # A fork forgets the packages; here torch looks for its backends among them.
                short, sys.path[:] = list(sys.path), self._path
                dist.init_process_group(
                    "gloo",
                    init_method=f"file://{meeting}",
                    rank=rank,
                    world_size=count,
                    timeout=datetime.timedelta(seconds=seconds),
                )
                sys.path[:] = short
                return function(rank)

            return there

        started = [self._children._fork(begin(rank)) for rank in range(count)]
        answers = []
        for _, pipe in started:
            with os.fdopen(pipe, "rb") as stream:
                answers.append(stream.read())
        found = []
        for (pid, _), answer in zip(started, answers):
            status = self._children.wait(pid)
            if os.WIFSIGNALED(status):
                found.append(None)
                continue
            worked, value = pickle.loads(answer)
            assert worked, f"on a rank:\n{value}"
            found.append(value)
        return found


@pytest.fixture
def ranks(children: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ranks:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    torch.optim.Adam([torch.zeros(1)])
    return Ranks(children, tmp_path)


@pytest.fixture
def training() -> Callable[[int], Training]:
    return Training


@pytest.fixture
def outcome() -> Callable[..., Any]:
    """Call something, and say how it ended: its value, or the error's type, text and attributes."""

    def call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        try:
            value = function(*arguments, **options)
        except HflError as error:
            return {"error": type(error).__name__, "text": str(error), **vars(error)}
        return getattr(value, "name", value)

    return call


@pytest.fixture
def opened(run_path: Path) -> Callable[..., contextlib.AbstractContextManager[CheckpointManager]]:
    """Open a manager of the run; an observer sees, or stops, what it does to the disk."""

    @contextlib.contextmanager
    def open_one(
        directory: Optional[Path] = None,
        observer: Optional[Callable[[str, Path], None]] = None,
        **options: Any,
    ) -> Iterator[CheckpointManager]:
        manager = CheckpointManager(directory or run_path, **options)
        manager._run.files = Files(observer)
        try:
            yield manager
        finally:
            with contextlib.suppress(HflError):
                manager.close()

    return open_one


@pytest.fixture
def visible(run_path: Path) -> Callable[[], List[str]]:
    """Name the checkpoints of the run, and whatever is left over."""

    def look() -> List[str]:
        if not run_path.exists():
            return []
        names = [path.name for path in run_path.iterdir() if not path.name.startswith(".")]
        left = [path.name for path in (run_path / ".staging").glob("*")]
        return sorted([*(name for name in names if name.startswith("step")), *left])

    return look
