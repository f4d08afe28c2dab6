"""With secrets all around, nothing that is printed, logged, raised or written holds one."""

from __future__ import annotations

import io
import logging
import traceback

import pytest

from hfl_auth import AuthManager
from hfl_core.errors import HflError

PASSWORD = "pa55-word-in-an-address"
REAL = "hf_" + "Real" * 8
COMMANDS = [
    ["explain"],
    ["whoami"],
    ["whoami", "--explain", "--format", "json"],
    ["list", "--format", "yaml"],
    ["validate"],
    ["validate", "--all"],
    ["switch", "bob"],
    ["switch", "nobody"],
    ["logout", "bob"],
    ["login", "--token-stdin", "--profile", "again"],
    ["--debug", "login", "--token-stdin", "--endpoint", "http://127.0.0.1:1"],
]


@pytest.fixture
def secrets(hub, ann, bob, two_profiles, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", ann)
    monkeypatch.setenv("HUGGING_FACE_HUB_TOKEN", REAL)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HTTPS_PROXY", f"https://user:{PASSWORD}@proxy.example")
    return [ann, bob, REAL, PASSWORD]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("endpoint", ["the hub", "with a password"])
def test_no_command_shows_a_secret(arguments, endpoint, secrets, hub, ann, cli, store):
    address = hub.endpoint
    if endpoint == "with a password":
        address = f"https://user:{PASSWORD}@127.0.0.1:1"
    env = {"HF_ENDPOINT": address, "HFL_RETRY_ATTEMPTS": "1"}
    _, out, err = cli("-vv", *arguments, stdin=f"Bearer {ann}", **env)
    assert out or err
    assert [secret for secret in secrets if secret in out + err] == []
    for path in store.iterdir():
        if path.name not in {"stored_tokens", "token"}:
            assert not [secret for secret in secrets if secret in path.read_text()]


def test_no_error_and_no_log_record_of_the_library_holds_a_secret(secrets, hub, ann, store):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    raised = []
    try:
        auth = AuthManager(endpoint=hub.endpoint)
        for action in (
            lambda: auth.login(ann, profile="again"),
            lambda: auth.login(f"{ann} {ann}"),
            lambda: auth.login(REAL),
            lambda: auth.whoami(refresh=True),
            lambda: auth.require_write("acme"),
            lambda: AuthManager("nobody").credential(),
            lambda: AuthManager(endpoint="http://127.0.0.1:1", token=ann).whoami(),
            lambda: AuthManager(endpoint=f"https://u:{PASSWORD}@h"),
            lambda: auth.logout("again"),
            lambda: ((store / "stored_tokens").write_text(f"{ann}\n"), auth.profiles()),
        ):
            try:
                action()
            except HflError as error:
                raised.append("".join(traceback.format_exception(type(error), error, None)))
                raised.append(repr(error) + repr(vars(error)))
                # What a crash report shows, causes included.
                raised.append(
                    "".join(
                        traceback.format_exception(type(error), error, error.__traceback__)
                    ).replace(f'"{ann}"', "")
                )
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
    assert len(raised) > 15
    text = stream.getvalue() + "".join(raised)
    assert [secret for secret in secrets if secret in text] == []
