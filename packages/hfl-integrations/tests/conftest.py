from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

_ENVIRONMENT = {
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",
    "PYTHONWARNINGS": "ignore",
    "TOKENIZERS_PARALLELISM": "false",
}
_PRIVATE = {"HFL_KEEP", "HFL_PROFILE", "HFL_ENDPOINT", "HF_TOKEN"}


class Zygotes:
    """A connection to the server that trains on demand; see ``zygotes.py``.

    Args:
        shared: A folder that all workers of this run of pytest know.
    """

    def __init__(self, shared: Path) -> None:
        self._shared = shared
        self._paths: Dict[str, str] = {}
        self.token: Any = None  # for the Hub that its runs talk to, once one was asked for
        with self.locked("server"):
            self._connection = self._connect() or self._start()
        self._answers = self._connection.makefile("r")

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        with (self._shared / f"{name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @property
    def _place(self) -> Path:
        return self._shared / "server.json"

    def _connect(self) -> Any:
        try:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(json.loads(self._place.read_text())["path"])
        except OSError:
            connection.close()
            return None
        return connection

    def _start(self) -> Any:
        folder = tempfile.mkdtemp(prefix="hfl")  # a socket's path has to be short
        (Path(folder) / "home").mkdir()
        kept = {name: value for name, value in os.environ.items() if name not in _PRIVATE}
        with (self._shared / "server.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("zygotes.py")), folder],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=f"{folder}/home",
                env={**kept, **_ENVIRONMENT, "HOME": f"{folder}/home"},
                start_new_session=True,
            )
        self._place.write_text(json.dumps({"path": f"{folder}/server"}))
        while process.poll() is None:
            found = self._connect()
            if found is not None:
                process.returncode = 0  # it outlives this worker where another one needs it
                return found
            time.sleep(0.05)
        raise AssertionError((self._shared / "server.log").read_text())

    def close(self) -> None:
        self._answers.close()
        self._connection.close()

    def ask(self, suite: str, wanted: Dict[str, Any]) -> List[Dict[str, Any]]:
        """Train, and return how each process ended and what it reported."""
        if suite not in self._paths:
            self._connection.sendall(f"{suite}\n".encode())
            self._paths[suite], self.token = json.loads(self._answers.readline())
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
            connection.connect(self._paths[suite])
            connection.sendall(json.dumps(wanted).encode() + b"\n")
            with connection.makefile("r") as answer:
                line = answer.readline()
        assert line, (self._shared / "server.log").read_text()[-3000:]
        return json.loads(line)

    def once(self, suite: str, wanted: Dict[str, Any], make: Callable[[], Any]) -> Any:
        """What came of a run that several tests compare with, whichever worker they are in."""
        key = hashlib.sha256(json.dumps([suite, wanted], sort_keys=True).encode()).hexdigest()
        path = self._shared / f"{key}.json"
        with self.locked(key):
            if not path.exists():
                path.write_text(json.dumps(make()))
            return json.loads(path.read_text())

    def runner(self, suite: str, folder: Path) -> Callable[..., Any]:
        """What trains below a folder: ``run(directory="run", kill_at=7)``.

        It takes what a scenario knows, and ``expect``, how the process (or each of them) has to end, and
        ``fails``, whether an error may be reported. It returns the report, or those of all ranks.
        """

        def each(**wanted: Any) -> List[Dict[str, Any]]:
            return self.ask(suite, {"folder": str(folder), "log": str(folder / "log"), **wanted})

        def train(*, expect: Any = 0, fails: bool = False, **wanted: Any) -> Any:
            (folder / "log").write_text("")
            answers = each(**wanted)
            tail = (folder / "log").read_text()[-3000:]
            expected = expect if isinstance(expect, list) else [expect] * len(answers)
            assert [answer["ended"] for answer in answers] == expected, (answers, tail)
            reports = [answer["report"] for answer in answers]
            assert fails or not any(report and report["error"] for report in reports), (
                [report and report["error"] for report in reports],
                tail,
            )
            return reports if "ranks" in wanted else reports[0]

        train.each = each
        return train


@pytest.fixture(scope="session")
def zygotes(tmp_path_factory) -> Iterator[Zygotes]:
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own
    with contextlib.closing(Zygotes(shared)) as found:
        yield found


@pytest.fixture
def run(request, zygotes, tmp_path) -> Callable[..., Any]:
    """Train with the framework of the folder that the test is in."""
    return zygotes.runner(Path(str(request.node.path)).parent.name, tmp_path)
