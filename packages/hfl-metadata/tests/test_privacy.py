"""What a record must not say."""

from __future__ import annotations

import pytest

from hfl_metadata import _privacy

TOKEN = "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ01234567"


@pytest.fixture(autouse=True)
def alice(monkeypatch):
    monkeypatch.setenv("HOME", "/srv/people/alice")
    monkeypatch.setenv("LOGNAME", "alice")
    _privacy._user_pattern.cache_clear()
    yield
    _privacy._user_pattern.cache_clear()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/srv/people/alice", "~"),
        ("/srv/people/alice/x.py", "~/x.py"),
        ("--data=/srv/people/alice/x", "--data=~/x"),
        ("/home/bob/models/llama", "~/models/llama"),
        ("/Users/bob/models", "~/models"),
        (r"C:\Users\bob\models", r"~\models"),
        ("/scratch/alice/runs", "/scratch/~/runs"),
        ("alice/feature", "~/feature"),
        ("alice.py", "alice.py"),
        ("malice", "malice"),
        ("/srv/people/alicent/x", "/srv/people/alicent/x"),
        ("/mnt/home/data", "/mnt/home/data"),
        ("lr 0.1", "lr 0.1"),
    ],
)
def test_homes_and_the_user_s_name_become_a_tilde(text, expected):
    assert _privacy.private_text(text) == expected


def test_a_generic_account_is_not_a_person(monkeypatch):
    monkeypatch.setenv("LOGNAME", "root")
    monkeypatch.setenv("HOME", "/root")
    _privacy._user_pattern.cache_clear()
    assert _privacy.private_text("/data/root/x of /root/y") == "/data/root/x of ~/y"


def test_an_account_without_an_entry_is_no_reason_to_fail(monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)

    def absent(*_: object) -> None:
        raise KeyError("uid not found")

    monkeypatch.setattr("pwd.getpwuid", absent)
    _privacy._user_pattern.cache_clear()
    assert _privacy.private_text("/home/alice/x") == "~/x"


def test_a_token_is_masked_wherever_it_stands():
    assert TOKEN not in _privacy.private_text(f"using {TOKEN} now")
    assert TOKEN not in " ".join(_privacy.private_command(["train.py", TOKEN]))


def test_the_value_after_a_secret_option_is_masked():
    arguments = ["train.py", "--password", "hunter2", "--lr", "0.1", "--api-key=sesame99"]
    safe = _privacy.private_command(arguments)
    assert len(safe) == len(arguments)
    assert "hunter2" not in " ".join(safe)
    assert "sesame99" not in " ".join(safe)
    assert safe[:2] == ["train.py", "--password"]
    assert safe[3:5] == ["--lr", "0.1"]


def test_a_name_that_only_sounds_secret_keeps_its_value():
    assert _privacy.private_value("use_cls_token", "True") == "True"
    assert _privacy.private_value("num_memory_tokens", "16") == "16"


def test_a_passphrase_of_several_words_is_masked_whole():
    assert _privacy.private_value("password", "correct horse battery") == "***"


def test_an_address_of_a_revision_is_not_taken_for_credentials():
    assert _privacy.private_text("hf://gpt2@main") == "hf://gpt2@main"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://user:pass@example.com/a.git", "https://example.com/a.git"),
        ("https://user@example.com/a.git", "https://example.com/a.git"),
        ("ssh://git@example.com/a.git", "ssh://example.com/a.git"),
        ("git@example.com:a/b.git", "git@example.com:a/b.git"),
        ("/home/bob/mirror.git", "~/mirror.git"),
    ],
)
def test_an_address_loses_its_credentials(address, expected):
    assert _privacy.without_credentials(address) == expected
