from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest

Install = Callable[..., None]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder on the path of the processes that tests start."""
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


@pytest.fixture
def install(site: Path) -> Install:
    """Install a distribution that brings commands: a module and the metadata that pip would write."""

    def install(distribution: str, module: str, source: str | None, **commands: str) -> None:
        if source is not None:
            (site / f"{module}.py").write_text(source, encoding="utf-8")
        info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        entries = "".join(f"{name} = {target}\n" for name, target in commands.items())
        (info / "entry_points.txt").write_text(f"[hfl.commands]\n{entries}")

    return install


@pytest.fixture
def env(site: Path, tmp_path: Path) -> dict[str, str]:
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("HFL_", "XDG_", "NO_COLOR", "FORCE_", "_HFL"))
    }
    return {
        **kept,
        "PYTHONPATH": str(site),
        "HOME": str(tmp_path),
        "TERM": "xterm",
        "COLUMNS": "100",
    }


@pytest.fixture
def hfl(env: dict[str, str], tmp_path: Path) -> Run:
    """Run `hfl` in a process of its own."""

    def run(*args: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hfl_cli", *args],
            capture_output=True,
            encoding="utf-8",
            env={**env, **extra},
            cwd=tmp_path,
            timeout=60,
            check=False,
        )

    return run
