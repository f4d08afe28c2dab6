from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from hfl_auth import AuthManager
from hfl_auth.cli import auth

pty = pytest.importorskip("pty")
WRONG = "hf_" + "Wrong" * 6
# With the space: getpass writes it after it has thrown away what was typed too early.
PROMPT = "Token: "


def test_login_reads_a_token_from_standard_input(cli, hub, ann):
    code, out, err = cli(
        "login", "--token-stdin", "--endpoint", hub.endpoint, "--profile", "work",
        stdin=f'  "{ann}"\n',
    )  # fmt: skip
    assert (code, out) == (0, "")
    assert err == (
        f"Signed in at {hub.endpoint} as ann. The token is in an owner-only file, "
        "as the profile 'work'.\n"
    )
    assert AuthManager("work").whoami().name == "ann"


@pytest.mark.parametrize(
    ("stdin", "code", "text"),
    [
        ("", 3, "What standard input holds is no token: nothing is left"),
        ("two words", 3, "a space in the middle"),
        (WRONG, 3, "does not accept the token from the input"),
    ],
)
def test_login_with_what_is_no_token_fails_and_keeps_nothing(cli, hub, stdin, code, text):
    ended = cli("login", "--token-stdin", "--endpoint", hub.endpoint, stdin=stdin)
    assert ended[0] == code
    assert text in ended[2]
    assert AuthManager().profiles() == []


def test_login_without_a_terminal_says_how_else(cli, hub):
    code, _, err = cli("login", "--endpoint", hub.endpoint)
    assert code == 3
    assert "There is no terminal" in err
    assert "--token-stdin" in err


def test_login_has_no_option_that_would_show_a_token_to_others(cli):
    assert cli("login", "--token", "x")[0] == 2
    assert cli("login", "--device", "--token-stdin")[0] == 2


class Terminal:
    """A command on a pseudo-terminal."""

    def __init__(self, *arguments):
        self.main, side = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hfl_auth.cli", *arguments],
            env={**os.environ, "TERM": "dumb", "PYTHONUTF8": "1"},
            stdin=side, stdout=side, stderr=side, start_new_session=True,
        )  # fmt: skip
        os.close(side)
        self.text = ""

    def read_until(self, wanted, count=1):
        while self.text.count(wanted) < count:
            assert select.select([self.main], [], [], 60)[0], self.text
            self.text += os.read(self.main, 4096).decode()

    def type(self, text):
        os.write(self.main, text.encode())

    def end(self):
        while True:
            try:
                data = os.read(self.main, 4096)
            except OSError:  # how Linux says that nobody writes any more
                break
            if not data:
                break
            self.text += data.decode()
        os.close(self.main)
        return self.process.wait(timeout=60)


@pytest.fixture
def start_terminal():
    """Start commands on terminals; none outlives the test."""
    started = []

    def start(*arguments):
        started.append(Terminal(*arguments))
        return started[-1]

    yield start
    for terminal in started:
        if terminal.process.poll() is None:
            terminal.process.kill()
        terminal.process.wait(timeout=60)


def test_login_asks_on_the_terminal_and_shows_nothing_of_what_is_typed(start_terminal, hub, ann):
    terminal = start_terminal("login", "--endpoint", hub.endpoint)
    terminal.read_until(PROMPT)
    terminal.type("not a token\n")
    terminal.read_until("Try again.")
    terminal.read_until(PROMPT, count=2)
    terminal.type(f"Bearer {ann}\n")
    assert terminal.end() == 0
    assert f"sent to {hub.endpoint}, and to nobody else" in terminal.text
    assert "Signed in" in terminal.text
    assert ann not in terminal.text
    assert "not a token" not in terminal.text
    assert AuthManager().whoami().name == "ann"


def test_login_gives_up_after_some_tries(start_terminal, hub):
    terminal = start_terminal("login", "--endpoint", hub.endpoint)
    for count in range(1, 4):
        terminal.read_until(PROMPT, count=count)
        terminal.type("\n")
    assert terminal.end() == 3
    assert "nothing is left" in terminal.text


def test_ctrl_c_at_the_prompt_ends_it_quietly(start_terminal, hub):
    terminal = start_terminal("login", "--endpoint", hub.endpoint)
    terminal.read_until(PROMPT)
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert "Traceback" not in terminal.text


def test_a_token_typed_in_a_cloned_project_is_not_even_asked_for(cli, home, hub):
    (home / "project" / "hfl.toml").write_text(f'endpoint = "{hub.endpoint}"\n')
    code, _, err = cli("login", "--token-stdin", stdin=WRONG)
    assert code == 2
    assert "came with a project" in err


def test_whoami_tells_the_account_and_the_place(cli, two_profiles, hub, ann):
    code, out, _ = cli("whoami")
    assert code == 0
    assert "Organizations  guests (read), lab (write)" in out
    assert "From           the profile 'ann'" in out
    code, out, _ = cli("whoami", "--profile", "bob", "--format", "json")
    record = json.loads(out)
    assert (record["name"], record["role"], record["profile"]) == ("bob", "read", "bob")
    assert record["writable"] == []


def test_whoami_explains_which_source_wins(cli, two_profiles, hub, ann, bob):
    env = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": bob}
    _, out, _ = cli("whoami", "--explain", "--format", "json", **env)
    record = json.loads(out)
    assert record["name"] == "bob"
    assert [each["status"] for each in record["sources"]][1:4] == ["used", "absent", "overridden"]
    code, out, _ = cli("whoami", "--explain", **env)
    assert code == 0
    assert "HF_TOKEN comes first" in out
    assert bob not in out


def test_whoami_when_nobody_is_signed_in(cli):
    code, out, err = cli("whoami")
    assert (code, out) == (3, "")
    assert "Hint: Sign in with: hfl auth login" in err


def test_whoami_when_the_hub_is_down(cli, ann):
    env = {"HF_ENDPOINT": "http://127.0.0.1:1", "HF_TOKEN": ann, "HFL_RETRY_ATTEMPTS": "1"}
    code, _, err = cli("whoami", **env)
    assert code == 7
    assert "http://127.0.0.1:1 does not answer" in err


def test_list_shows_every_profile_and_no_token(cli, two_profiles, hub, ann, bob):
    code, out, _ = cli("list")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == [
        "Active",
        "Profile",
        "Account",
        "Hub",
        "Storage",
        "Token",
        "Expires",
    ]
    assert lines[1].split()[:4] == ["*", "ann", "ann", hub.endpoint]
    assert ann not in out
    rows = json.loads(cli("list", "--format", "json")[1])
    assert [(row["name"], row["is_active"]) for row in rows] == [("ann", True), ("bob", False)]
    assert cli("list", HF_HOME=os.environ["HOME"])[2] == (
        "No profile yet. Sign in with: hfl auth login\n"
    )


def test_switch_and_logout_change_who_is_in_use(cli, two_profiles, hub):
    code, out, err = cli("switch", "bob")
    assert (code, out) == (0, "")
    assert err == f"In use from now on: 'bob', which is bob at {hub.endpoint}.\n"
    assert json.loads(cli("whoami", "--format", "json")[1])["name"] == "bob"
    assert cli("logout") == (0, "", "Removed 'bob' from this machine.\n")
    code, _, err = cli("switch", "bob")
    assert code == 4
    assert "These exist: ann" in err


def test_what_comes_first_all_the_same_is_said(cli, two_profiles, hub, ann, bob):
    env = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": ann}
    assert "Warning: HF_TOKEN comes first here." in cli("switch", "bob", **env)[2]
    assert "HF_TOKEN is still set" in cli("logout", "bob", **env)[2]
    assert "no token" in cli("switch", "ann", HF_TOKEN="a b", HF_ENDPOINT=hub.endpoint)[2]


def test_validate_ends_with_3_when_the_hub_does_not_accept_a_token(cli, two_profiles, hub):
    assert cli("validate")[0] == 0
    assert json.loads(cli("validate", "--profile", "bob", "--format", "json")[1]) == {
        "valid": True, "account": "bob", "role": "read", "endpoint": hub.endpoint,
        "expires_at": None,
    }  # fmt: skip
    assert cli("validate", "--token-stdin", "--endpoint", hub.endpoint, stdin=WRONG)[0] == 3
    assert cli("validate", "--all", "--token-stdin")[0] == 2


def test_validate_checks_all_profiles(cli, local_hub):
    good = local_hub.create_user("ann", token_name="good")
    bad = local_hub.create_user("ann", token_name="bad")
    for token in (good, bad):
        AuthManager().login(token)
    assert cli("validate", "--all")[0] == 0
    local_hub.revoke_token(bad)
    code, out, err = cli("validate", "--all", "--format", "json")
    assert code == 3
    assert {row["profile"]: row["valid"] for row in json.loads(out)} == {"good": True, "bad": False}
    assert "1 of 2 profiles could not be validated: bad" in err


def test_explain_shows_the_places_in_order(cli, two_profiles, hub):
    code, out, err = cli("explain", "--format", "csv")
    assert code == 0
    assert [line.partition(",")[0] for line in out.splitlines()] == [
        "source", "argument", "environment", "project file", "profile", "token file", "keyring",
        "colab",
    ]  # fmt: skip
    assert err == f"For {hub.endpoint}:\n"


def test_the_old_huggingface_hub_or_the_hub_says_that_it_cannot_do_device_codes(cli, hub):
    code, _, err = cli("login", "--device", "--endpoint", hub.endpoint)
    assert code == 3
    assert "Hint: " in err


def test_only_who_is_not_signed_in_is_asked(hub, ann, capsys):
    from hfl_auth.cli import ensure_signed_in
    from hfl_core.cli import Output
    from hfl_core.errors import AuthError

    manager = AuthManager(endpoint=hub.endpoint)
    with pytest.raises(AuthError, match="no terminal"):
        ensure_signed_in(manager, Output())
    manager.login(ann)
    assert ensure_signed_in(manager, Output()).name == "ann"
    assert f"Signed in at {hub.endpoint} as ann." in capsys.readouterr().err


def test_importing_the_commands_loads_nothing_heavy(run_python):
    code = (
        "import sys, hfl_auth.cli; print([name for name in ('huggingface_hub', 'rich', 'keyring',"
        " 'hfl_auth._manager') if name in sys.modules])"
    )
    assert run_python(code).strip() == "[]"


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="frozen on one Python version")
@pytest.mark.parametrize(
    "command", ["", "login", "logout", "whoami", "list", "switch", "validate", "explain"]
)
def test_the_help_is_frozen(command, snapshot, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = CliRunner().invoke(
        auth, [*command.split(), "--help"], prog_name="hfl auth", terminal_width=80
    )
    assert result.output == snapshot
