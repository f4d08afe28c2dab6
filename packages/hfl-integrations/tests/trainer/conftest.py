from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import pytest

Run = Callable[..., Dict[str, Any]]


@pytest.fixture(scope="session")
def zygote(tmp_path_factory) -> Iterator[subprocess.Popen]:
    home = tmp_path_factory.mktemp("home")
    private = {"HFL_KEEP", "HFL_PROFILE", "HFL_ENDPOINT", "HF_TOKEN"}
    environment = {name: value for name, value in os.environ.items() if name not in private}
    environment.update(
        HOME=str(home),
        HF_HOME=str(home / "hf"),
        HF_HUB_DISABLE_XET="1",
        HF_HUB_DISABLE_PROGRESS_BARS="1",
        CUDA_VISIBLE_DEVICES="",
        TOKENIZERS_PARALLELISM="false",
        PYTHONWARNINGS="ignore",
    )
    with (home / "log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("zygote.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=str(home),
            env=environment,
        )
        process.log = home / "log"
        yield process
        process.stdin.close()
        process.wait()
        process.stdout.close()


@pytest.fixture
def run(zygote, tmp_path) -> Run:
    """Train in a process of its own: ``run("text", directory="run", args={...}, resume=True)``."""

    def train(
        kind: str = "text", *, expect: int = 0, fails: bool = False, **wanted: Any
    ) -> Dict[str, Any]:
        zygote.log.open("w").close()
        wanted.setdefault("output", "out")
        for name in ("directory", "output"):
            if wanted.get(name) is not None:
                wanted[name] = str(tmp_path / wanted[name])
        zygote.stdin.write(json.dumps({"kind": kind, **wanted}) + "\n")
        zygote.stdin.flush()
        answer = json.loads(zygote.stdout.readline())
        report = answer["report"]
        assert (answer["signal"] or answer["code"]) == expect, (report, _tail(zygote.log))
        assert fails or report is None or report["error"] is None, (report, _tail(zygote.log))
        return report

    return train


def _tail(log: Path) -> str:
    return log.read_text()[-2000:]
