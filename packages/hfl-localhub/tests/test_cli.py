from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
from click.testing import CliRunner

from hfl_localhub import LocalHub
from hfl_localhub.cli import hub

COMMAND = [sys.executable, "-c", "from hfl_localhub.cli import main; main()"]


@pytest.fixture
def hfl_hub(tmp_path):
    def run(*arguments, code=0, **environment):
        done = subprocess.run(
            [*COMMAND, *arguments],
            env={**os.environ, "HOME": str(tmp_path), **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def serving(tmp_path):
    """Start `serve` and return its process; what it prints is read at the end."""
    started = []

    def start(root, *options):
        process = subprocess.Popen(
            [*COMMAND, "serve", "--root", str(root), "--port", "0", *options],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        while not (root / "running.json").exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.005)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_runs_until_it_is_told_to_stop(tmp_path, serving, hfl_hub, number):
    root = tmp_path / "hub dir"
    process = serving(root, "--user", "ann", "--org", "lab")
    exports = hfl_hub("env", "--root", str(root)).stdout
    shell = (
        f'{exports}\nprintf "%s\\n" "$HF_ENDPOINT" "$HF_TOKEN_PATH" "$HF_HOME" "${{HF_TOKEN-none}}"'
    )
    output = subprocess.run(
        ["sh", "-euc", shell],
        env={"HF_TOKEN": "hf_public", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert output[1:] == [str(root / "client" / "token"), str(root / "client"), "none"]
    token = (root / "client" / "token").read_text()
    assert token not in exports
    assert (root / "client" / "token").stat().st_mode & 0o077 == 0
    request = urllib.request.Request(
        f"{output[0]}/api/whoami-v2", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request) as response:
        found = json.load(response)
    assert (found["name"], [org["name"] for org in found["orgs"]]) == ("ann", ["lab"])
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out == ""
    assert "hfl hub env" in err
    assert "Stopped" in err
    assert not (root / "running.json").exists()


def test_the_token_stays_the_same_from_run_to_run(tmp_path, serving):
    tokens = []
    for _ in range(2):
        process = serving(tmp_path / "hub")
        tokens.append((tmp_path / "hub" / "client" / "token").read_text())
        process.terminate()
        process.communicate(timeout=30)
    assert tokens[0] == tokens[1]


def test_env_without_a_hub_says_how_to_start_one(tmp_path, hfl_hub):
    done = hfl_hub("env", "--root", str(tmp_path / "none"), code=4)
    assert done.stdout == ""
    assert "hfl hub serve" in done.stderr
    # A Hub that was killed left its marker.
    (tmp_path / "running.json").write_text('{"endpoint": "http://127.0.0.1:1"}')
    assert "No local Hub is serving" in hfl_hub("env", "--root", str(tmp_path), code=4).stderr


def test_the_folder_comes_from_the_environment_or_the_users_data(tmp_path, hfl_hub):
    done = hfl_hub("env", code=4, HFL_HUB_ROOT=str(tmp_path / "chosen"))
    assert "chosen" in done.stderr
    done = hfl_hub("env", code=4, XDG_DATA_HOME=str(tmp_path / "data"))
    assert "data/huggingface-lifecycle/hub" in done.stderr


def test_an_address_that_others_can_reach_needs_to_be_allowed(tmp_path, hfl_hub, serving):
    done = hfl_hub("serve", "--root", str(tmp_path / "hub"), "--host", "0.0.0.0", code=2)
    assert "--allow-remote" in done.stderr
    assert not (tmp_path / "hub").exists()
    process = serving(tmp_path / "hub", "--host", "0.0.0.0", "--allow-remote")
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert "plain HTTP" in err


def test_reset_deletes_the_hub_and_nothing_else(tmp_path, hfl_hub, api_for):
    root = tmp_path / "hub"
    with LocalHub(root) as hub:
        api = api_for(hub, hub.create_user("ann"))
        api.commit_large(api.new_repo(), {"w.bin": b"weights" * 1000})
        busy = hfl_hub("reset", "--root", str(root), "--yes", code=6)
        assert "is using" in busy.stderr
    (root / "mine.txt").write_text("keep me")
    dry = hfl_hub("reset", "--root", str(root), "--dry-run")
    assert "1 repository and" in dry.stderr
    assert (root / "hub.json").exists()
    assert hfl_hub("reset", "--root", str(root), code=1).stderr  # nobody answers the question
    hfl_hub("reset", "--root", str(root), "--yes")
    assert [path.name for path in root.iterdir()] == ["mine.txt"]
    assert "holds no local Hub" in hfl_hub("reset", "--root", str(root), "--yes", code=4).stderr
    with LocalHub(root) as hub:
        hub.create_user("ann")
    (root / "mine.txt").unlink()
    hfl_hub("reset", "--root", str(root), "--yes")
    assert not root.exists()


def test_help_needs_no_heavy_import(hfl_hub):
    code = (
        "import sys; from hfl_localhub.cli import hub;"
        "hub(['--help'], standalone_mode=False);"
        "sys.exit(bool({'dulwich', 'starlette', 'uvicorn', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert {"serve", "env", "reset"} <= set(done.stdout.split())


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="frozen on one Python version")
@pytest.mark.parametrize("command", ["", "serve", "env", "reset"])
def test_the_help_is_frozen(command, snapshot, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = CliRunner().invoke(
        hub, [*command.split(), "--help"], prog_name="hfl hub", terminal_width=80
    )
    assert result.output == snapshot
