from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Mapping

import pytest

Run = Callable[..., Any]


class Zygote:
    """A process that trains on demand, in children for each run."""

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
                    "OMP_NUM_THREADS": "1",
                    "PYTHONWARNINGS": "ignore",
                    **environment,
                },
            )

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def runner(self, folder: Path) -> Run:
        """What trains below a folder: ``run(directory="run", kill_at=7)``."""

        def train(*, expect: int = 0, fails: bool = False, **wanted: Any) -> Any:
            self._log.open("w").close()
            for name in ("directory", "load", "stock", "save_stock", "export"):
                if isinstance(wanted.get(name), str) and not wanted[name].startswith("latest"):
                    wanted[name] = str(folder / wanted[name])
            self._process.stdin.write(json.dumps(wanted) + "\n")
            self._process.stdin.flush()
            answers = json.loads(self._process.stdout.readline())
            tail = self._log.read_text()[-3000:]
            for answer in answers:
                report = answer["report"]
                assert answer["ended"] == expect, (answer, tail)
                assert fails or report is None or report["error"] is None, (report["error"], tail)
            reports = [answer["report"] for answer in answers]
            return reports if wanted.get("world", 1) > 1 else reports[0]

        return train


@pytest.fixture(scope="session")
def zygote(tmp_path_factory) -> Iterator[Zygote]:
    with contextlib.closing(Zygote(tmp_path_factory.mktemp("home"), {})) as process:
        yield process


@pytest.fixture(scope="session")
def new_zygote(tmp_path_factory) -> Callable[[Mapping[str, str]], Zygote]:
    """Another one, whose environment is set before it imports anything."""
    return lambda environment: Zygote(tmp_path_factory.mktemp("home"), environment)


@pytest.fixture
def run(zygote, tmp_path) -> Run:
    return zygote.runner(tmp_path)


@pytest.fixture
def uninterrupted(zygote, tmp_path_factory) -> Run:
    """An uninterrupted run, made once for all tests that compare with it."""

    def train(**wanted: Any) -> Any:
        key = json.dumps(wanted, sort_keys=True)
        if key not in _WHOLE:
            folder = tmp_path_factory.mktemp("whole")
            _WHOLE[key] = zygote.runner(folder)(directory="run", **wanted)
        return _WHOLE[key]

    return train


_WHOLE: Dict[str, Any] = {}


def continues(first: Dict[str, Any], whole: Dict[str, Any]) -> None:
    """Check that a run ends as the whole one did, with the batches that the whole one had at its end."""
    count = len(first["seen"])
    assert first["seen"] == whole["seen"][len(whole["seen"]) - count :]
    for name in ("model", "optimizer", "scheduler", "rng", "total", "step", "epoch"):
        assert first[name] == whole[name], name


@pytest.fixture(name="continues")
def _continues() -> Any:
    return continues
