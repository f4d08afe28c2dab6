from __future__ import annotations

import functools
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import psutil
import pytest
import torch

from hfl_checkpoint import CheckpointManager
from hfl_core import Files

BACKBONE = 0.75
Observer = Callable[[str, Path], None]


class Live:
    """A model, its optimizer and counters, each of whose numbers tells at which step they stand."""

    def __init__(self, step: int = 0, *, is_frozen: bool = False) -> None:
        self.model: torch.nn.Module = torch.nn.Linear(3, 2)
        if is_frozen:
            # Most of it stays as it is: two files' worth for a checkpoint, with the size limit of one.
            backbone = torch.nn.Linear(40, 40).requires_grad_(False)
            for parameter in backbone.parameters():
                parameter.fill_(BACKBONE)
            self.model = torch.nn.Sequential(backbone, self.model)
        self.trained = [item for item in self.model.parameters() if item.requires_grad]
        self.optimizer = torch.optim.SGD(self.trained, lr=0.1, momentum=0.9)
        self.counters: Dict[str, Any] = {}
        self.move_to(step)

    def move_to(self, step: int) -> Live:
        with torch.no_grad():
            for parameter in self.trained:
                parameter.fill_(float(step))
                self.optimizer.state[parameter]["momentum_buffer"] = torch.full_like(
                    parameter, step + 0.5
                )
        self.optimizer.param_groups[0]["lr"] = 0.1 + step
        self.counters.clear()
        self.counters.update(step=step, seen=[step, step * 2])
        return self

    @property
    def components(self) -> Dict[str, Any]:
        return {"model": self.model, "optimizer": self.optimizer, "counters": self.counters}

    @property
    def stands_at(self) -> int:
        """The step, when everything stands at the same one; a mixture of two steps fails."""
        found = {
            self.counters["step"],
            *(n // (i + 1) for i, n in enumerate(self.counters["seen"])),
        }
        found.add(round(self.optimizer.param_groups[0]["lr"] - 0.1))
        for parameter in self.model.parameters():
            if not parameter.requires_grad:
                assert set(parameter.flatten().tolist()) == {BACKBONE}
                continue
            found.update(parameter.flatten().tolist())
            buffer = self.optimizer.state[parameter]["momentum_buffer"]
            found.update(value - 0.5 for value in buffer.flatten().tolist())
        assert len(found) == 1, f"a mixture of steps: {sorted(found)}"
        return int(found.pop())


def _stop_measuring() -> None:
    """End coverage in a fork: nobody would save what it finds, and an interrupt leaves its lock locked."""
    coverage = sys.modules.get("coverage")
    measuring = coverage.Coverage.current() if coverage is not None else None
    if measuring is not None:
        measuring.stop()


class Children:
    """Forks of the test's process: real processes, without the seconds that importing torch takes."""

    def __init__(self) -> None:
        self._running: List[int] = []

    def start(self, function: Callable[[], Any]) -> int:
        """Run a function in a child and return its pid."""
        pid, pipe = self._fork(function)
        os.close(pipe)
        return pid

    def call(self, function: Callable[[], Any]) -> Any:
        """Run a function in a child, and return its value; None when the child was killed."""
        pid, pipe = self._fork(function)
        with os.fdopen(pipe, "rb") as stream:
            answer = stream.read()
        status = self.wait(pid)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            return None
        worked, value = pickle.loads(answer)
        assert worked, f"in a child:\n{value}"
        return value

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self.wait(pid)

    def wait(self, pid: int) -> int:
        _, status = os.waitpid(pid, 0)
        self._running.remove(pid)
        return status

    def has_ended(self, pid: int) -> bool:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

    def end_all(self) -> None:
        for pid in list(self._running):
            self.kill(pid)

    def _fork(self, function: Callable[[], Any]) -> tuple[int, int]:
        receive, send = os.pipe()
        with warnings.catch_warnings():
            # Newer Pythons warn of forks of processes with threads; torch's own have nothing to do here.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            try:
                _stop_measuring()
                torch.set_num_threads(1)
                # The record of what is installed reads every distribution on the path, which takes
                # longer than all the rest of a save; what the child needs is imported already.
                sys.path[:] = [path for path in sys.path if not path.endswith("site-packages")]
                answer = (True, function())
            except BaseException:  # the parent shows it
                answer = (False, traceback.format_exc())
            os.write(send, pickle.dumps(answer))
            os._exit(0)
        os.close(send)
        self._running.append(pid)
        return pid, receive


def gpt2() -> Any:
    """The smallest language model of transformers that there is."""
    import transformers

    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=8,
            n_positions=8,
            n_embd=4,
            n_layer=1,
            n_head=1,
            bos_token_id=0,
            eos_token_id=0,
        )
    )


@pytest.fixture
def live(request: Any) -> Callable[..., Live]:
    """Make training states; ``"frozen"`` as an indirect parameter gives them a frozen part."""
    return functools.partial(Live, is_frozen=getattr(request, "param", None) == "frozen")


@pytest.fixture
def children() -> Iterator[Children]:
    # torch imports half of itself with the first optimizer: here, not again in every fork.
    torch.optim.SGD([torch.zeros(1)])
    found = Children()
    yield found
    found.end_all()


@pytest.fixture
def memory_path(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one: hundreds of saves wait for no device there."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared) as name:
        yield Path(name)


@pytest.fixture
def run_path(memory_path: Path) -> Path:
    return memory_path / "run"


@pytest.fixture
def open_manager(run_path: Path) -> Iterator[Callable[..., CheckpointManager]]:
    """Open managers of the test's run that write on the caller's thread, unless told otherwise."""
    opened: List[CheckpointManager] = []

    def open_one(
        directory: Optional[Path] = None, *, observer: Optional[Observer] = None, **options: Any
    ) -> CheckpointManager:
        manager = CheckpointManager(directory or run_path, **{"background": False, **options})
        manager._run.files = Files(observer)
        opened.append(manager)
        return manager

    yield open_one
    for manager in opened:
        manager.close()


@pytest.fixture
def tree() -> Callable[[Path], Dict[str, Any]]:
    """Take a picture of a directory: every path in it with its permissions and content."""

    def picture(directory: Path) -> Dict[str, Any]:
        found: Dict[str, Any] = {}
        for path in sorted(directory.rglob("*")) if directory.exists() else ():
            status = path.lstat()
            content = path.read_bytes() if path.is_file() else None
            found[path.relative_to(directory).as_posix()] = (status.st_mode, content)
        return found

    return picture


def mount(directory: Path, options: str) -> None:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)]
    answer = subprocess.run(command, stderr=subprocess.PIPE, check=False)
    if answer.returncode:
        pytest.skip(f"mounting is not allowed here: {answer.stderr.decode().strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount a file system of a few MiB."""
    mounted: List[Path] = []

    def mount_one(mebibytes: int) -> Path:
        if os.geteuid() != 0:
            pytest.skip("only root may mount")
        directory = tmp_path / "disk"
        directory.mkdir()
        mount(directory, f"size={mebibytes}m")
        mounted.append(directory)
        return directory

    yield mount_one
    for directory in mounted:
        # Lazily: a tensor that is mapped from there may not have been collected yet.
        subprocess.run(["umount", "-l", str(directory)], check=True)
