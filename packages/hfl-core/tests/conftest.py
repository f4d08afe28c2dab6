from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

from hfl_core import log_fields, set_log_context

# A busy machine is slow, and that is no failure.
settings.register_profile("hfl", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hfl")

DEMO = Path(__file__).with_name("demo_command.py")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def log_without_fields() -> Iterator[None]:
    """A log of its own: another package's tests, run before in this process, may have set fields."""
    set_log_context(**dict.fromkeys(log_fields()))
    yield
    set_log_context(**dict.fromkeys(log_fields()))


@pytest.fixture
def demo_path() -> Path:
    return DEMO


@pytest.fixture
def clean_env(tmp_path: Path) -> dict[str, str]:
    """An environment in which no setting of the person who runs the tests holds."""
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("HFL_", "XDG_", "NO_COLOR", "FORCE_"))
    }
    return {**kept, "HOME": str(tmp_path), "TERM": "xterm", "COLUMNS": "100", "PYTHONUTF8": "1"}


@pytest.fixture
def run_demo(clean_env: dict[str, str], tmp_path: Path) -> Run:
    def run(*args: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(DEMO), *args],
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            env={**clean_env, **env},
            cwd=tmp_path,
            timeout=60,
            check=False,
        )

    return run
