from __future__ import annotations

import configparser
import json
import os
import signal
import socket
import threading
import urllib.request
from pathlib import Path

import click
import pytest

from hfl_core.errors import ConflictError, IntegrityError, NotFoundError
from hfl_localhub import LocalHub
from hfl_localhub._reset import plan_reset
from hfl_localhub._server import _listen
from hfl_localhub._serving import default_root, root_option, serve_until_stopped, shell_exports
from hfl_localhub.cli import hub as command


def when_serving(root, work):
    """Do something once a Hub serves the folder, then tell this process to stop."""
    failures = []

    def wait_and_work():
        try:
            while not (root / "running.json").exists():
                threading.Event().wait(0.005)
            work()
        except BaseException as error:  # the test's thread raises it
            failures.append(error)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=wait_and_work)
    thread.start()
    return thread, failures


def serve(root, work, **options):
    said = []
    thread, failures = when_serving(root, work)
    serve_until_stopped(
        root, host="127.0.0.1", port=0, orgs=[], allow_remote=False, say=said.append, **options
    )
    thread.join()
    assert not failures, failures
    return said


def test_serving_tells_others_where_it_is_until_it_stops(tmp_path):
    found = {}

    def look():
        found["exports"] = shell_exports(tmp_path)
        endpoint = json.loads((tmp_path / "running.json").read_text())["endpoint"]
        token = (tmp_path / "client" / "token").read_text()
        request = urllib.request.Request(
            f"{endpoint}/api/whoami-v2", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request) as response:
            found["user"] = json.load(response)["name"]

    before = signal.getsignal(signal.SIGTERM)
    said = serve(tmp_path, look, users=["ann"])
    assert found["user"] == "ann"
    assert "export HF_TOKEN_PATH=" in found["exports"]
    assert said[-1].startswith("Stopped")
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(NotFoundError):
        shell_exports(tmp_path)


def test_another_user_gets_a_token_of_their_own(tmp_path):
    tokens = []
    for user in ("ann", "bob", "bob"):
        serve(
            tmp_path,
            lambda: tokens.append((tmp_path / "client" / "token").read_text()),
            users=[user],
        )
    assert tokens[0] != tokens[1] == tokens[2]


def test_what_others_keep_in_the_clients_folder_stays(tmp_path):
    home = tmp_path / "client"
    home.mkdir()
    (home / "stored_tokens").write_text("[other]\nhf_token = hf_other\n\n[empty]\nkept = 1\n")
    notes = {
        "format": 1, "profiles": {"other": {"endpoint": "http://h", "storage": "file"}},
        "homes": {"0": "http://h"}, "active": {"http://h": "other"}, "endpoint": "http://h",
        "token_file": "0",
    }  # fmt: skip
    (home / "hfl_profiles.json").write_text(json.dumps(notes))
    serve(tmp_path, lambda: None, users=["ann", "bob"])
    parser = configparser.ConfigParser()
    parser.read(home / "stored_tokens")
    assert {name: dict(parser[name]) for name in ("other", "empty")} == {
        "other": {"hf_token": "hf_other"},
        "empty": {"kept": "1"},
    }
    assert (home / "token").read_text() == parser["ann"]["hf_token"] != parser["bob"]["hf_token"]
    found = json.loads((home / "hfl_profiles.json").read_text())
    assert {"other", "ann", "bob"} == set(found["profiles"])
    assert (len(found["homes"]), found["homes"]["0"]) == (3, "http://h")
    assert (found["active"], found["token_file"]) == (notes["active"], "0")
    assert all(
        (home / name).stat().st_mode & 0o077 == 0
        for name in ("token", "stored_tokens", "hfl_profiles.json")
    )


@pytest.mark.parametrize("notes", ["{", '{"format": 2}', "[]"])
def test_notes_that_it_does_not_understand_are_left_alone(tmp_path, notes):
    (tmp_path / "client").mkdir()
    (tmp_path / "client" / "hfl_profiles.json").write_text(notes)
    serve(tmp_path, lambda: None, users=["ann"])
    assert (tmp_path / "client" / "hfl_profiles.json").read_text() == notes


def test_stored_tokens_that_it_does_not_understand_are_not_written_over(tmp_path):
    (tmp_path / "client").mkdir()
    stored = tmp_path / "client" / "stored_tokens"
    stored.write_text("hf_secret without a section")
    with pytest.raises(IntegrityError) as caught:
        serve_until_stopped(
            tmp_path, host="127.0.0.1", port=0, users=["ann"], orgs=[], allow_remote=False,
            say=print,
        )  # fmt: skip
    assert "hf_secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert stored.read_text() == "hf_secret without a section"


def test_what_is_said_can_be_typed_whatever_the_folder_is_called(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert root_option(default_root()) == ""
    assert root_option(tmp_path / "my hub") == " --root ~/'my hub'"
    assert root_option(Path("/scratch/my hub")) == " --root '/scratch/my hub'"


def test_the_commands_do_the_same(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HFL_HUB_ROOT", str(tmp_path))

    def look():
        command(["env"], standalone_mode=False)

    thread, failures = when_serving(tmp_path, look)
    command(["serve", "--port", "0", "--allow-remote"], standalone_mode=False)
    thread.join()
    assert not failures, failures
    out, err = capsys.readouterr()
    assert "export HF_ENDPOINT=http://127.0.0.1:" in out
    assert "plain HTTP" in err
    command(["reset", "--dry-run"], standalone_mode=False)
    assert (tmp_path / "hub.json").exists()
    command(["reset", "--yes"], standalone_mode=False)
    assert not tmp_path.exists()


def test_reset_asks_first(tmp_path, monkeypatch):
    with LocalHub(tmp_path) as hub:
        hub.create_user("ann")
        with pytest.raises(ConflictError):
            plan_reset(tmp_path).carry_out()
    monkeypatch.setattr("builtins.input", lambda _="": "n")
    monkeypatch.setattr(click.termui, "visible_prompt_func", lambda _="": "n")
    with pytest.raises(click.Abort):
        command(["reset", "--root", str(tmp_path)], standalone_mode=False)
    assert (tmp_path / "hub.json").exists()


def test_without_a_folder_it_is_in_the_users_data(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_root() == tmp_path / "huggingface-lifecycle" / "hub"
    monkeypatch.delenv("HFL_HUB_ROOT", raising=False)
    with pytest.raises(NotFoundError):
        command(["env"], standalone_mode=False)


def test_answers_do_not_wait_for_acknowledgements(tmp_path):
    # asyncio turns Nagle's algorithm off only for sockets that name their protocol.
    with _listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
