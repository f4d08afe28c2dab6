"""What the guide to the local Hub says, as a newcomer types it: serve, `eval "$(hfl hub env)"`, be somebody."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Iterator

import pytest

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Nobody's environment: an empty home, and settings that point elsewhere."""
    home = tmp_path / "home"
    home.mkdir()
    return {
        "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
        "HOME": str(home),
        "HFL_ENDPOINT": "http://127.0.0.1:9",  # nothing listens there
        "HFL_PROFILE": "work",
        "HFL_OFFLINE": "1",
        "HF_TOKEN": "hf_ofthepublichubwhichmustnotbeused",
        "PYTHONIOENCODING": "utf-8",
    }


@contextlib.contextmanager
def serving(environ: dict[str, str], *options: str) -> Iterator[None]:
    hub = subprocess.Popen(
        ["hfl", "hub", "serve", "--port", "0", *options],
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert hub.stderr is not None
        said = ""
        while "Ctrl-C" not in said:
            line = hub.stderr.readline()
            assert line, said
            said += line
        yield
    finally:
        hub.terminate()
        hub.communicate(timeout=60)


def shell(environ: dict[str, str], commands: str) -> str:
    done = subprocess.run(
        ["sh", "-euc", 'eval "$(hfl hub env)"\n' + commands],
        env=environ,
        cwd=environ["HOME"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_shell_that_uses_the_local_hub_is_signed_in_everywhere(environ) -> None:
    with serving(environ, "--user", "ann", "--org", "lab"):
        who = json.loads(shell(environ, "hfl auth whoami --format json"))
        assert (who["name"], who["profile"], sorted(who["orgs"])) == ("ann", "ann", ["lab"])
        assert "ann" in shell(environ, "hf auth whoami")
        assert "lab/digits" in shell(environ, "hfl repo create lab/digits")


def test_several_users_are_profiles_of_both_clients(environ) -> None:
    with serving(environ, "--user", "ann", "--user", "bob"):
        listed = json.loads(shell(environ, "hfl auth list --format json"))
        assert [(each["name"], each["is_active"]) for each in listed] == [
            ("ann", True),
            ("bob", False),
        ]
        both = "hfl auth switch bob; hfl auth whoami --format json; hf auth whoami"
        assert shell(environ, both).count("bob") >= 2
        assert "bob" in json.loads(shell(environ, "hfl auth whoami --format json"))["name"]


def test_profiles_outlive_the_hub_and_follow_it_to_another_port(environ) -> None:
    with serving(environ, "--user", "ann", "--user", "bob"):
        first = json.loads(shell(environ, "hfl auth list --format json"))
    with serving(environ, "--user", "ann", "--user", "bob"):
        second = json.loads(shell(environ, "hfl auth list --format json"))
        valid = json.loads(shell(environ, "hfl auth validate --all --format json"))
    assert [each["token"] for each in first] == [each["token"] for each in second]
    assert [each["account"] for each in valid] == ["ann", "bob"]


def test_the_guide_s_first_steps_work_as_they_are_written(environ) -> None:
    guide = (ROOT / "packages" / "hfl-localhub" / "README.md").read_text(encoding="utf-8")
    steps = guide.split("In another shell:", 1)[1].split("```")[1]
    assert 'eval "$(hfl hub env)"' in steps
    if metadata.version("huggingface_hub").startswith("0."):
        steps = steps.replace("hf repos create", "hf repo create")
    with serving(environ):
        said = shell(environ, steps)
        assert "local" in said
        assert json.loads((Path(environ["HOME"]) / "digits" / "config.json").read_text())
        more = "hfl repo create local/more; hfl repo upload local/more config.json"
        assert "Commit" in shell(environ, more)


def test_another_node_signs_in_with_the_token_of_the_hub_s_folder(environ, tmp_path) -> None:
    with serving(environ, "--root", str(tmp_path / "hub"), "--user", "ann"):
        endpoint = json.loads((tmp_path / "hub" / "running.json").read_text())["endpoint"]
        node = {
            name: value
            for name, value in environ.items()
            if not name.startswith(("HFL_", "HF_TOKEN"))
        }
        node.update(HF_ENDPOINT=endpoint, HF_HOME=str(tmp_path / "node"))
        token = tmp_path / "hub" / "client" / "token"
        commands = f"hfl auth login --token-stdin < '{token}'; hfl auth whoami; hf auth whoami"
        done = subprocess.run(
            ["sh", "-euc", commands], env=node, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("ann") >= 2
