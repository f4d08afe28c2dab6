from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Mapping

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
                    "TOKENIZERS_PARALLELISM": "false",
                    "PYTHONWARNINGS": "ignore",
                    **environment,
                },
            )

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def runner(self, folder: Path) -> Run:
        """What trains below a folder: ``run("text", directory="run", args={...}, resume=True)``."""

        def train(
            kind: str = "text", *, expect: Any = 0, fails: bool = False, **wanted: Any
        ) -> Any:
            self._log.open("w").close()
            wanted.setdefault("output", "out")
            for name in ("directory", "output"):
                if wanted.get(name) is not None:
                    wanted[name] = str(folder / wanted[name])
            self._process.stdin.write(json.dumps({"kind": kind, **wanted}) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
            if "ranks" in answer:
                tail = self._log.read_text()[-4000:]
                ends = [item["signal"] or item["code"] for item in answer["ranks"]]
                assert ends == ([expect] * len(ends) if isinstance(expect, int) else expect), tail
                reports = [item["report"] for item in answer["ranks"]]
                assert fails or not any(item and item["error"] for item in reports), reports
                return reports
            report, tail = answer["report"], self._log.read_text()[-2000:]
            assert (answer["signal"] or answer["code"]) == expect, (report, tail)
            assert fails or report is None or report["error"] is None, (report, tail)
            return report

        return train


@pytest.fixture(scope="session")
def hub(tmp_path_factory) -> Iterator[LocalHub]:
    with LocalHub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="session")
def token(hub) -> str:
    return hub.create_user("ann")


@pytest.fixture(scope="session")
def zygote(tmp_path_factory, hub, token) -> Iterator[Zygote]:
    # One for all tests: it takes longer to import everything than to run a test.
    home = tmp_path_factory.mktemp("home")
    with contextlib.closing(Zygote(home, hub.settings(token))) as process:
        yield process


@pytest.fixture
def run(zygote, tmp_path) -> Run:
    return zygote.runner(tmp_path)
