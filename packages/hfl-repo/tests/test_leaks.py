"""With secrets all around, nothing that is printed, logged, raised or written holds one."""

from __future__ import annotations

import io
import logging
import traceback

import pytest

from hfl_core.errors import HflError
from hfl_repo import RepoManager

PASSWORD = "pa55-word-in-an-address"
REAL = "hf_" + "Real" * 8
COMMANDS = [
    ["create", "ann/leaky", "--license", "mit"],
    ["info", "ann/leaky"],
    ["info", "ann/absent"],
    ["list", "--format", "json"],
    ["card", "ann/leaky", "--set", "license=apache-2.0"],
    ["permissions", "ann/leaky"],
    ["storage", "ann/leaky"],
    ["history", "ann/leaky"],
    ["branch", "create", "bob/other", "next"],
    ["--debug", "tag", "create", "ann/leaky", "v1"],
    ["--debug", "delete", "ann/leaky", "--yes"],
    ["--debug", "info", "ann/leaky", "--endpoint", "http://127.0.0.1:1"],
]


@pytest.fixture
def secrets(ann, sign_in, monkeypatch):
    sign_in(ann.token)
    monkeypatch.setenv("HUGGING_FACE_HUB_TOKEN", REAL)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HTTPS_PROXY", f"https://user:{PASSWORD}@proxy.example")
    monkeypatch.setenv("GIT_REMOTE", f"https://user:{PASSWORD}@hub.example/ann/digits")
    return [ann.token, REAL, PASSWORD]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("endpoint", ["the hub", "with a password"])
def test_no_command_shows_a_secret(arguments, endpoint, secrets, hub, cli, tmp_path) -> None:
    address = hub.endpoint
    if endpoint == "with a password":
        address = f"https://user:{PASSWORD}@127.0.0.1:1"
    env = {"HF_ENDPOINT": address, "HFL_RETRY_ATTEMPTS": "1"}
    _, out, err = cli("-vv", *arguments, **env)
    assert out or err
    assert [secret for secret in secrets if secret in out + err] == []
    for path in tmp_path.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert [secret for secret in secrets if secret.encode() in data] == []


def test_no_error_and_no_log_record_holds_a_secret(secrets, hub, ann, manager, name) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        repo = manager(name)
        repo.create(license="mit")
        ann.commit(name, large={"model.safetensors": b"1" * 2000})
        steps = [
            repo.storage,
            repo.archive,
            repo.unarchive,
            repo.permissions,
            lambda: repo.create(private=True),
            lambda: repo.info("absent"),
            lambda: repo.update_card({"license": secrets[0]}),
            lambda: RepoManager("bob/other").create(),
        ]
        for status in (0, 401, 403, 404, 409, 429, 500):
            for step in steps:
                hub.faults.clear()
                if status:
                    hub.faults.answer(status, times=None)
                try:
                    step()
                except HflError as error:
                    traceback.print_exception(type(error), error, None, file=stream, chain=False)
                    stream.write(repr(error) + repr(vars(error)))
        stream.write(repr(repo) + repr(repo._hub) + repr(vars(repo)))
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
    logged = stream.getvalue()
    assert len(logged) > 10_000
    assert [secret for secret in secrets[1:] if secret in logged] == []
    # The one that was passed as a licence is shown in the error about it; nowhere else.
    assert secrets[0] not in logged.replace(repr(secrets[0]), "")
