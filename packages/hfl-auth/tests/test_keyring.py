"""Tokens in a keyring: a real backend that keeps its entries in a file."""

from __future__ import annotations

import pytest

from hfl_auth import AuthManager, ProfileNotFoundError
from hfl_core.errors import AuthError, IntegrityError

keyring = pytest.importorskip("keyring")
backends = pytest.importorskip("keyrings.alt.file")


@pytest.fixture
def backend(tmp_path):
    before = keyring.get_keyring()
    plain = backends.PlaintextKeyring()
    plain.file_path = str(tmp_path / "keyring.cfg")
    keyring.set_keyring(plain)
    yield plain
    keyring.set_keyring(before)


def entries(backend, auth, name):
    return backend.get_password(f"huggingface-lifecycle {auth.endpoint}", name)


def test_a_token_in_the_keyring_is_in_no_file(backend, hub, ann, store):
    auth = AuthManager(endpoint=hub.endpoint)
    profile = auth.login(ann, profile="work", storage="keyring")
    assert (profile.storage, profile.token, profile.is_active) == ("keyring", None, True)
    assert all(ann not in path.read_text() for path in store.iterdir())
    assert ann in entries(backend, auth, "work")
    credential = AuthManager().credential()
    assert (credential.token, credential.source, credential.profile) == (ann, "profile", "work")
    assert AuthManager("work").whoami().name == "ann"


def test_a_profile_moves_between_file_and_keyring_without_leaving_a_copy(
    backend, hub, ann, store, monkeypatch
):
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_HOME", str(store))
    auth = AuthManager(endpoint=hub.endpoint)
    auth.login(ann, profile="work")
    assert (store / "token").exists()
    auth.login(ann, profile="work", storage="keyring")
    assert not (store / "token").exists()
    assert ann not in (store / "stored_tokens").read_text()
    auth.login(ann, profile="work")
    assert entries(backend, auth, "work") is None
    assert [each.storage for each in auth.profiles()] == ["file"]


def test_a_profile_that_moves_to_another_hub_leaves_nothing_behind(backend, hub, other_hub, ann):
    first = AuthManager(endpoint=hub.endpoint)
    first.login(ann, profile="work", storage="keyring")
    second = AuthManager(endpoint=other_hub.endpoint)
    second.login(other_hub.create_user("ann"), profile="work", storage="keyring")
    assert entries(backend, first, "work") is None
    assert entries(backend, second, "work") is not None


def test_signing_out_empties_the_keyring(backend, hub, ann):
    auth = AuthManager(endpoint=hub.endpoint)
    auth.login(ann, profile="work", storage="keyring")
    assert auth.logout() == "work"
    assert entries(backend, auth, "work") is None
    assert auth.profiles() == []


def test_the_only_profile_in_the_keyring_is_found_when_none_was_chosen(backend, hub, ann, bob):
    auth = AuthManager(endpoint=hub.endpoint)
    auth.login(ann, profile="kept", storage="keyring")
    auth.login(bob, profile="other", storage="keyring")
    auth.login(bob, profile="third", storage="keyring")
    auth.logout("third")
    report = {each.source: each for each in auth.explain()}["keyring"]
    assert (report.status, report.token) == ("absent", None)
    assert "'kept', 'other'" in report.reason
    auth.logout("other")
    assert (auth.credential().source, auth.credential().token) == ("keyring", ann)


def test_explaining_does_not_open_the_keyring(backend, hub, ann, monkeypatch):
    auth = AuthManager(endpoint=hub.endpoint)
    auth.login(ann, profile="work", storage="keyring")
    keyring.set_keyring(keyring.backends.fail.Keyring())
    assert {each.source: each.status for each in auth.explain()}["profile"] == "used"


def test_a_changed_record_does_not_send_the_token_elsewhere(backend, hub, other_hub, ann, store):
    AuthManager(endpoint=hub.endpoint).login(ann, profile="work", storage="keyring")
    path = store / "hfl_profiles.json"
    path.write_text(path.read_text().replace(hub.endpoint, other_hub.endpoint))
    other_hub.requests.clear()
    with pytest.raises(ProfileNotFoundError):
        AuthManager("work").whoami()
    assert other_hub.requests.count() == 0


def test_an_entry_that_is_none_of_ours_is_reported_and_not_shown(backend, hub, ann):
    auth = AuthManager(endpoint=hub.endpoint)
    auth.login(ann, profile="work", storage="keyring")
    for text in ("hf_pass", "[]", "{}"):
        backend.set_password(f"huggingface-lifecycle {hub.endpoint}", "work", text)
        with pytest.raises(IntegrityError, match="'work' cannot be understood") as caught:
            auth.credential()
        assert "hf_pass" not in str(caught.value)


def test_a_machine_without_a_keyring_is_told_what_to_do(backend, hub, ann, store):
    keyring.set_keyring(keyring.backends.fail.Keyring())
    with pytest.raises(AuthError, match=r"no keyring .* --storage file"):
        AuthManager(endpoint=hub.endpoint).login(ann, storage="keyring")
    assert AuthManager().profiles() == []


def test_a_locked_keyring_is_told_without_its_content(backend, hub, ann):
    class Locked(backends.PlaintextKeyring):
        def get_password(self, service, username):
            raise keyring.errors.KeyringLocked("the secret is hf_oops")

    auth = AuthManager(endpoint=hub.endpoint)
    auth.login(ann, profile="work", storage="keyring")
    keyring.set_keyring(Locked())
    with pytest.raises(AuthError, match="KeyringLocked") as caught:
        auth.credential()
    assert "oops" not in str(caught.value)


def test_without_the_extra_the_extra_is_named(run_python, hub, ann):
    code = """
import sys
sys.modules["keyring"] = None
from hfl_auth import AuthManager
from hfl_core.errors import MissingExtraError
try:
    AuthManager(endpoint=sys.argv[1]).login(sys.argv[2], storage="keyring")
except MissingExtraError as error:
    print(error)
"""
    assert "pip install 'hfl-auth[keyring]'" in run_python(code, hub.endpoint, ann)


def test_a_token_of_the_keyring_is_recognised_elsewhere(backend, hub, ann, monkeypatch):
    AuthManager(endpoint=hub.endpoint).login(ann, profile="work", storage="keyring")
    monkeypatch.setenv("HF_TOKEN", ann)  # without its Hub
    assert AuthManager(endpoint="https://huggingface.co").credential().token is None
    assert AuthManager().credential().detail == "HF_TOKEN"
