from __future__ import annotations

import pytest


@pytest.fixture
def repo(ann):
    return ann.new_repo()


def branches(api, repo):
    refs = api.get(f"/api/models/{repo}/refs").json()
    return {item["name"]: item["targetCommit"] for item in refs["branches"]}


def tags(api, repo):
    refs = api.get(f"/api/models/{repo}/refs").json()
    return {item["name"]: item["targetCommit"] for item in refs["tags"]}


def test_a_branch_starts_at_main_or_where_it_is_told(ann, repo):
    first = ann.head_of(repo)
    second = ann.commit(repo, {"a": b"1"}).json()["commitOid"]
    ann.call("POST", f"/api/models/{repo}/branch/one", {})
    ann.call("POST", f"/api/models/{repo}/branch/two%2Fdeep", {"startingPoint": first})
    assert branches(ann, repo) == {"main": second, "one": second, "two/deep": first}
    answer = ann.call("POST", f"/api/models/{repo}/branch/x", {"startingPoint": "no-such"})
    assert answer.code == "RevisionNotFound"


def test_an_empty_branch_has_no_files(ann, repo):
    ann.call("POST", f"/api/models/{repo}/branch/empty", {"emptyBranch": True})
    assert ann.paths(repo, "empty") == {}


def test_a_branch_is_created_once_and_deleted_once(ann, repo):
    url = f"/api/models/{repo}/branch/dev"
    assert ann.call("POST", url, {}).status == 200
    assert ann.call("POST", url, {}).status == 409
    assert ann.call("DELETE", url).status == 200
    assert ann.call("DELETE", url).code == "RevisionNotFound"
    assert ann.call("DELETE", f"/api/models/{repo}/branch/main").status == 403


def test_names_that_are_paths_of_each_other_clash(ann, repo):
    assert ann.call("POST", f"/api/models/{repo}/branch/a", {}).status == 200
    assert ann.call("POST", f"/api/models/{repo}/branch/a%2Fb", {}).status == 409
    assert ann.call("POST", f"/api/models/{repo}/branch/c%2Fd", {}).status == 200
    assert ann.call("POST", f"/api/models/{repo}/branch/c", {}).status == 409


BAD = [
    "a..b",
    "a b",
    "-x",
    "a~1",
    "x.lock",
    "HEAD",
    "refs/heads/x",
    "0" * 40,
    "a:b",
    "é" * 130,
    "@{",
]


@pytest.mark.parametrize("name", BAD)
def test_names_that_git_does_not_take_are_refused(ann, repo, name):
    from urllib.parse import quote

    answer = ann.call("POST", f"/api/models/{repo}/branch/{quote(name, safe='')}", {})
    assert (answer.status, answer.code) == (400, "InvalidReference")
    answer = ann.call("POST", f"/api/models/{repo}/tag/main", {"tag": name})
    assert (answer.status, answer.code) == (400, "InvalidReference")
    for kind in ("branch", "tag"):
        answer = ann.call("DELETE", f"/api/models/{repo}/{kind}/{quote(name, safe='')}")
        assert answer.code == "RevisionNotFound"


@pytest.mark.parametrize("message", [None, "the first one"])
def test_a_tag_keeps_its_commit(ann, repo, message):
    first = ann.head_of(repo)
    body = {"tag": "v1", "message": message}
    assert ann.call("POST", f"/api/models/{repo}/tag/main", body).status == 200
    ann.commit(repo, {"a": b"1"})
    assert tags(ann, repo) == {"v1": first}
    assert ann.call("POST", f"/api/models/{repo}/tag/main", body).status == 409
    assert ann.call("DELETE", f"/api/models/{repo}/tag/v1").status == 200
    assert tags(ann, repo) == {}
    assert ann.call("DELETE", f"/api/models/{repo}/tag/v1").code == "RevisionNotFound"


def test_history_comes_newest_first_in_pages(ann, repo):
    made = [ann.commit(repo, {"a": str(i).encode()}).json()["commitOid"] for i in range(4)]
    answer = ann.get(f"/api/models/{repo}/commits/main?limit=2")
    assert [item["id"] for item in answer.json()] == [made[3], made[2]]
    second = ann.get(answer.link)
    assert [item["id"] for item in second.json()] == [made[1], made[0]]
    third = ann.get(second.link)
    assert [item["title"] for item in third.json()] == ["initial commit"]
    assert not third.link
    assert ann.get(f"/api/models/{repo}/commits/no-such").code == "RevisionNotFound"


def test_a_squashed_branch_has_one_commit_with_the_same_files(ann, repo):
    before = [ann.commit(repo, {"a": str(i).encode()}).json()["commitOid"] for i in range(3)]
    ann.call("POST", f"/api/models/{repo}/branch/other", {})
    url = f"/api/models/{repo}/super-squash/main"
    assert ann.call("POST", url, {"message": "all of it"}).status == 200
    history = ann.get(f"/api/models/{repo}/commits/main").json()
    assert [item["title"] for item in history] == ["all of it"]
    assert ann.get(f"/{repo}/resolve/main/a").body == b"2"
    # What another branch still has stays reachable.
    assert len(ann.get(f"/api/models/{repo}/commits/other").json()) == 4
    assert ann.get(f"/{repo}/resolve/{before[0]}/a").body == b"0"
    ann.call("DELETE", f"/api/models/{repo}/branch/other")
    assert ann.call("POST", url, {}).status == 200
    assert ann.get(f"/{repo}/resolve/{before[0]}/a").code == "RevisionNotFound"
    assert (
        ann.call("POST", f"/api/models/{repo}/super-squash/no-such", {}).code == "RevisionNotFound"
    )


def test_only_who_may_write_changes_references(ann, bob, repo):
    assert bob.call("POST", f"/api/models/{repo}/branch/x", {}).status == 403
    assert bob.call("POST", f"/api/models/{repo}/tag/main", {"tag": "x"}).status == 403
    assert bob.call("POST", f"/api/models/{repo}/super-squash/main", {}).status == 403
