"""A token goes to its own Hub, whoever names another one."""

from __future__ import annotations

import json

import pytest

from hfl_auth import AuthManager, TokenNotFoundError, WrongEndpointError
from hfl_auth._endpoints import PUBLIC
from hfl_core.errors import ConfigError, ConflictError

REAL = "hf_" + "Real" * 8  # as of the public Hub


def public_login(store, name="real", *, active=True):
    """Do what `hf auth login` does."""
    store.mkdir(parents=True, exist_ok=True)
    (store / "stored_tokens").write_text(f"[{name}]\nhf_token = {REAL}\n\n")
    (store / "stored_tokens").chmod(0o600)
    if active:
        (store / "token").write_text(REAL)
        (store / "token").chmod(0o600)


def test_a_token_that_hf_stored_belongs_to_the_public_hub(store, hub):
    public_login(store)
    assert AuthManager().credential().token == REAL
    assert AuthManager(endpoint=PUBLIC).credential().profile == "real"
    for auth in (AuthManager(endpoint=hub.endpoint), AuthManager("real", hub.endpoint)):
        with pytest.raises((TokenNotFoundError, WrongEndpointError), match=r"huggingface\.co"):
            auth.whoami()
    assert AuthManager(endpoint=hub.endpoint).credential().token is None


def test_a_hub_in_the_environment_does_not_get_a_stored_token_of_the_public_one(
    store, hub, monkeypatch
):
    public_login(store)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    hub.requests.clear()
    with pytest.raises(TokenNotFoundError, match=r"belongs to https://huggingface\.co"):
        AuthManager().whoami()
    assert hub.requests.count() == 0


def test_a_local_token_is_not_sent_to_the_public_hub(two_profiles, ann, monkeypatch):
    assert AuthManager(endpoint=PUBLIC).credential().token is None
    with pytest.raises(WrongEndpointError):
        AuthManager("ann", PUBLIC).credential()
    monkeypatch.setenv("HF_TOKEN", ann)  # pasted into the environment, without its Hub
    assert AuthManager(endpoint=PUBLIC).credential().token is None


def test_a_known_token_without_a_hub_is_not_taken_for_the_public_hubs(store, two_profiles, ann):
    public_login(store.parent / "unused")
    two_profiles.switch("bob")
    (store / "hfl_profiles.json").write_text(
        json.dumps({**json.loads((store / "hfl_profiles.json").read_text()), "endpoint": PUBLIC})
    )
    (store / "hfl_profiles.json").chmod(0o600)
    assert AuthManager().endpoint == PUBLIC
    with pytest.raises(WrongEndpointError, match="The token that was given"):
        AuthManager(token=ann).credential()


def test_a_token_and_a_hub_that_are_given_together_go_together(hub, ann, monkeypatch):
    assert AuthManager(endpoint=hub.endpoint, token=ann).whoami().name == "ann"
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_TOKEN", ann)
    assert AuthManager().whoami().name == "ann"
    assert AuthManager(token=ann).whoami().name == "ann"


def test_a_token_in_the_environment_stays_with_the_hub_of_the_environment(
    hub, other_hub, ann, monkeypatch
):
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_TOKEN", ann)
    other_hub.requests.clear()
    with pytest.raises(TokenNotFoundError, match=f"HF_TOKEN .it belongs to {hub.endpoint}"):
        AuthManager(endpoint=other_hub.endpoint).whoami()
    assert other_hub.requests.count() == 0


@pytest.mark.parametrize("given", ["environment", "argument", "token file", "active profile"])
def test_a_hub_that_a_cloned_project_names_gets_no_token(
    given, home, store, hub, other_hub, ann, monkeypatch
):
    (home / "project" / "hfl.toml").write_text(f'endpoint = "{other_hub.endpoint}"\n')
    other_hub.requests.clear()
    auth = AuthManager()
    if given == "environment":
        monkeypatch.setenv("HF_TOKEN", REAL)
    elif given == "argument":
        auth = AuthManager(token=REAL)
    elif given == "token file":
        public_login(store)
    else:
        AuthManager(endpoint=hub.endpoint).login(ann)
    assert auth.endpoint == other_hub.endpoint
    with pytest.raises((TokenNotFoundError, WrongEndpointError), match="belongs to"):
        auth.whoami()
    assert other_hub.requests.count() == 0


def test_a_token_that_is_typed_is_not_sent_on_the_word_of_a_project(home, other_hub):
    (home / "project" / "hfl.toml").write_text(f'endpoint = "{other_hub.endpoint}"\n')
    other_hub.requests.clear()
    for action in (AuthManager().login, AuthManager().validate):
        with pytest.raises(ConfigError, match="came with a project") as caught:
            action(REAL)
        assert f"--endpoint {other_hub.endpoint}" in str(caught.value)
        assert "hfl.toml" in str(caught.value)
    assert other_hub.requests.count() == 0


def test_a_dotenv_is_a_projects_word_too(home, other_hub, monkeypatch):
    pytest.importorskip("dotenv")
    (home / "project" / ".env").write_text(f"HFL_ENDPOINT={other_hub.endpoint}\n")
    monkeypatch.setenv("HF_TOKEN", REAL)
    assert AuthManager().endpoint == other_hub.endpoint
    assert AuthManager().credential().token is None
    with pytest.raises(ConfigError, match=r"\.env"):
        AuthManager().login(REAL)


def test_a_project_may_name_the_hub_where_one_signed_in_before(home, hub, ann):
    AuthManager(endpoint=hub.endpoint).login(ann, profile="lab")
    (home / "project" / "hfl.toml").write_text(f'endpoint = "{hub.endpoint}"\nprofile = "lab"\n')
    assert AuthManager().whoami().name == "ann"


def test_a_profile_is_not_moved_to_another_hub_by_the_environment(hub, other_hub, ann, monkeypatch):
    AuthManager(endpoint=hub.endpoint).login(ann, profile="lab")
    monkeypatch.setenv("HF_ENDPOINT", other_hub.endpoint)
    stranger = other_hub.create_user("ann")
    with pytest.raises(ConflictError, match="HF_ENDPOINT names"):
        AuthManager().login(stranger, profile="lab")
    moved = AuthManager(endpoint=other_hub.endpoint).login(stranger, profile="lab")
    assert moved.endpoint == other_hub.endpoint


def test_a_token_that_another_program_puts_under_our_name_is_not_sent_to_our_hub(store, hub, ann):
    AuthManager(endpoint=hub.endpoint).login(ann, profile="laptop")
    public_login(store, "laptop", active=False)  # `hf auth login` with a token of the same name
    profile = next(each for each in AuthManager().profiles() if each.name == "laptop")
    assert (profile.endpoint, profile.account) == (PUBLIC, None)
    with pytest.raises(WrongEndpointError):
        AuthManager("laptop", hub.endpoint).credential()


def test_a_token_of_the_same_name_at_another_hub_or_of_another_account_replaces_nothing(
    hub, other_hub
):
    first = hub.create_user("dora", token_name="laptop")
    second = other_hub.create_user("dora", token_name="laptop")
    third = hub.create_user("emil", token_name="laptop")
    names = [
        AuthManager(endpoint=place.endpoint).login(token).name
        for place, token in ((hub, first), (other_hub, second), (hub, third))
    ]
    assert names == ["laptop", "laptop-dora", "laptop-emil"]
    again = AuthManager(endpoint=hub.endpoint).login(hub.create_user("dora", token_name="laptop"))
    assert again.name == "laptop"  # a newer token of the same account
    assert AuthManager("laptop-dora").endpoint == other_hub.endpoint


def test_huggingface_hub_does_not_find_a_token_where_it_would_send_it_elsewhere(
    store, hub, ann, monkeypatch
):
    AuthManager(endpoint=hub.endpoint).login(ann)
    assert not (store / "token").exists()  # without HF_ENDPOINT it would go to the public Hub
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    AuthManager().login(ann)
    assert not (store / "token").exists()  # nor later, in a shell without the variable
    monkeypatch.setenv("HF_HOME", str(store))  # a home that somebody keeps for this Hub
    AuthManager().login(ann)
    assert (store / "token").read_text() == ann


def test_a_token_of_the_public_hub_in_the_token_file_stays_there(store, hub, ann, monkeypatch):
    public_login(store)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_HOME", str(store))
    AuthManager().login(ann, profile="lab")
    assert (store / "token").read_text() == REAL
    assert AuthManager().whoami().name == "ann"
    assert AuthManager(endpoint=PUBLIC).credential().token == REAL


def test_a_typed_token_of_another_hub_is_refused_before_it_is_sent(store, two_profiles, ann):
    path = store / "hfl_profiles.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "endpoint": PUBLIC}))
    for action in (AuthManager().validate, AuthManager().login):
        with pytest.raises(WrongEndpointError, match="The token that was given belongs to"):
            action(ann)


@pytest.mark.parametrize(
    ("endpoint", "is_warned"),
    [
        ("http://127.0.0.1:1", False),
        ("http://localhost:1", False),
        ("http://hub.localhost", False),
        ("http://[::1]:1", False),
        ("https://hub.example", False),
        ("http://hub.example", True),
        ("http://10.0.0.1", True),
    ],
)
def test_a_hub_that_does_not_encrypt_is_warned_of(endpoint, is_warned, caplog):
    from hfl_auth._login import warn_if_readable

    warn_if_readable(endpoint)
    assert ("not encrypted" in caplog.text) == is_warned
