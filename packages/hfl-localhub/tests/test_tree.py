from __future__ import annotations

import hashlib
from urllib.parse import quote, urlencode

import pytest


@pytest.fixture(scope="module")
def repo(ann):
    name = ann.new_repo()
    ann.commit(name, {"a.txt": b"1", "d/b.txt": b"22", "d/e/c.txt": b"333"})
    ann.commit_large(name, {"d/w.bin": b"weights" * 100})
    return name


def test_a_folder_lists_what_is_directly_in_it(ann, repo):
    top = ann.get(f"/api/models/{repo}/tree/main").json()
    assert [(item["type"], item["path"]) for item in top] == [
        ("file", ".gitattributes"),
        ("file", "a.txt"),
        ("directory", "d"),
    ]
    inner = ann.get(f"/api/models/{repo}/tree/main/d%2Fe").json()
    assert [item["path"] for item in inner] == ["d/e/c.txt"]


def test_recursive_listing_describes_every_file(ann, repo):
    found = ann.paths(repo)
    assert sorted(found) == [
        ".gitattributes",
        "a.txt",
        "d",
        "d/b.txt",
        "d/e",
        "d/e/c.txt",
        "d/w.bin",
    ]
    assert found["d/b.txt"]["oid"] == hashlib.sha1(b"blob 2\x0022").hexdigest()
    assert found["d/w.bin"]["lfs"] == {
        "oid": hashlib.sha256(b"weights" * 100).hexdigest(),
        "size": 700,
        "pointerSize": 128,
    }


def test_a_folder_that_is_not_there_or_is_a_file_is_not_found(ann, repo):
    for path in ("no-such", "a.txt", "d/b.txt/x"):
        answer = ann.get(f"/api/models/{repo}/tree/main/{quote(path, safe='')}")
        assert (answer.status, answer.code) == (404, "EntryNotFound")
    assert ann.get(f"/api/models/{repo}/tree/no-such").code == "RevisionNotFound"


def test_pages_follow_each_other_and_show_one_commit(ann):
    repo = ann.new_repo()
    names = [f"f{number:03d}" for number in range(25)]
    commit = ann.commit(repo, {name: name.encode() for name in names}).json()["commitOid"]
    seen, answer = [], ann.get(f"/api/models/{repo}/tree/main?recursive=true&limit=10")
    while True:
        seen += [item["path"] for item in answer.json()]
        assert answer.headers["x-repo-commit"] == commit
        if not answer.link:
            break
        ann.commit(repo, {f"later{len(seen)}": b"x"})  # the listing goes on as it began
        answer = ann.get(answer.link)
    assert seen == [".gitattributes", *names]


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=-1", "cursor=%FF", "cursor=abc"])
def test_a_page_that_makes_no_sense_is_refused(ann, repo, query):
    assert ann.get(f"/api/models/{repo}/tree/main?{query}").status == 400


def test_a_forged_cursor_leads_nowhere(ann, repo):
    import base64

    cursor = base64.urlsafe_b64encode(b"refs/heads/x:5").decode()
    assert ann.get(f"/api/models/{repo}/tree/main?cursor={cursor}").code == "RevisionNotFound"


def test_the_last_commit_of_each_file_is_the_one_that_changed_it(ann):
    repo = ann.new_repo()
    commits = {}
    for path in ("a.txt", "d/b.txt", "d/c.txt", "a.txt"):
        content = f"{path}{len(commits)}".encode()
        commits[path] = ann.commit(repo, {path: content}).json()["commitOid"]
    listed = ann.get(f"/api/models/{repo}/tree/main?recursive=true&expand=true").json()
    found = {item["path"]: item["lastCommit"]["id"] for item in listed}
    assert {path: found[path] for path in commits} == commits
    assert found["d"] == commits["d/c.txt"]
    first = next(item for item in listed if item["path"] == ".gitattributes")
    assert first["lastCommit"]["title"] == "initial commit"


def test_chosen_paths_are_described_as_a_form_or_as_json(ann, repo):
    url = f"/api/models/{repo}/paths-info/main"
    form = urlencode([("paths", "a.txt"), ("paths", "d"), ("paths", "no-such"), ("expand", "True")])
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    by_form = ann.call("POST", url, data=form.encode(), headers=kind).json()
    assert [(item["path"], item["type"]) for item in by_form] == [
        ("a.txt", "file"),
        ("d", "directory"),
    ]
    assert by_form[0]["lastCommit"]["title"] == "a commit"
    by_json = ann.call("POST", url, {"paths": ["d/w.bin", ""]}).json()
    assert [item["path"] for item in by_json] == ["d/w.bin"]
    assert ann.call("POST", url, {"paths": "a.txt"}).json()[0]["path"] == "a.txt"


@pytest.mark.parametrize("data", [b"[1]", b"{", b'{"paths": 5}', b'{"paths": [5]}'])
def test_paths_that_make_no_sense_are_refused(ann, repo, data):
    url = f"/api/models/{repo}/paths-info/main"
    kind = {"Content-Type": "application/json"}
    assert ann.call("POST", url, data=data, headers=kind).status == 400
    assert ann.call("POST", url, data=b"paths=\xff", headers={"Content-Type": "x"}).status == 400


def test_information_about_a_repository_lists_its_files(ann, repo):
    info = ann.get(f"/api/models/{repo}?blobs=true").json()
    by_name = {item["rfilename"]: item for item in info["siblings"]}
    assert by_name["d/w.bin"]["lfs"]["sha256"] == hashlib.sha256(b"weights" * 100).hexdigest()
    assert by_name["a.txt"]["size"] == 1
    assert info["usedStorage"] == 700
    plain = ann.get(f"/api/models/{repo}/revision/main").json()["siblings"]
    assert all(set(item) == {"rfilename"} for item in plain)
    some = ann.get(f"/api/models/{repo}?expand=usedStorage&expand=tags").json()
    assert {"id", "sha", "private", "usedStorage", "tags"} >= set(some) - {"_id"}
    assert "usedStorage" in some
    assert "siblings" not in some
