"""Who am I, and where may I write."""

from __future__ import annotations

import datetime as dt
import http.server
import logging
import threading

import pytest

from hfl_auth import AuthManager, Identity, InvalidTokenError, WrongAccountError
from hfl_auth._identity import identity_from
from hfl_core.errors import HflError, NetworkError, PermissionDeniedError, RateLimitError

TOKEN = "hf_" + "Tokn" * 8


def test_the_hub_says_who_it_is(local_hub):
    token = local_hub.create_user("ann", orgs={"lab": "admin", "guests": "read"}, token_name="pc")
    identity = AuthManager(endpoint=local_hub.endpoint, token=token).whoami()
    assert identity == Identity(
        "ann",
        {"guests": "read", "lab": "admin"},
        "write",
        token_name="pc",
        endpoint=local_hub.endpoint,
    )
    assert AuthManager().whoami().name == "local"  # what the fixture put into the environment


def test_the_hub_is_asked_once_per_token(hub, ann, bob, two_profiles):
    hub.requests.clear()
    for _ in range(3):
        two_profiles.whoami()
    with two_profiles.use("bob"):
        assert two_profiles.whoami().name == "bob"
        assert two_profiles.whoami().name == "bob"
    assert two_profiles.whoami().name == "ann"
    # Signing in was an answer, too.
    assert hub.requests.count("GET", "/api/whoami-v2") == 0
    two_profiles.whoami(refresh=True)
    assert hub.requests.count("GET", "/api/whoami-v2") == 1


def test_a_token_that_the_hub_does_not_accept_is_named_by_its_place(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(InvalidTokenError, match="the token from HF_TOKEN") as caught:
        AuthManager().whoami()
    assert caught.value.exit_code == 3
    assert "hfl auth login" in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_a_token_can_be_validated_without_keeping_it(hub, ann, store):
    assert AuthManager(endpoint=hub.endpoint).validate(f'"{ann}"').name == "ann"
    assert not (store / "stored_tokens").exists()
    with pytest.raises(InvalidTokenError):
        AuthManager(endpoint=hub.endpoint).validate(TOKEN)


def test_a_hub_that_is_not_there_is_a_network_error(hub, ann, monkeypatch):
    monkeypatch.setenv("HFL_RETRY_ATTEMPTS", "1")
    with pytest.raises(NetworkError, match="does not answer") as caught:
        AuthManager(endpoint="http://127.0.0.1:1", token=ann).whoami()
    assert ann not in str(caught.value)


def test_offline_nobody_is_asked(hub, ann, monkeypatch):
    monkeypatch.setenv("HFL_OFFLINE", "1")
    hub.requests.clear()
    with pytest.raises(NetworkError, match="HFL_OFFLINE"):
        AuthManager(endpoint=hub.endpoint, token=ann).whoami()
    assert hub.requests.count() == 0


def test_huggingface_hubs_offline_mode_is_named(run_python, hub, ann):
    code = """
import sys
from hfl_auth import AuthManager
from hfl_core.errors import NetworkError
try:
    AuthManager(endpoint=sys.argv[1], token=sys.argv[2]).whoami()
except NetworkError as error:
    print(error)
"""
    printed = run_python(code, hub.endpoint, ann, HF_HUB_OFFLINE="1", HFL_RETRY_ATTEMPTS="1")
    assert "HF_HUB_OFFLINE is set" in printed


def test_a_hub_that_stumbles_is_asked_again(local_hub):
    local_hub.faults.answer(503, path="/api/whoami-v2", times=1)
    assert AuthManager().whoami().name == "local"
    assert local_hub.requests.count("GET", "/api/whoami-v2") == 2


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (403, PermissionDeniedError, "does not let it ask"),
        (429, RateLimitError, "asked too often"),
        (500, NetworkError, "error 500"),
        (404, HflError, "not what a Hub answers: it has the status 404"),
    ],
)
def test_each_refusal_has_its_error(local_hub, monkeypatch, status, kind, text):
    monkeypatch.setenv("HFL_RETRY_ATTEMPTS", "1")
    local_hub.faults.answer(status, path="/api/whoami-v2", times=None, retry_after=7)
    with pytest.raises(kind, match=text) as caught:
        AuthManager().whoami()
    if kind is RateLimitError:
        assert caught.value.retry_after == 7


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"name": 5}'])
def test_what_is_no_hub_is_reported(body, monkeypatch):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(HflError, match="not what a Hub answers"):
            AuthManager(endpoint=f"http://127.0.0.1:{server.server_port}", token=TOKEN).whoami()
        thread.join()


# -- where may I write ------------------------------------------------------------------------


def test_writing_to_the_wrong_namespace_is_refused_by_name(two_profiles):
    auth = two_profiles
    assert auth.require_write("ann").name == "ann"
    assert auth.require_write("lab/digits").name == "ann"
    with pytest.raises(WrongAccountError, match="'ann' may not write to 'acme/digits'") as caught:
        auth.require_write("acme/digits")
    assert "It may write to: ann, lab. It also belongs to: guests." in str(caught.value)
    assert caught.value.orgs == ("guests", "lab")
    assert caught.value.exit_code == 9
    with pytest.raises(WrongAccountError):
        auth.require_write("guests")


def test_a_read_token_writes_nowhere(two_profiles):
    with two_profiles.use("bob"), pytest.raises(WrongAccountError, match="only read"):
        two_profiles.require_write("bob")


def test_a_fine_grained_token_writes_where_it_is_told(hub):
    scopes = [("carl/one", "write"), ("team", "write"), ("carl", "read")]
    token = hub.create_user("carl", orgs=["team"], role="fineGrained", scopes=scopes)
    identity = AuthManager(endpoint=hub.endpoint, token=token).whoami()
    assert identity.role == "fineGrained"
    wanted = ["carl/one", "carl/two", "carl", "team", "team/x", "else"]
    assert [each for each in wanted if identity.can_write(each)] == ["carl/one", "team", "team/x"]
    assert identity.writable == ("team",)


def test_what_the_hub_leaves_out_is_left_to_the_hub():
    identity = identity_from(
        {"name": "ann", "orgs": [{"name": "lab"}, {}, 5], "auth": {"type": "oauth"}}, endpoint="e"
    )
    assert (identity.role, dict(identity.orgs)) == ("oauth", {"lab": ""})
    assert identity.can_write("lab")
    fine = Identity("ann", {}, "fineGrained")
    assert fine.can_write("ann")
    assert not fine.can_write("lab")


def test_an_organization_can_be_an_account():
    body = {"type": "org", "name": "lab", "auth": {"accessToken": {"role": "write"}}}
    assert identity_from(body, endpoint="e").kind == "org"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2030-01-02T03:04:05.000Z", dt.datetime(2030, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc)),
        ("2030-01-02T03:04:05", dt.datetime(2030, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc)),
        ("soon", None),
        (5, None),
    ],
)
def test_the_expiry_is_read_where_the_hub_tells_it(text, expected):
    body = {"name": "ann", "auth": {"accessToken": {"expiresAt": text}}}
    assert identity_from(body, endpoint="e").expires_at == expected


def test_a_token_that_ends_soon_is_said_once(caplog):
    from hfl_auth._expiry import warn_of_expiry

    with caplog.at_level(logging.WARNING, logger="hfl"):
        warn_of_expiry("hf_expiring", 1000 + 86400, place="HF_TOKEN", now=1000)
        warn_of_expiry("hf_expiring", 1000 + 86400, place="HF_TOKEN", now=1000)
        warn_of_expiry("hf_expired", 500, place="the profile 'x'", now=1000)
        warn_of_expiry("hf_fine", 1000 + 30 * 86400, place="HF_TOKEN", now=1000)
        warn_of_expiry("hf_never", None, place="HF_TOKEN", now=1000)
    assert len(caplog.records) == 2
    assert "expires on 1970-01-02" in caplog.text
    assert "'x' expired on 1970-01-01" in caplog.text
