"""Signing in with a browser, renewing, and CI jobs: huggingface_hub's flows against a real server."""

from __future__ import annotations

import importlib.util
import logging
import time
from pathlib import Path

import pytest

from hfl_auth import AuthManager, LoginError
from hfl_auth._credential import Secret
from hfl_auth._records import Record
from hfl_auth._store import TokenStore
from hfl_core.errors import AuthError


def _load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


OAuthHub = _load("oauth_server").OAuthHub
CAN_DO_IT = importlib.util.find_spec("huggingface_hub.utils._oauth_device") is not None
new_enough = pytest.mark.skipif(not CAN_DO_IT, reason="huggingface_hub 2.0 brings it")
too_old = pytest.mark.skipif(CAN_DO_IT, reason="huggingface_hub 2.0 brings it")


@pytest.fixture
def oauth():
    with OAuthHub() as running:
        yield running


@new_enough
def test_a_person_signs_in_with_a_browser(oauth, store):
    from huggingface_hub import constants

    shown = []
    theirs = constants.ENDPOINT
    auth = AuthManager(endpoint=oauth.endpoint)
    profile = auth.login_with_browser(shown.append)
    assert theirs == constants.ENDPOINT  # other threads talk to their own Hub meanwhile
    assert [(each.url, each.code) for each in shown] == [(f"{oauth.endpoint}/device", "ABCD-1234")]
    assert (profile.name, profile.account) == ("oauth-ann", "ann")
    assert profile.expires_at is not None
    assert AuthManager().credential().token == oauth.token
    assert f"refresh_token = {oauth.refresh_token}" in (store / "stored_tokens").read_text()


@new_enough
@pytest.mark.parametrize(
    ("error", "text"),
    [("access_denied", "denied"), ("expired_token", "expired"), ("odd_error", "odd_error")],
)
def test_a_sign_in_that_fails_says_why_and_keeps_nothing(oauth, error, text):
    oauth.answers = [{"error": error}]
    with pytest.raises(LoginError, match=text):
        AuthManager(endpoint=oauth.endpoint).login_with_browser(lambda _: None)
    assert AuthManager().profiles() == []


@new_enough
def test_a_hub_without_device_codes_is_reported(hub):
    with pytest.raises(LoginError, match=f"Signing in at {hub.endpoint} did not work"):
        AuthManager(endpoint=hub.endpoint).login_with_browser(lambda _: None)


@new_enough
def test_what_goes_wrong_while_the_code_is_shown_is_not_the_hubs_fault(oauth):
    def show(code):
        raise ValueError("the screen is off")

    with pytest.raises(ValueError, match="the screen is off"):
        AuthManager(endpoint=oauth.endpoint).login_with_browser(show)


@pytest.mark.parametrize("storage", ["file", "keyring"])
@new_enough
def test_a_token_that_ends_soon_is_renewed(oauth, storage, tmp_path):
    if storage == "keyring":
        keyring = pytest.importorskip("keyring")
        before = keyring.get_keyring()
        plain = pytest.importorskip("keyrings.alt.file").PlaintextKeyring()
        plain.file_path = str(tmp_path / "keyring.cfg")
        keyring.set_keyring(plain)
    try:
        auth = AuthManager(endpoint=oauth.endpoint)
        auth.login_with_browser(lambda _: None, storage=storage)
        first = oauth.token
        oauth.expires_in = 30 * 86400
        assert auth.credential().token == oauth.token != first
        renewals = [each for each in oauth.seen if each[1].get("grant_type") == "refresh_token"]
        assert len(renewals) == 1
        assert auth.credential().token == oauth.token  # good for a month now
        assert AuthManager("oauth-ann").endpoint == oauth.endpoint
        assert auth.whoami().name == "ann"
    finally:
        if storage == "keyring":
            keyring.set_keyring(before)


@new_enough
def test_the_token_file_follows_a_renewal(oauth, store, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", oauth.endpoint)
    monkeypatch.setenv("HF_HOME", str(store))
    auth = AuthManager()
    auth.login_with_browser(lambda _: None)
    oauth.expires_in = 30 * 86400
    credential = auth.credential()
    assert (store / "token").read_text() == oauth.token == credential.token
    assert auth.credential().source == "profile"


@new_enough
def test_a_token_that_never_lasts_long_is_not_renewed_all_the_time(oauth):
    auth = AuthManager(endpoint=oauth.endpoint)
    auth.login_with_browser(lambda _: None)
    tokens = [auth.credential().token for _ in range(3)]
    assert tokens == [oauth.token] * 3
    assert sum(each[1].get("grant_type") == "refresh_token" for each in oauth.seen) == 1


@new_enough
def test_what_another_process_renewed_is_taken_over(oauth, monkeypatch):
    from hfl_auth import _expiry

    auth = AuthManager(endpoint=oauth.endpoint)
    auth.login_with_browser(lambda _: None)
    store = TokenStore()
    stale = store.snapshot().profile("oauth-ann")
    oauth.expires_in = 30 * 86400
    auth.credential()
    monkeypatch.setattr(_expiry, "_tried", {})  # as in a process that has not tried yet
    assert _expiry.renewed_if_due(store, stale, stale.secret).token == oauth.token


@new_enough
def test_a_token_that_cannot_be_renewed_is_used_while_it_lasts(oauth, caplog):
    auth = AuthManager(endpoint=oauth.endpoint)
    auth.login_with_browser(lambda _: None)
    token, oauth.refresh_token = oauth.token, "used up"
    with caplog.at_level(logging.WARNING, logger="hfl"):
        assert auth.credential().token == token
    assert "could not be renewed" in caplog.text
    assert token not in caplog.text


@new_enough
def test_a_ci_job_gets_a_token_of_its_own(oauth, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", oauth.endpoint)
    monkeypatch.setenv("HF_OIDC_RESOURCE", "ann/digits")
    monkeypatch.setenv("HF_OIDC_ID_TOKEN", "job-identity")
    monkeypatch.setenv("HF_TOKEN", "hf_" + "Tokn" * 8)
    auth = AuthManager()
    assert auth.explain()[1].status == "used"
    assert oauth.seen == []
    credential = auth.credential()
    assert (credential.token, credential.detail) == (oauth.token, "HF_OIDC_RESOURCE")
    assert auth.credential().token == credential.token
    assert [fields["resource"] for _, fields in oauth.seen] == ["ann/digits"]
    assert auth.whoami().name == "ann"
    assert AuthManager(endpoint="http://127.0.0.1:1").explain()[1].status == "refused"


@new_enough
def test_a_job_that_the_hub_does_not_know_is_told(oauth, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", oauth.endpoint)
    monkeypatch.setenv("HF_OIDC_RESOURCE", "ann/digits")
    with pytest.raises(AuthError, match="HF_OIDC_RESOURCE"):
        AuthManager().credential()  # no identity at all
    monkeypatch.setenv("HF_OIDC_ID_TOKEN", "another-identity")
    with pytest.raises(AuthError, match="trusted publisher") as caught:
        AuthManager().credential()
    assert "another-identity" not in str(caught.value)


@too_old
def test_an_old_huggingface_hub_says_which_one_is_needed(oauth, monkeypatch):
    with pytest.raises(LoginError, match=r"needs huggingface_hub 2\.0, and 0\."):
        AuthManager(endpoint=oauth.endpoint).login_with_browser(lambda _: None)
    monkeypatch.setenv("HF_OIDC_RESOURCE", "ann/digits")
    with pytest.raises(AuthError, match=r"huggingface_hub 2\.0"):
        AuthManager().credential()


@too_old
def test_an_old_huggingface_hub_uses_a_token_that_it_cannot_renew(oauth, caplog):
    token = "hf_oauth_" + "late" * 6
    record = Record(oauth.endpoint, "file", "ann", None)
    TokenStore().save("x", record, Secret(token, "refresh", int(time.time()) + 60))
    with caplog.at_level(logging.WARNING, logger="hfl"):
        assert AuthManager("x").credential().token == token
    assert "needs huggingface_hub 2.0" in caplog.text
