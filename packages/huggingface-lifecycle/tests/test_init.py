"""``hfl init`` in folders of every kind, against a real Hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hf_lifecycle._initialize import initialize
from hf_lifecycle._settings_file import read_project_file
from hf_lifecycle.cli import init
from hfl_auth import AuthManager
from hfl_core import ConfigError, ConflictError, load_settings
from hfl_core.cli import Output
from hfl_core.errors import AuthError, NotFoundError

INIT = "from hfl_core.cli import main_for; from hf_lifecycle.cli import init; main_for(init)()"


@pytest.fixture
def hfl_init(folder):
    def run(*arguments: str, stdin: str = "", code: int = 0):
        done = subprocess.run(
            [sys.executable, "-c", INIT, *arguments],
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            check=False,
            cwd=folder,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def test_it_signs_in_writes_the_file_and_says_so(folder, hfl_init, local_hub):
    token = local_hub.create_user("ann")
    done = hfl_init("--profile", "work", "--token-stdin", "--format", "json", stdin=token)
    said = json.loads(done.stdout)
    assert (said["status"], said["account"], said["profile"]) == ("created", "ann", "work")
    assert said["file"] == str(folder / "hfl.toml")
    assert "the profile 'work'" in done.stderr
    assert load_settings(folder).profile == "work"
    assert AuthManager().whoami().name == "ann"
    written = (folder / "hfl.toml").read_text(encoding="utf-8")
    assert token not in written + done.stdout + done.stderr


def test_a_second_time_changes_and_asks_nothing(folder, hfl_init, local_hub):
    arguments = ("--profile", "work", "--endpoint", local_hub.endpoint, "--token-stdin")
    hfl_init(*arguments, stdin=local_hub.create_user("ann"))
    before = (folder / "hfl.toml").read_bytes()
    again = hfl_init(*arguments, "--format", "json")  # no token comes: none is needed
    assert json.loads(again.stdout)["status"] == "unchanged"
    assert json.loads(hfl_init("--format", "json").stdout)["profile"] == "work"
    assert (folder / "hfl.toml").read_bytes() == before


def test_without_a_name_the_file_binds_nobody_to_an_account(folder, local_hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", local_hub.create_user("ann"))
    said = initialize(folder, Output())
    assert (said["account"], said["profile"], said["detail"]) == ("ann", None, "HF_TOKEN")
    assert read_project_file(folder).values == {}


def test_nobody_to_ask_for_a_token_leaves_the_folder_as_it_was(folder, hfl_init):
    done = hfl_init("--profile", "work", code=3)
    assert "--token-stdin" in done.stderr
    assert not (folder / "hfl.toml").exists()


def test_a_token_that_is_no_longer_accepted_is_replaced(folder, hfl_init, local_hub):
    old = local_hub.create_user("ann")
    hfl_init("--profile", "work", "--token-stdin", stdin=old)
    local_hub.revoke_token(old)
    done = hfl_init("--token-stdin", stdin=local_hub.create_user("ann"))
    assert "does not accept" in done.stderr
    assert [(each.name, each.account) for each in AuthManager().profiles()] == [("work", "ann")]
    assert AuthManager().whoami().name == "ann"


def test_a_bad_token_of_the_environment_is_not_hidden_behind_a_profile(folder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_" + "Wrong" * 6)
    with pytest.raises(AuthError, match="does not accept"):
        initialize(folder, Output())
    assert not (folder / "hfl.toml").exists()


def test_a_profile_that_something_else_names_is_not_made(folder, monkeypatch):
    monkeypatch.setenv("HFL_PROFILE", "elsewhere")
    with pytest.raises(NotFoundError, match="elsewhere"):
        initialize(folder, Output())


def test_what_comes_before_the_file_is_named(folder, hfl_init, local_hub, monkeypatch):
    for name in ("ann", "bob"):
        AuthManager().login(local_hub.create_user(name), profile=name)
    monkeypatch.setenv("HFL_PROFILE", "bob")
    done = hfl_init("--profile", "ann")
    assert "HFL_PROFILE" in done.stderr
    assert "comes first" in done.stderr
    monkeypatch.setenv("HFL_PROFILE", "gone")
    assert "There is no profile 'gone'" in hfl_init("--profile", "ann").stderr


TEXTS = {
    "a comment stays": (
        "# ours\nprofile = 'home' # mine\ntimeout = 5\n",
        '# ours\nprofile = "work" # mine\ntimeout = 5\n',
    ),
    "a number sign in a name": ("profile = 'a#b' #\n", 'profile = "work" #\n'),
    "what is not there comes last": ("timeout = 5\n", 'timeout = 5\nprofile = "work"\n'),
    "line ends stay": ("profile='home'\r\ntimeout = 5\r\n", 'profile = "work"\r\ntimeout = 5\r\n'),
    "an empty file": ("", 'profile = "work"\n'),
}


@pytest.mark.parametrize("name", TEXTS)
def test_only_what_was_asked_for_changes_in_a_file(folder, local_hub, name):
    before, after = TEXTS[name]
    AuthManager().login(local_hub.create_user("ann"), profile="work")
    (folder / "hfl.toml").write_bytes(before.encode())
    assert initialize(folder, Output(), profile="work", yes=True)["status"] == "changed"
    assert (folder / "hfl.toml").read_bytes() == after.encode()


def test_what_is_told_later_takes_its_place_in_a_file_that_it_wrote(folder, local_hub):
    AuthManager().login(local_hub.create_user("ann"), profile="work")
    initialize(folder, Output())
    first = (folder / "hfl.toml").read_text(encoding="utf-8").splitlines()
    initialize(folder, Output(), profile="work", endpoint=local_hub.endpoint)
    second = (folder / "hfl.toml").read_text(encoding="utf-8").splitlines()
    assert second == [*first[:-2], 'profile = "work"', f'endpoint = "{local_hub.endpoint}"']


def test_another_profile_in_the_file_is_replaced_only_if_somebody_says_so(
    folder, hfl_init, local_hub
):
    AuthManager().login(local_hub.create_user("ann"), profile="work")
    (folder / "hfl.toml").write_text('profile = "home"\n')
    with pytest.raises(ConflictError, match=r"says profile = 'home', not profile = 'work'"):
        initialize(folder, Output(), profile="work")
    assert (folder / "hfl.toml").read_text() == 'profile = "home"\n'
    hfl_init("--profile", "work", "--yes")
    assert load_settings(folder).profile == "work"


@pytest.mark.parametrize(("answer", "profile", "code"), [("y", "work", 0), ("n", "home", 1)])
def test_a_person_is_asked_before_it_is_replaced(folder, local_hub, answer, profile, code):
    pty = pytest.importorskip("pty")
    AuthManager().login(local_hub.create_user("ann"), profile="work")
    (folder / "hfl.toml").write_text('profile = "home"\n')
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", INIT, "--profile", "work"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
    )
    os.write(ours, f"{answer}\n".encode())
    _, err = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == code, err.decode()
    assert b"Replace it by" in err
    assert load_settings(folder).profile == profile


@pytest.mark.parametrize(
    "text", ['profile = """\nhome"""\n', "'profile' = 'home'\n", '"""\nprofile = 1'], ids=repr
)
def test_a_file_that_cannot_be_edited_safely_is_left_alone(folder, local_hub, text):
    AuthManager().login(local_hub.create_user("ann"), profile="work")
    (folder / "hfl.toml").write_text(text)
    with pytest.raises(ConfigError):
        initialize(folder, Output(), profile="work", yes=True)
    assert (folder / "hfl.toml").read_text() == text


def test_the_file_of_a_folder_above_is_not_shadowed_silently(folder, hfl_init, local_hub):
    AuthManager().login(local_hub.create_user("ann"), profile="work")
    (folder / "hfl.toml").write_text("timeout = 5\n")
    below = folder / "below"
    below.mkdir()
    assert read_project_file(below).shadowed == folder / "hfl.toml"
    done = subprocess.run(
        [sys.executable, "-c", INIT], cwd=below, capture_output=True, text=True, check=True
    )
    assert "does not hold in this folder any more" in done.stderr


def test_a_link_stays_a_link(folder, tmp_path, local_hub):
    AuthManager().login(local_hub.create_user("ann"), profile="work")
    (tmp_path / "shared.toml").write_text("timeout = 5\n")
    Path("hfl.toml").symlink_to(tmp_path / "shared.toml")
    initialize(folder, Output(), profile="work")
    assert Path("hfl.toml").is_symlink()
    assert "work" in (tmp_path / "shared.toml").read_text()


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="frozen on one Python version")
def test_the_help_and_the_table_are_frozen(folder, local_hub, snapshot, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    run = CliRunner()
    shown = run.invoke(init, ["--help"], prog_name="hfl init", terminal_width=80).output
    monkeypatch.setenv("HF_TOKEN", local_hub.create_user("ann"))
    table = run.invoke(init, []).stdout.replace(str(folder), "<folder>")
    text = (folder / "hfl.toml").read_text(encoding="utf-8")
    port = local_hub.endpoint.rsplit(":", 1)[1]
    assert f"{shown}\n{table}\n{text}".replace(port, "<port>") == snapshot
