from __future__ import annotations

import pytest


@pytest.fixture
def repo(ann):
    name = ann.new_repo()
    ann.commit(name, {"a.txt": b"1\n", "b.txt": b"1\n"})
    return name


def open_pull_request(api, repo, files, rev="main"):
    answer = api.commit(repo, files, rev=rev, query="?create_pr=1").json()
    return int(answer["pullRequestUrl"].rsplit("/", 1)[1]), answer


def details(api, repo, number):
    return api.get(f"/api/models/{repo}/discussions/{number}?diff=1").json()


def test_anybody_who_sees_a_repository_proposes_and_its_owner_merges(ann, bob, repo):
    number, answer = open_pull_request(bob, repo, {"a.txt": b"2\n"})
    assert answer["pullRequestUrl"] == f"{ann.hub.endpoint}/{repo}/discussions/{number}"
    assert ann.get(f"/{repo}/resolve/main/a.txt").body == b"1\n"
    assert ann.get(f"/{repo}/resolve/refs%2Fpr%2F{number}/a.txt").body == b"2\n"
    assert ann.get(f"/{repo}/resolve/refs/pr/{number}/a.txt").body == b"2\n"
    found = details(ann, repo, number)
    assert (found["status"], found["changes"]["base"]) == ("open", "refs/heads/main")
    assert found["filesWithConflicts"] == []
    assert "-1\n+2\n" in found["diff"]
    assert [event["type"] for event in found["events"]] == ["comment", "commit"]

    assert bob.call("POST", f"/api/models/{repo}/discussions/{number}/merge", {}).status == 403
    merged = ann.call("POST", f"/api/models/{repo}/discussions/{number}/merge", {"comment": "ok"})
    assert merged.status == 200
    assert ann.get(f"/{repo}/resolve/main/a.txt").body == b"2\n"
    found = details(ann, repo, number)
    assert found["status"] == "merged"
    assert found["changes"]["mergeCommitId"] == ann.head_of(repo)
    titles = [item["title"] for item in ann.get(f"/api/models/{repo}/commits/main").json()]
    assert titles.count("a commit") == 2
    for action in ("merge", "status"):
        body = {"status": "open"}
        answer = ann.call("POST", f"/api/models/{repo}/discussions/{number}/{action}", body)
        assert answer.status == 400


def test_large_files_travel_in_a_pull_request_of_a_stranger(ann, bob, repo):
    answer = bob.commit_large(repo, {"w.bin": b"weights" * 100}, query="?create_pr=1")
    assert answer.status == 200
    body = {"files": [{"path": "w.bin", "size": 700}]}
    assert bob.call("POST", f"/api/models/{repo}/preupload/main?create_pr=1", body).status == 200
    assert bob.call("POST", f"/api/models/{repo}/preupload/main", body).status == 403


def test_the_author_goes_on_with_a_draft_and_others_do_not(ann, bob, repo, hub, api_for):
    body = {"title": "A draft", "description": "text", "pullRequest": True}
    number = bob.call("POST", f"/api/models/{repo}/discussions", body).json()["num"]
    revision = f"refs/pr/{number}"
    assert details(ann, repo, number)["status"] == "draft"
    assert bob.commit(repo, {"c.txt": b"3"}, rev=revision).status == 200
    carl = api_for(hub, hub.create_user("carl"))
    assert carl.commit(repo, {"d.txt": b"4"}, rev=revision).status == 403
    assert ann.commit(repo, {"d.txt": b"4"}, rev=revision).status == 200
    assert {"c.txt", "d.txt"} <= set(ann.paths(repo, revision))
    refs = ann.get(f"/api/models/{repo}/refs?include_prs=1").json()["pullRequests"]
    assert [item["ref"] for item in refs] == [revision]


def test_both_sides_keep_what_only_they_changed(ann, bob, repo):
    number, _ = open_pull_request(bob, repo, {"a.txt": b"theirs\n", "new/c.txt": b"new\n"})
    ann.commit(repo, {"b.txt": b"ours\n"})
    assert ann.call("POST", f"/api/models/{repo}/discussions/{number}/merge", {}).status == 200
    for path, content in {"a.txt": b"theirs\n", "b.txt": b"ours\n", "new/c.txt": b"new\n"}.items():
        assert ann.get(f"/{repo}/resolve/main/{path}").body == content


def test_what_both_sides_changed_is_a_conflict(ann, bob, repo):
    number, _ = open_pull_request(bob, repo, {"a.txt": b"theirs\n"})
    head = ann.commit(repo, {"a.txt": b"ours\n"}).json()["commitOid"]
    assert details(ann, repo, number)["filesWithConflicts"] == ["a.txt"]
    answer = ann.call("POST", f"/api/models/{repo}/discussions/{number}/merge", {})
    assert answer.status == 409
    assert ann.head_of(repo) == head


def test_a_pull_request_onto_a_squashed_branch_still_merges(ann, bob, repo):
    number, _ = open_pull_request(bob, repo, {"new.txt": b"new\n"})
    ann.call("POST", f"/api/models/{repo}/super-squash/main", {})
    assert ann.call("POST", f"/api/models/{repo}/discussions/{number}/merge", {}).status == 200
    assert "new.txt" in ann.paths(repo)


def test_binary_and_deleted_files_show_in_the_diff(ann, bob, repo):
    lines = [{"key": "deletedFile", "value": {"path": "b.txt"}}]
    answer = bob.commit(repo, {"x.dat": b"\xff\xfe"}, lines=lines, query="?create_pr=1").json()
    number = int(answer["pullRequestUrl"].rsplit("/", 1)[1])
    diff = details(ann, repo, number)["diff"]
    assert "Binary files differ" in diff
    assert "-1\n" in diff
    assert ann.call("POST", f"/api/models/{repo}/discussions/{number}/merge", {}).status == 200
    assert "b.txt" not in ann.paths(repo)


def test_a_refused_commit_opens_no_pull_request(ann, bob, repo):
    assert bob.commit(repo, {"a": b"1"}, parent="0" * 40, query="?create_pr=1").status == 412
    assert ann.get(f"/api/models/{repo}/discussions").json()["count"] == 0


def test_a_discussion_is_had(ann, bob, repo):
    base = f"/api/models/{repo}/discussions"
    number = bob.call("POST", base, {"title": "A question", "description": "How?"}).json()["num"]
    url = f"{base}/{number}"
    comment = ann.call("POST", f"{url}/comment", {"comment": "So."}).json()["newMessage"]
    edited = ann.call("POST", f"{url}/comment/{comment['id']}/edit", {"content": "So!"}).json()
    assert edited["updatedComment"]["data"]["latest"]["raw"] == "So!"
    assert bob.call("POST", f"{url}/comment/{comment['id']}/hide", {}).status == 403
    hidden = ann.call("POST", f"{url}/comment/{comment['id']}/hide", {}).json()
    assert hidden["updatedComment"]["data"]["hidden"] is True
    assert ann.call("POST", f"{url}/comment/nope/hide", {}).status == 404
    title = ann.call("POST", f"{url}/title", {"title": "Answered"}).json()["newTitle"]
    assert title["data"] == {"from": "A question", "to": "Answered"}
    closed = bob.call("POST", f"{url}/status", {"status": "closed", "comment": "Thanks"}).json()
    assert closed["newStatus"]["data"]["status"] == "closed"
    found = details(bob, repo, number)
    assert (found["title"], found["status"], found["isPullRequest"]) == (
        "Answered",
        "closed",
        False,
    )
    assert len(found["events"]) == 5
    assert ann.call("POST", f"{url}/merge", {}).status == 400
    assert ann.call("POST", f"{url}/status", {"status": "odd"}).status == 400
    assert ann.call("POST", base, {"title": "x"}).status == 400
    assert ann.get(f"{base}/99").code == "DiscussionNotFound"


def test_discussions_are_filtered(ann, bob, repo):
    base = f"/api/models/{repo}/discussions"
    ann.call("POST", base, {"title": "First"})
    bob.call("POST", base, {"title": "Second", "pullRequest": True})
    bob.call("POST", f"{base}/2/status", {"status": "closed"})

    def numbers(query):
        return [item["num"] for item in ann.get(f"{base}?{query}").json()["discussions"]]

    assert numbers("") == [2, 1]
    assert numbers("type=pull_request") == [2]
    assert numbers("type=discussion") == [1]
    assert numbers("status=closed") == [2]
    assert numbers("status=open&author=ann") == [1]
    assert numbers("author=carl") == []
    assert numbers("p=1") == []
    answer = ann.get(base).json()
    assert (answer["count"], answer["numClosedDiscussions"]) == (2, 1)
    assert answer["discussions"][0]["repo"] == {"name": repo, "type": "model"}
