from __future__ import annotations

import hashlib

import pytest

DATA = bytes(range(256)) * 5000


@pytest.fixture(scope="module")
def repo(ann):
    name = ann.new_repo()
    ann.commit(name, {"a.txt": b"0123456789", "empty": b""})
    ann.commit_large(name, {"w.bin": DATA})
    return name


def test_a_regular_file_comes_with_its_commit_and_git_digest(ann, repo):
    answer = ann.get(f"/{repo}/resolve/main/a.txt")
    assert answer.body == b"0123456789"
    assert answer.headers["x-repo-commit"] == ann.head_of(repo)
    assert (
        answer.headers["etag"]
        == f'"{hashlib.sha1(b"blob 10" + bytes(1) + answer.body).hexdigest()}"'
    )
    assert answer.headers["content-length"] == "10"
    assert "x-linked-etag" not in answer.headers


def test_a_large_file_comes_with_its_sha256_and_size(ann, repo):
    answer = ann.call("HEAD", f"/{repo}/resolve/main/w.bin")
    assert answer.status == 200
    assert answer.body == b""
    assert answer.headers["x-linked-etag"] == f'"{hashlib.sha256(DATA).hexdigest()}"'
    assert answer.headers["x-linked-size"] == answer.headers["content-length"] == str(len(DATA))
    assert answer.headers["x-repo-commit"] == ann.head_of(repo)
    assert ann.get(f"/{repo}/resolve/main/w.bin").body == DATA


@pytest.mark.parametrize("path", ["a.txt", "w.bin"])
@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=2-5", 2, 6),
        ("bytes=7-", 7, None),
        ("bytes=-3", -3, None),
        ("bytes=8-9999999", 8, None),
    ],
)
def test_a_range_gets_that_part(ann, repo, path, wanted, start, end):
    whole = ann.get(f"/{repo}/resolve/main/{path}").body
    answer = ann.get(f"/{repo}/resolve/main/{path}", Range=wanted)
    expected = whole[start:end]
    assert (answer.status, answer.body) == (206, expected)
    first = start % len(whole)
    last = first + len(expected) - 1
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(whole)}"


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_behind_the_end_is_refused(ann, repo, wanted):
    answer = ann.get(f"/{repo}/resolve/main/a.txt", Range=wanted)
    assert answer.status == 416
    assert answer.headers["content-range"] == "bytes */10"


@pytest.mark.parametrize(
    "wanted", ["bytes=5-2", "bytes=0-1,4-5", "lines=1-2", "bytes=-", "bytes=a-b"]
)
def test_a_range_that_is_none_gets_the_whole(ann, repo, wanted):
    answer = ann.get(f"/{repo}/resolve/main/a.txt", Range=wanted)
    assert (answer.status, answer.body) == (200, b"0123456789")


def test_an_empty_file_is_a_file(ann, repo):
    answer = ann.get(f"/{repo}/resolve/main/empty")
    assert (answer.status, answer.body) == (200, b"")
    assert ann.get(f"/{repo}/resolve/main/empty", Range="bytes=0-").status == 416


def test_conditions_on_the_etag(ann, repo):
    path = f"/{repo}/resolve/main/a.txt"
    etag = ann.get(path).headers["etag"]
    for header in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = ann.get(path, **{"If-None-Match": header})
        assert (answer.status, answer.body) == (304, b"")
    assert ann.get(path, **{"If-None-Match": '"other"'}).status == 200
    assert ann.get(path, Range="bytes=2-", **{"If-Range": etag}).status == 206
    assert ann.get(path, Range="bytes=2-", **{"If-Range": '"other"'}).status == 200


def test_what_does_not_exist_says_so_with_the_commit(ann, repo):
    answer = ann.call("HEAD", f"/{repo}/resolve/main/no-such.json")
    assert (answer.status, answer.code) == (404, "EntryNotFound")
    assert answer.headers["x-repo-commit"] == ann.head_of(repo)
    answer = ann.get(f"/{repo}/resolve/no-such/a.txt")
    assert (answer.status, answer.code) == (404, "RevisionNotFound")
    assert "x-repo-commit" not in answer.headers


def test_a_revision_is_a_branch_a_tag_or_a_commit(ann):
    repo = ann.new_repo()
    old = ann.commit(repo, {"a.txt": b"old"}).json()["commitOid"]
    ann.call("POST", f"/api/models/{repo}/tag/main", {"tag": "v1", "message": "first"})
    ann.commit(repo, {"a.txt": b"new"})
    for revision in (old, "v1", "refs%2Ftags%2Fv1"):
        answer = ann.get(f"/{repo}/resolve/{revision}/a.txt")
        assert (answer.body, answer.headers["x-repo-commit"]) == (b"old", old)
    assert ann.get(f"/{repo}/resolve/refs%2Fheads%2Fmain/a.txt").body == b"new"
    for revision in ("0" * 40, "HEAD", "..", "a..b", "main^", "@", "refs%2Fheads"):
        assert ann.get(f"/{repo}/resolve/{revision}/a.txt").code == "RevisionNotFound"


def test_every_answer_carries_a_request_id(ann, repo):
    seen = {
        ann.get(f"/{repo}/resolve/main/{name}").headers["x-request-id"] for name in ("a.txt", "x")
    }
    assert len(seen) == 2


def test_downloads_of_large_files_are_counted(ann):
    repo = ann.new_repo()
    ann.commit_large(repo, {"w.bin": b"counted" * 100})
    ann.get(f"/{repo}/resolve/main/w.bin")
    assert ann.get(f"/api/models/{repo}").json()["downloads"] == 1
