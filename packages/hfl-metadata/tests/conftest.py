from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Callable

import pytest

Git = Callable[..., str]


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Run git with nobody's configuration, in any directory."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    nowhere = tmp_path / "no-config"
    nowhere.touch()
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(nowhere))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", str(nowhere))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.com")

    def run(directory: Path, *arguments: str) -> str:
        answer = subprocess.run(
            ["git", *arguments], cwd=str(directory), check=True, stdout=subprocess.PIPE
        )
        return answer.stdout.decode().strip()

    return run


@pytest.fixture
def repository(tmp_path: Path, git: Git) -> Path:
    """Create a repository with one commit on the branch ``trunk``."""
    directory = tmp_path / "code"
    directory.mkdir()
    git(directory, "init", "--quiet")
    git(directory, "checkout", "--quiet", "-b", "trunk")
    (directory / "train.py").write_text("print('training')\n")
    git(directory, "add", "train.py")
    git(directory, "commit", "--quiet", "-m", "first")
    return directory
