"""``hfl init`` in folders of every kind, against a real Hub."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hf_lifecycle._initialize import Wishes, initialize
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
    assert initialize(folder, Output(), Wishes(profile="work"), yes=True)["status"] == "changed"
    assert (folder / "hfl.toml").read_bytes() == after.encode()


def test_what_is_told_later_takes_its_place_in_a_file_that_it_wrote(folder, local_hub):
    AuthManager().login(local_hub.create_user("ann"), profile="work")
    initialize(folder, Output())
    first = (folder / "hfl.toml").read_text(encoding="utf-8").splitlines()
    initialize(folder, Output(), Wishes(profile="work", endpoint=local_hub.endpoint))
    second = (folder / "hfl.toml").read_text(encoding="utf-8").splitlines()
    assert second == [*first[:-2], 'profile = "work"', f'endpoint = "{local_hub.endpoint}"']


def test_another_profile_in_the_file_is_replaced_only_if_somebody_says_so(
    folder, hfl_init, local_hub
):
    AuthManager().login(local_hub.create_user("ann"), profile="work")
    (folder / "hfl.toml").write_text('profile = "home"\n')
    with pytest.raises(ConflictError, match=r"says profile = 'home', not profile = 'work'"):
        initialize(folder, Output(), Wishes(profile="work"))
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
        initialize(folder, Output(), Wishes(profile="work"), yes=True)
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
    initialize(folder, Output(), Wishes(profile="work"))
    assert Path("hfl.toml").is_symlink()
    assert "work" in (tmp_path / "shared.toml").read_text()


GITIGNORES = {
    "none": (None, b"/runs/\n"),
    "what is there stays": (b"# ours\n*.pyc", b"# ours\n*.pyc\n/runs/\n"),
    "it is there already": (b"runs\n", b"runs\n"),
    "line ends and odd bytes stay": (b"\xff\r\n", b"\xff\r\n/runs/\r\n"),
}


@pytest.mark.parametrize("name", GITIGNORES)
def test_a_folder_of_runs_is_kept_out_of_git(folder, local_hub, monkeypatch, name):
    before, after = GITIGNORES[name]
    monkeypatch.setenv("HF_TOKEN", local_hub.create_user("ann"))
    if before is not None:
        Path(".gitignore").write_bytes(before)
    for _ in range(2):
        initialize(folder, Output(), Wishes(ignored=["runs"]))
        assert Path(".gitignore").read_bytes() == after


@pytest.mark.parametrize("wrong", ["..", "/etc", ".", " ", "a/../../b"])
def test_what_is_no_folder_below_is_refused_and_nothing_is_changed(folder, local_hub, wrong):
    with pytest.raises(ConfigError, match="is not a folder below"):
        initialize(folder, Output(), Wishes(ignored=[wrong]))
    assert not Path(".gitignore").exists()
    assert not Path("hfl.toml").exists()


def test_git_itself_ignores_the_folder_and_no_other(folder, local_hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", local_hub.create_user("ann"))
    Path(".git").rmdir()
    subprocess.run(["git", "init", "-q"], check=True)
    initialize(folder, Output(), Wishes(ignored=["out [1]/runs*"]))
    for name, code in (("out [1]/runs*/x", 0), ("out 1/runs/x", 1), ("sub/out [1]/runs*/x", 1)):
        asked = subprocess.run(["git", "check-ignore", "-q", name], check=False)
        assert asked.returncode == code, name


def test_a_policy_for_checkpoints_is_checked_before_it_is_written(folder, local_hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", local_hub.create_user("ann"))
    with pytest.raises(ConfigError):
        initialize(folder, Output(), Wishes(keep="lats:3"))
    assert not Path("hfl.toml").exists()
    assert initialize(folder, Output(), Wishes(keep="last:3"))["keep"] == "last:3"
    assert load_settings(folder).keep == "last:3"


class Terminal:
    """A person at a terminal, who answers the questions in order."""

    def __init__(self, *arguments: str) -> None:
        pty = pytest.importorskip("pty")
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", INIT, *arguments],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            close_fds=True,
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = ""

    def answer(self, question: str, text: str) -> None:
        self.read_until(question)
        os.write(self._ours, f"{text}\n".encode())

    def read_until(self, words: str) -> None:
        while words not in self.shown:
            part = os.read(self._ours, 4096)
            assert part, self.shown
            self.shown += part.decode()
        self.shown = self.shown.partition(words)[2]

    def end(self) -> tuple[int, str]:
        out, _ = self._process.communicate(timeout=60)
        with contextlib.suppress(OSError):  # nothing is left
            self.shown += os.read(self._ours, 65536).decode()
        os.close(self._ours)
        return self._process.returncode, out.decode()


def test_a_person_is_guided_and_mistakes_are_asked_again(folder, local_hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", local_hub.create_user("ann"))
    person = Terminal()
    person.answer(f"Which Hub [{local_hub.endpoint}]:", "")
    person.answer("such as last:3) [all]:", "lats:3")
    person.answer("such as last:3) [all]:", "last:3 | best:loss")
    person.answer("('-' for none) [runs]:", "../elsewhere")
    person.answer("('-' for none) [runs]:", "")
    code, out = person.end()
    assert code == 0, person.shown
    assert "ann" in out
    assert load_settings(folder).keep == "last:3 | best:loss"
    assert "endpoint =" not in Path("hfl.toml").read_text().replace("# endpoint", "")
    assert Path(".gitignore").read_text() == "/runs/\n"
    again = Terminal()  # it is set up: nothing is asked
    code, out = again.end()
    assert code == 0, again.shown
    assert "[" not in again.shown
    assert "unchanged" in out


def test_an_option_answers_its_question(folder, local_hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", local_hub.create_user("ann"))
    person = Terminal("--endpoint", local_hub.endpoint, "--keep", "last:2")
    person.answer("('-' for none) [runs]:", "-")
    assert person.end()[0] == 0
    assert not Path(".gitignore").exists()
    assert load_settings(folder).keep == "last:2"


def test_ctrl_c_at_a_question_changes_nothing(folder, local_hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", local_hub.create_user("ann"))
    person = Terminal()
    person.answer("Which Hub", "")
    person.read_until("such as last:3")
    # As a person does who sees nothing happen: Python may miss one that comes just before it begins to read.
    while person._process.poll() is None:
        os.killpg(person._process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            person._process.wait(2)
    assert person.end()[0] == 130
    assert not Path("hfl.toml").exists()
    assert not Path(".gitignore").exists()


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
