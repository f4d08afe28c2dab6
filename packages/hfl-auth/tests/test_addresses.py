from __future__ import annotations

import pytest

from hfl_auth import AuthManager
from hfl_auth._endpoints import PUBLIC, STAGING, normalize_endpoint
from hfl_auth._paths import store_paths
from hfl_core.errors import ConfigError


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://huggingface.co/", PUBLIC),
        ("HTTPS://HuggingFace.co:443", PUBLIC),
        (" http://127.0.0.1:80/ ", "http://127.0.0.1"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("https://example.org/hub/", "https://example.org/hub"),
    ],
)
def test_an_address_has_one_spelling(written, meant):
    assert normalize_endpoint(written, where="a test") == meant


@pytest.mark.parametrize(
    "written",
    ["huggingface.co", "ftp://example.org", "https://", "", "http://host:port", "http://a?b=c",
     "https://a/#b", "http://[::1", "http://exa mple", "http://exam\nple.org", "http://a\tb"],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_its_place(written):
    with pytest.raises(ConfigError, match="the argument"):
        AuthManager(endpoint=written)


def test_a_password_in_an_address_is_refused_and_not_repeated(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "https://user:pa55word@example.org")
    with pytest.raises(ConfigError, match="HF_ENDPOINT carries a user name") as caught:
        AuthManager().endpoint  # noqa: B018  # the access is what is tested
    assert "pa55word" not in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "endpoint"),
    [
        ({}, PUBLIC),
        ({"HF_ENDPOINT": "http://127.0.0.1:1"}, "http://127.0.0.1:1"),
        (
            {"HF_ENDPOINT": "http://127.0.0.1:1", "HFL_ENDPOINT": "http://127.0.0.1:2"},
            "http://127.0.0.1:2",
        ),
        ({"HF_ENDPOINT": "http://127.0.0.1:1", "HUGGINGFACE_CO_STAGING": "1"}, STAGING),
    ],
)
def test_the_environment_names_the_hub(environment, endpoint, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert AuthManager().endpoint == endpoint
    assert AuthManager(endpoint="http://127.0.0.1:9").endpoint == "http://127.0.0.1:9"


def test_the_environment_comes_before_the_project_and_the_project_before_the_user(
    home, monkeypatch
):
    config = home / "config" / "hfl" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('endpoint = "http://127.0.0.1:1"\n')
    assert AuthManager().endpoint == "http://127.0.0.1:1"
    (home / "project" / "hfl.toml").write_text('endpoint = "http://127.0.0.1:2"\n')
    assert AuthManager().endpoint == "http://127.0.0.1:2"
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:3")
    assert AuthManager().endpoint == "http://127.0.0.1:3"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"XDG_CACHE_HOME": "$HOME/somewhere"},
        {"HF_HOME": "~/hf"},
        {"HF_HOME": "/opt/hf"},
        {"HF_TOKEN_PATH": "$HOME/secrets/token"},
        {"HF_HOME": "/opt/hf", "HF_TOKEN_PATH": "~/t"},
        {"HUGGINGFACE_CO_STAGING": "yes"},
    ],
)
def test_the_files_are_those_of_huggingface_hub(environment, run_python, monkeypatch):
    code = "from huggingface_hub import constants as c; print(c.HF_TOKEN_PATH); print(c.HF_STORED_TOKENS_PATH)"
    theirs = run_python(code, **environment).splitlines()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ours = store_paths()
    assert [str(ours.token), str(ours.stored_tokens)] == theirs
