from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping

import pytest

from hfl_localhub import LocalHub

Run = Callable[..., Dict[str, Any]]


class Zygote:
    """A process that trains on demand, in a child for each run."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self._log = home / "log"
        private = {"HFL_KEEP", "HFL_PROFILE", "HFL_ENDPOINT", "HF_TOKEN"}
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("zygote.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=str(home),
                env={
                    **{name: value for name, value in os.environ.items() if name not in private},
                    "HOME": str(home),
                    "HF_HOME": str(home / "hf"),
                    "HF_HUB_DISABLE_XET": "1",
                    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                    "CUDA_VISIBLE_DEVICES": "",
                    "PYTHONWARNINGS": "ignore",
                    "LIGHTNING": "lightning.pytorch",
                    **environment,
                },
            )

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def runner(self, folder: Path) -> Run:
        """What trains below a folder: ``run(directory="run", callback={...}, resume="last")``."""

        def each(**wanted: Any) -> List[Dict[str, Any]]:
            self._log.open("w").close()
            wanted["folder"] = str(folder)
            self._process.stdin.write(json.dumps(wanted) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

        def train(*, expect: int = 0, fails: bool = False, **wanted: Any) -> Any:
            answers = each(**wanted)
            tail = self._log.read_text()[-3000:]
            for answer in answers:
                report = answer["report"]
                assert (answer["signal"] or answer["code"]) == expect, (report, tail)
                assert fails or report is None or report["error"] is None, (report, tail)
            reports = [answer["report"] for answer in answers]
            return reports if "ranks" in wanted else reports[0]

        train.each = each
        return train


@pytest.fixture(scope="session")
def hub(tmp_path_factory) -> Iterator[LocalHub]:
    with LocalHub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="session")
def zygote(tmp_path_factory, hub) -> Iterator[Zygote]:
    # One for all tests: it takes longer to import everything than to run a test.
    home = tmp_path_factory.mktemp("home")
    with contextlib.closing(Zygote(home, hub.settings(hub.create_user("ann")))) as process:
        yield process


@pytest.fixture(scope="session")
def new_zygote(tmp_path_factory) -> Callable[[Mapping[str, str]], Zygote]:
    """Another one, whose environment is set before it imports anything."""
    return lambda environment: Zygote(tmp_path_factory.mktemp("home"), environment)


@pytest.fixture
def run(zygote, tmp_path) -> Run:
    return zygote.runner(tmp_path)
