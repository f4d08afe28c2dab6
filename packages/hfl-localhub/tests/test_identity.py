from __future__ import annotations

import base64
import itertools

import pytest

from hfl_core.errors import ConfigError, NotFoundError
from hfl_localhub import LocalHub


def test_whoami_tells_name_organizations_and_role(ann):
    answer = ann.get("/api/whoami-v2").json()
    assert answer["name"] == "ann"
    assert [org["name"] for org in answer["orgs"]] == ["lab"]
    assert answer["auth"]["accessToken"]["role"] == "write"
    assert answer["auth"]["accessToken"]["displayName"]


def test_no_token_and_a_wrong_token_are_told_apart(nobody, api_for, hub):
    assert nobody.get("/api/whoami-v2").status == 401
    answer = api_for(hub, "hf_wrong").get("/api/models")
    assert (answer.status, answer.headers["x-error-message"]) == (
        401,
        "Invalid credentials in Authorization header",
    )


@pytest.mark.parametrize("header", ["Bearer", "Digest abc", "Basic !!!"])
def test_an_authorization_header_that_makes_no_sense_is_refused(nobody, header):
    assert nobody.get("/api/models", Authorization=header).status == 401


def test_git_signs_in_with_the_token_as_password(ann, nobody):
    repo = ann.new_repo(private=True)
    basic = base64.b64encode(f"ann:{ann.token}".encode()).decode()
    answer = nobody.get(
        f"/{repo}/info/refs?service=git-upload-pack", Authorization=f"Basic {basic}"
    )
    assert answer.status == 200


def test_a_read_token_reads_private_repositories_and_writes_nothing(ann, hub, api_for):
    reader = api_for(hub, hub.create_user("ann", role="read"))
    repo = ann.new_repo(private=True)
    assert reader.get(f"/api/models/{repo}").status == 200
    assert reader.commit(repo, {"a.txt": b"1"}).status == 403
    assert reader.call("POST", "/api/repos/create", {"name": "new"}).status == 403
    assert reader.call("DELETE", "/api/repos/delete", {"name": repo}).status == 403
    assert reader.batch(repo, "0" * 64, 1).status == 403
    assert reader.get(f"/api/models/{repo}/auth-check/write").status == 403


def test_a_fine_grained_token_reaches_what_it_names(ann, hub, api_for):
    one, two = ann.new_repo(private=True), ann.new_repo(private=True)
    scopes = [(one, "write"), ("lab", "read")]
    fine = api_for(hub, hub.create_user("ann", role="fineGrained", scopes=scopes))
    shared = ann.new_repo(namespace="lab", private=True)
    assert fine.commit(one, {"a.txt": b"1"}).status == 200
    assert fine.get(f"/api/models/{two}").code == "RepoNotFound"
    assert fine.get(f"/api/models/{shared}").status == 200
    assert fine.commit(shared, {"a.txt": b"1"}).status == 403
    scoped = fine.get("/api/whoami-v2").json()["auth"]["accessToken"]["fineGrained"]["scoped"]
    assert {item["entity"]["name"] for item in scoped} == {one, "lab"}


def test_the_role_in_an_organization_limits_what_a_member_does(ann, hub, api_for):
    repo = ann.new_repo(namespace="lab", private=True)
    guest = api_for(hub, hub.create_user("guest", orgs={"lab": "read"}))
    assert guest.get(f"/api/models/{repo}").status == 200
    assert guest.commit(repo, {"a.txt": b"1"}).status == 403
    members = {item["user"] for item in guest.get("/api/organizations/lab/members").json()}
    assert members == {"ann", "guest"}
    assert guest.get("/api/organizations/lab/overview").json()["numUsers"] == 2


def test_tokens_expire_and_can_be_revoked(tmp_path, api_for):
    now = itertools.count(1000.0, 0.001)
    shift = [0.0]
    with LocalHub(tmp_path / "hub", clock=lambda: next(now) + shift[0]) as hub:
        api = api_for(hub, hub.create_user("ann", lifetime=60))
        other = api_for(hub, hub.create_user("ann"))
        assert api.get("/api/whoami-v2").status == 200
        shift[0] = 61
        assert api.get("/api/whoami-v2").status == 401
        assert other.get("/api/whoami-v2").status == 200
        hub.revoke_token(other.token)
        assert other.get("/api/whoami-v2").status == 401
        with pytest.raises(NotFoundError):
            hub.revoke_token(other.token)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("../ann", {}),
        ("a/b", {}),
        ("", {}),
        ("ann", {"role": "owner"}),
        ("ann", {"orgs": {"lab2": "owner"}}),
        ("ann", {"orgs": ["ann"]}),
        ("lab", {}),
        ("dora", {"orgs": ["ann"]}),
    ],
)
def test_users_that_make_no_sense_are_not_created(ann, hub, name, options):
    with pytest.raises(ConfigError):
        hub.create_user(name, **options)


def test_people_and_organizations_have_overviews(ann, nobody):
    repo = ann.new_repo()
    overview = nobody.get("/api/users/ann/overview").json()
    assert overview["user"] == "ann"
    assert overview["numModels"] >= 1
    assert repo
    assert nobody.get("/api/users/no-such/overview").status == 404
    assert nobody.get("/api/organizations/no-such/members").status == 404


def test_tokens_are_kept_as_digests_only(ann, hub):
    stored = (hub.root / "accounts.json").read_text()
    assert ann.token not in stored
    assert (hub.root / "accounts.json").stat().st_mode & 0o077 == 0
