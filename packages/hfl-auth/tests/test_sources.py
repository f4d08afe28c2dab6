"""Which token is used, and why: every place in its order."""

from __future__ import annotations

import dataclasses
import json

import pytest

from hfl_auth import (
    AuthManager,
    MalformedTokenError,
    ProfileNotFoundError,
    TokenNotFoundError,
    WrongEndpointError,
)
from hfl_core.errors import ConfigError

ORDER = ["argument", "environment", "project file", "profile", "token file", "keyring", "colab"]


def told(auth):
    return {each.source: each for each in auth.explain()}


def test_nobody_is_signed_in_and_that_is_no_error(hub):
    auth = AuthManager(endpoint=hub.endpoint)
    credential = auth.credential()
    assert (credential.token, credential.source, credential.profile) == (None, "none", None)
    assert {each.status for each in auth.explain()} == {"absent"}
    with pytest.raises(TokenNotFoundError, match="the environment, the project file") as caught:
        auth.whoami()
    assert caught.value.exit_code == 3


def test_the_places_are_asked_in_one_order(two_profiles, hub, ann, bob, home, monkeypatch):
    carl = hub.create_user("carl")
    auth = AuthManager(endpoint=hub.endpoint)
    assert auth.credential().source == "profile"
    (home / "project" / "hfl.toml").write_text('profile = "bob"\n')
    assert (auth.credential().source, auth.credential().token) == ("project file", bob)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_TOKEN", carl)
    assert (auth.credential().source, auth.credential().token) == ("environment", carl)
    monkeypatch.setenv("HFL_PROFILE", "ann")
    assert (auth.credential().source, auth.credential().token) == ("environment", ann)
    named = AuthManager("bob", hub.endpoint)
    assert (named.credential().source, named.credential().token) == ("argument", bob)
    given = AuthManager(endpoint=hub.endpoint, token=carl)
    assert (given.credential().source, given.credential().token) == ("argument", carl)
    assert [each.source for each in auth.explain()] == ORDER


def test_explain_tells_which_place_wins_and_why_the_others_lose(
    two_profiles, hub, ann, bob, monkeypatch
):
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_TOKEN", bob)
    reports = told(AuthManager())
    assert reports["argument"].status == "absent"
    assert reports["environment"].status == "used"
    assert reports["environment"].detail == "HF_TOKEN"
    assert reports["profile"].status == "overridden"
    assert reports["profile"].reason == "HF_TOKEN comes first"
    assert reports["profile"].profile == "ann"
    text = json.dumps([dataclasses.asdict(each) for each in AuthManager().explain()])
    assert ann not in text
    assert bob not in text
    assert f"{ann[:6]}\\u2026{ann[-4:]}" in text


def test_explain_sends_nothing(two_profiles, hub):
    before = hub.requests.count()
    two_profiles.explain()
    two_profiles.credential()
    assert hub.requests.count() == before


def test_the_old_variable_counts_when_the_new_one_is_empty(hub, ann, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_TOKEN", " ")
    monkeypatch.setenv("HUGGING_FACE_HUB_TOKEN", f'"{ann}"\n')
    credential = AuthManager().credential()
    assert (credential.token, credential.detail) == (ann, "HUGGING_FACE_HUB_TOKEN")


def test_a_variable_that_holds_no_token_is_named_and_nothing_else_is_used(
    two_profiles, hub, monkeypatch
):
    monkeypatch.setenv("HF_TOKEN", "hf_ab cd_secret")
    auth = AuthManager(endpoint=hub.endpoint)
    with pytest.raises(MalformedTokenError, match="HF_TOKEN") as caught:
        auth.credential()
    assert "secret" not in str(caught.value)
    assert told(auth)["environment"].status == "refused"
    assert told(auth)["profile"].status == "overridden"


@pytest.mark.parametrize("where", ["argument", "environment", "project"])
def test_a_profile_that_is_named_and_does_not_exist_is_never_replaced_by_another(
    where, two_profiles, hub, home, monkeypatch
):
    # Going on would push as somebody else than was asked for.
    if where == "environment":
        monkeypatch.setenv("HFL_PROFILE", "wrk")
    if where == "project":
        (home / "project" / "hfl.toml").write_text('profile = "wrk"\n')
    auth = AuthManager("wrk" if where == "argument" else None, hub.endpoint)
    with pytest.raises(ProfileNotFoundError, match="These exist: ann, bob") as caught:
        auth.credential()
    assert "hfl auth login --profile wrk" in str(caught.value)


def test_a_profile_brings_its_hub_along(two_profiles, hub):
    assert AuthManager("bob").endpoint == hub.endpoint
    assert AuthManager("bob").whoami().name == "bob"


def test_the_users_own_configuration_names_a_profile(two_profiles, hub, home, bob):
    config = home / "config" / "hfl" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('profile = "bob"\n')
    credential = AuthManager().credential()
    assert (credential.source, credential.token) == ("profile", bob)
    assert "config.toml" in credential.detail


def test_a_profile_and_a_token_together_are_refused(ann):
    with pytest.raises(ConfigError, match="may be two accounts"):
        AuthManager("work", token=ann)


def test_a_credential_and_a_manager_show_no_token(hub, ann):
    auth = AuthManager(endpoint=hub.endpoint, token=ann)
    assert ann not in repr(auth)
    assert ann not in repr(auth.credential())
    assert ann not in f"{auth.credential()}"
    assert repr(AuthManager("work", hub.endpoint)).startswith("AuthManager(profile='work', endp")
    assert auth.credential().masked == f"{ann[:6]}…{ann[-4:]}"
    assert AuthManager(endpoint=hub.endpoint).credential().masked is None


def test_a_profile_of_another_hub_is_refused_by_name(two_profiles, other_hub):
    auth = AuthManager("bob", other_hub.endpoint)
    with pytest.raises(WrongEndpointError, match="'bob' belongs to http://127") as caught:
        auth.credential()
    assert caught.value.endpoint == other_hub.endpoint
    assert told(auth)["argument"].status == "refused"


def test_a_dotenv_beside_the_project_counts_as_the_project(two_profiles, hub, home):
    pytest.importorskip("dotenv")
    (home / "project" / ".env").write_text("HFL_PROFILE=bob\n")
    credential = AuthManager(endpoint=hub.endpoint).credential()
    assert (credential.source, credential.profile) == ("project file", "bob")


COLAB = """
import sys, types, builtins, json
root = types.ModuleType("google"); root.__path__ = []
colab = types.ModuleType("google.colab"); colab.__path__ = []
errors = types.ModuleType("google.colab.errors"); errors.Error = type("Error", (Exception,), {})
userdata = types.SimpleNamespace(
    get=lambda name: {"HF_TOKEN": "hf_" + "colab" * 6}[name],
    NotebookAccessError=type("N", (Exception,), {}),
    SecretNotFoundError=type("S", (Exception,), {}),
)
colab.userdata, colab.errors = userdata, errors
for module in (root, colab, errors):
    sys.modules[module.__name__] = module
builtins.get_ipython = lambda: "<google.colab._shell.Shell>"  # how huggingface_hub tells
from hfl_auth import AuthManager
found = AuthManager().credential()
elsewhere = AuthManager(endpoint="http://127.0.0.1:1")
print(json.dumps([found.source, found.token, elsewhere.credential().token,
                  elsewhere.explain()[-1].status]))
"""


def test_a_colab_secret_is_for_the_public_hub_alone(run_python):
    source, token, elsewhere, status = json.loads(run_python(COLAB))
    assert (source, token) == ("colab", "hf_" + "colab" * 6)
    assert (elsewhere, status) == (None, "refused")
