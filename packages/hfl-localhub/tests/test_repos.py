from __future__ import annotations

import pytest


def test_a_new_repository_has_an_initial_commit_on_main(ann):
    repo = ann.new_repo()
    commits = ann.get(f"/api/models/{repo}/commits/main").json()
    assert [commit["title"] for commit in commits] == ["initial commit"]
    assert list(ann.paths(repo)) == [".gitattributes"]


def test_creating_a_repository_twice_is_a_conflict_that_names_the_url(ann):
    repo = ann.new_repo()
    answer = ann.call("POST", "/api/repos/create", {"name": repo.split("/")[1]})
    assert answer.status == 409
    assert answer.json()["url"] == f"{ann.hub.endpoint}/{repo}"


@pytest.mark.parametrize("kind", ["dataset", "space"])
def test_repositories_of_other_types_have_their_own_names_and_urls(ann, kind):
    repo = ann.new_repo(kind, sdk="gradio")
    info = ann.get(f"/api/{kind}s/{repo}")
    assert info.json()["id"] == repo
    assert ann.get(f"/api/models/{repo}").code == "RepoNotFound"
    taken = ann.call(
        "POST", "/api/repos/create", {"name": repo.split("/")[1], "type": kind, "sdk": "gradio"}
    )
    assert taken.json()["url"] == f"{ann.hub.endpoint}/{kind}s/{repo}"


def test_a_space_needs_an_sdk(ann):
    answer = ann.call("POST", "/api/repos/create", {"name": "page", "type": "space"})
    assert answer.status == 400


def test_a_member_creates_repositories_for_an_organization_and_a_stranger_does_not(ann, bob):
    repo = ann.new_repo(namespace="lab")
    assert repo.startswith("lab/")
    assert ann.get(f"/api/models/{repo}").json()["author"] == "lab"
    answer = bob.call("POST", "/api/repos/create", {"name": "x", "organization": "lab"})
    assert answer.status == 403


def test_deleting_a_repository_removes_it_and_the_files_that_only_it_held(ann):
    first, second = ann.new_repo(), ann.new_repo()
    shared, own = b"shared" * 1000, b"only in the first" * 1000
    ann.commit_large(first, {"a.bin": shared, "b.bin": own})
    ann.commit_large(second, {"a.bin": shared})
    before = ann.hub.used_storage()
    answer = ann.call("DELETE", "/api/repos/delete", {"name": first.split("/")[1]})
    assert answer.status == 200
    assert ann.get(f"/api/models/{first}").code == "RepoNotFound"
    assert before - ann.hub.used_storage() == len(own)
    assert ann.get(f"/{second}/resolve/main/a.bin").body == shared


def test_a_moved_repository_redirects_from_its_old_name(ann):
    repo = ann.new_repo()
    ann.commit(repo, {"a b.txt": b"text"})
    target = f"{repo}-moved"
    answer = ann.call(
        "POST", "/api/repos/move", {"fromRepo": repo, "toRepo": target, "type": "model"}
    )
    assert answer.status == 200
    old = ann.call("HEAD", f"/{repo}/resolve/main/a%20b.txt")
    assert (old.status, old.headers["location"]) == (307, f"/{target}/resolve/main/a%20b.txt")
    assert ann.get(old.headers["location"]).body == b"text"
    old = ann.get(f"/api/models/{repo}?blobs=true")
    assert old.headers["location"] == f"/api/models/{target}?blobs=true"
    # Who writes to the old name reaches the repository, too.
    assert ann.commit(repo, {"c.txt": b"more"}).status == 200
    assert "c.txt" in ann.paths(target)


def test_moving_twice_leads_from_the_first_name_to_the_last(ann):
    repo = ann.new_repo()
    for target in (f"{repo}-b", f"{repo}-c"):
        source = repo if target.endswith("b") else f"{repo}-b"
        ann.call("POST", "/api/repos/move", {"fromRepo": source, "toRepo": target})
    assert ann.get(f"/api/models/{repo}").headers["location"] == f"/api/models/{repo}-c"


def test_a_name_that_was_moved_away_from_can_be_used_again(ann):
    repo = ann.new_repo()
    ann.call("POST", "/api/repos/move", {"fromRepo": repo, "toRepo": f"{repo}-away"})
    assert ann.call("POST", "/api/repos/create", {"name": repo.split("/")[1]}).status == 200
    assert ann.get(f"/api/models/{repo}").json()["id"] == repo


def test_a_repository_does_not_move_onto_another_or_into_a_foreign_namespace(ann):
    one, two = ann.new_repo(), ann.new_repo()
    move = {"fromRepo": one, "toRepo": two}
    assert ann.call("POST", "/api/repos/move", move).status == 409
    move = {"fromRepo": one, "toRepo": "bob/mine"}
    assert ann.call("POST", "/api/repos/move", move).status == 403
    assert ann.get(f"/api/models/{one}").status == 200


@pytest.mark.parametrize("body", [{"private": True}, {"visibility": "private"}])
def test_visibility_is_changed_as_either_version_of_the_client_asks(ann, nobody, body):
    repo = ann.new_repo()
    assert nobody.get(f"/api/models/{repo}").status == 200
    assert ann.call("PUT", f"/api/models/{repo}/settings", body).json()["private"] is True
    assert nobody.get(f"/api/models/{repo}").code == "RepoNotFound"


@pytest.mark.parametrize(
    "body", [{"private": "yes"}, {"visibility": "hidden"}, {"gated": "sometimes"}]
)
def test_settings_that_make_no_sense_change_nothing(ann, body):
    repo = ann.new_repo()
    assert ann.call("PUT", f"/api/models/{repo}/settings", body).status == 400
    assert ann.get(f"/api/models/{repo}").json()["private"] is False


def test_a_private_repository_looks_absent_to_strangers(ann, bob, nobody):
    repo = ann.new_repo(private=True)
    ann.commit(repo, {"a.txt": b"secret"})
    for path in (
        f"/api/models/{repo}",
        f"/api/models/{repo}/tree/main",
        f"/{repo}/resolve/main/a.txt",
        f"/{repo}.git/info/refs?service=git-upload-pack",
        f"/api/models/{repo}/xet-read-token/main",
    ):
        seen, absent = bob.get(path), bob.get(path.replace(repo, "ann/no-such"))
        assert (seen.status, seen.code) == (404, "RepoNotFound")
        assert (seen.status, seen.body) == (absent.status, absent.body)
        assert (nobody.get(path).status, nobody.get(path).code) == (401, "RepoNotFound")
    assert bob.commit(repo, {"a.txt": b"mine"}).status == 404
    assert repo not in [item["id"] for item in bob.get("/api/models").json()]
    assert repo in [item["id"] for item in ann.get("/api/models").json()]


def test_a_name_without_a_namespace_is_an_absent_repository(ann):
    answer = ann.get("/api/models/gpt2")
    assert (answer.status, answer.code) == (404, "RepoNotFound")


def test_gating_hides_the_files_until_access_is_granted(ann, bob, nobody):
    repo = ann.new_repo()
    ann.commit(repo, {"a.txt": b"text"})
    ann.call("PUT", f"/api/models/{repo}/settings", {"gated": "manual"})
    path = f"/{repo}/resolve/main/a.txt"
    assert (nobody.get(path).status, nobody.get(path).code) == (401, "GatedRepo")
    assert (bob.get(path).status, bob.get(path).code) == (403, "GatedRepo")
    assert bob.get(f"/api/models/{repo}").json()["gated"] == "manual"
    assert bob.get(f"/api/models/{repo}/auth-check").code == "GatedRepo"

    requests = f"/api/models/{repo}/user-access-request"
    assert bob.call("POST", f"/{repo}/ask-access").json() == {"status": "pending"}
    assert [item["user"]["user"] for item in ann.get(f"{requests}/pending").json()] == ["bob"]
    assert bob.get(path).status == 403
    ann.call("POST", f"{requests}/handle", {"status": "accepted", "user": "bob"})
    assert bob.get(path).body == b"text"
    ann.call("POST", f"{requests}/handle", {"status": "rejected", "user": "bob"})
    assert bob.get(path).status == 403
    ann.call("POST", f"{requests}/grant", {"user": "bob"})
    assert bob.get(f"/api/models/{repo}/auth-check").status == 200


def test_automatic_gating_accepts_who_asks(ann, bob):
    repo = ann.new_repo()
    ann.call("PUT", f"/api/models/{repo}/settings", {"gated": "auto"})
    assert bob.call("POST", f"/{repo}/ask-access").json() == {"status": "accepted"}
    assert bob.get(f"/{repo}/resolve/main/.gitattributes").status == 200


def test_access_requests_that_make_no_sense_are_refused(ann, bob):
    repo = ann.new_repo()
    assert bob.call("POST", f"/{repo}/ask-access").status == 400
    ann.call("PUT", f"/api/models/{repo}/settings", {"gated": "manual"})
    base = f"/api/models/{repo}/user-access-request"
    assert ann.get(f"{base}/maybe").status == 400
    assert ann.call("POST", f"{base}/grant", {"user": "no-such"}).status == 404
    assert ann.call("POST", f"{base}/handle", {"user": "bob", "status": "accepted"}).status == 404
    assert ann.call("POST", f"{base}/handle", {"user": "bob", "status": "maybe"}).status == 400
    assert bob.get(f"{base}/pending").status == 403


def test_auth_check_tells_reading_from_writing(ann, bob):
    repo = ann.new_repo()
    assert bob.get(f"/api/models/{repo}/auth-check").status == 200
    assert bob.get(f"/api/models/{repo}/auth-check/write").status == 403
    assert ann.get(f"/api/models/{repo}/auth-check/write").status == 200


def test_a_duplicate_has_the_files_and_history_and_costs_no_storage(ann, bob):
    repo = ann.new_repo()
    ann.commit_large(repo, {"a.bin": b"weights" * 1000})
    bob.commit(repo, {"b.txt": b"proposed"}, query="?create_pr=1")
    before = ann.hub.used_storage()
    answer = bob.call("POST", f"/api/models/{repo}/duplicate", {"repository": "bob/copy"})
    assert answer.json()["url"].endswith("/bob/copy")
    assert bob.get("/bob/copy/resolve/main/a.bin").body == b"weights" * 1000
    assert ann.hub.used_storage() == before
    assert bob.get("/api/models/bob/copy").json()["usedStorage"] == 7000
    assert bob.get("/api/models/bob/copy/refs?include_prs=1").json()["pullRequests"] == []
    answer = bob.call("POST", f"/api/models/{repo}/duplicate", {"repository": "bob/copy"})
    assert answer.status == 409
    assert answer.json()["url"].endswith("/bob/copy")
    bob.commit("bob/copy", {"own.txt": b"1"})
    assert "own.txt" not in ann.paths(repo)


def test_likes_are_counted_once_per_user(ann, bob):
    repo = ann.new_repo()
    for _ in range(2):
        bob.call("POST", f"/api/models/{repo}/like")
    assert ann.get(f"/api/models/{repo}").json()["likes"] == 1
    assert [user["user"] for user in ann.get(f"/api/models/{repo}/likers").json()] == ["bob"]
    assert repo in [item["repo"]["name"] for item in ann.get("/api/users/bob/likes").json()]
    bob.call("DELETE", f"/api/models/{repo}/like")
    assert ann.get(f"/api/models/{repo}").json()["likes"] == 0
