from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hfl_auth import AuthManager
from hfl_localhub import LocalHub

FOREIGN = ("HF_", "HFL_", "HUGGING", "XDG_", "ACTIONS_", "GITHUB_ACTIONS", "PYTHON_KEYRING")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, a working directory and an environment in which nothing of this machine holds."""
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    (home / "project").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("HF_HUB_DISABLE_UPDATE_CHECK", "1")
    monkeypatch.chdir(home / "project")
    return home


@pytest.fixture
def store(home: Path) -> Path:
    """Where the token files are."""
    return home / "cache" / "huggingface"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory):
    with LocalHub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def other_hub(tmp_path_factory: pytest.TempPathFactory):
    with LocalHub(tmp_path_factory.mktemp("other")) as running:
        yield running


@pytest.fixture(scope="module")
def ann(hub: LocalHub) -> str:
    return hub.create_user("ann", orgs={"lab": "write", "guests": "read"})


@pytest.fixture(scope="module")
def bob(hub: LocalHub) -> str:
    return hub.create_user("bob", role="read")


@pytest.fixture
def two_profiles(hub: LocalHub, ann: str, bob: str) -> AuthManager:
    """A manager for the Hub, with the profiles `ann` (in use) and `bob`."""
    auth = AuthManager(endpoint=hub.endpoint)
    auth.login(bob, profile="bob")
    auth.login(ann, profile="ann")
    return auth


@pytest.fixture
def run_python(tmp_path: Path):
    """Run code in a process of its own; return what it prints."""

    def run(code: str, *arguments: str, **env: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env={**os.environ, **env},
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run `hfl-auth` with its arguments, standard input and environment.

    Returns the exit code, stdout and stderr, log records included.
    """

    def run(*arguments: str, stdin: str = "", **env: str) -> tuple[int, str, str]:
        from hfl_auth.cli import main

        capsys.readouterr()
        with monkeypatch.context() as patch:
            for name, value in env.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["hfl-auth", *arguments])
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            with pytest.raises(SystemExit) as ended:
                main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    yield run
    root = logging.getLogger("hfl")
    for handler in [each for each in root.handlers if getattr(each, "is_hfl", False)]:
        root.removeHandler(handler)
    root.setLevel(logging.NOTSET)
