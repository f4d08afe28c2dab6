from __future__ import annotations

import importlib.util
import os

import pytest

from hfl_localhub import LocalHub


@pytest.fixture
def repo(ann):
    return ann.new_repo()


def folder_size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def lfs_files(api, repo):
    return api.get(f"/api/models/{repo}/lfs-files").json()


def delete(api, repo, digests, *, rewrite=True):
    body = {"deletions": {"sha": digests, "rewriteHistory": rewrite}}
    return api.call("POST", f"/api/models/{repo}/lfs-files/batch", body)


def test_large_files_are_listed_though_no_branch_has_them_any_more(ann, repo):
    ann.commit_large(repo, {"old.bin": b"old" * 100})
    ann.commit(repo, lines=[{"key": "deletedFile", "value": {"path": "old.bin"}}])
    ann.commit_large(repo, {"new.bin": b"new" * 200})
    found = lfs_files(ann, repo)
    assert {item["filename"]: item["size"] for item in found} == {"old.bin": 300, "new.bin": 600}
    assert all(item["ref"] == "refs/heads/main" for item in found)
    assert ann.get(f"/api/models/{repo}").json()["usedStorage"] == 900
    first = ann.get(f"/api/models/{repo}/lfs-files?limit=1")
    assert len(first.json()) == 1
    assert len(ann.get(first.link).json()) == 1


def test_an_upload_that_was_never_committed_is_not_counted(ann, repo):
    ann.upload_large(repo, b"not committed" * 10)
    assert lfs_files(ann, repo) == []
    assert ann.get(f"/api/models/{repo}").json()["usedStorage"] == 0


def test_deleting_for_good_rewrites_history_and_shrinks_the_disk(ann, repo):
    big = os.urandom(3_000_000)
    ann.commit_large(repo, {"d/big.bin": big, "keep.bin": b"keep" * 100})
    ann.call("POST", f"/api/models/{repo}/tag/main", {"tag": "v1", "message": "annotated"})
    ann.call("POST", f"/api/models/{repo}/tag/main", {"tag": "v2"})
    ann.commit(repo, {"a.txt": b"1"})
    before = folder_size(ann.hub.root)
    digest = next(item["fileOid"] for item in lfs_files(ann, repo) if item["size"] == len(big))
    assert delete(ann, repo, [digest]).status == 200
    assert before - folder_size(ann.hub.root) > 0.99 * len(big)
    for revision in ("main", "v1", "v2"):
        assert "d/big.bin" not in ann.paths(repo, revision)
        assert "d" not in ann.paths(repo, revision)
        assert ann.get(f"/{repo}/resolve/{revision}/keep.bin").body == b"keep" * 100
    assert ann.get(f"/{repo}/resolve/main/a.txt").body == b"1"
    titles = [item["title"] for item in ann.get(f"/api/models/{repo}/commits/main").json()]
    assert titles == ["a commit", "a commit", "initial commit"]
    assert ann.get(f"/api/models/{repo}").json()["usedStorage"] == 400


def test_without_rewriting_the_file_is_listed_but_gone(ann, repo):
    ann.commit_large(repo, {"a.bin": b"gone" * 100})
    head = ann.head_of(repo)
    digest = lfs_files(ann, repo)[0]["fileOid"]
    assert delete(ann, repo, [digest], rewrite=False).status == 200
    assert ann.head_of(repo) == head
    assert "a.bin" in ann.paths(repo)
    assert ann.get(f"/{repo}/resolve/main/a.bin").code == "EntryNotFound"
    ann.commit_large(repo, {"b.bin": b"gone" * 100})  # uploading it again brings it back
    assert ann.get(f"/{repo}/resolve/main/a.bin").body == b"gone" * 100


def test_what_another_repository_holds_stays_on_the_disk(ann, repo):
    other, data = ann.new_repo(), b"held twice" * 100
    for name in (repo, other):
        ann.commit_large(name, {"a.bin": data})
    delete(ann, repo, [lfs_files(ann, repo)[0]["fileOid"]])
    assert lfs_files(ann, repo) == []
    assert ann.get(f"/{other}/resolve/main/a.bin").body == data


def test_squash_and_deletion_together_leave_what_is_needed_only(ann, repo):
    for _ in range(4):
        ann.commit_large(repo, {"state.bin": os.urandom(500_000)})
    before = folder_size(ann.hub.root)
    ann.call("POST", f"/api/models/{repo}/super-squash/main", {"message": "squashed"})
    used = ann.paths(repo)["state.bin"]["lfs"]["oid"]
    unused = [item["fileOid"] for item in lfs_files(ann, repo) if item["fileOid"] != used]
    assert len(unused) == 3
    head = ann.head_of(repo)
    delete(ann, repo, unused)
    assert ann.head_of(repo) == head  # nothing to rewrite: the same commit
    assert before - folder_size(ann.hub.root) > 1_490_000
    assert len(ann.get(f"/{repo}/resolve/main/state.bin").body) == 500_000


@pytest.mark.parametrize(
    "body", [{}, {"deletions": []}, {"deletions": {"sha": "x"}}, {"deletions": {"sha": ["../x"]}}]
)
def test_a_deletion_that_makes_no_sense_is_refused(ann, repo, body):
    assert ann.call("POST", f"/api/models/{repo}/lfs-files/batch", body).status == 400


def test_strangers_neither_list_nor_delete(ann, bob, repo):
    assert bob.get(f"/api/models/{repo}/lfs-files").status == 403
    assert delete(bob, repo, ["0" * 64]).status == 403


def test_a_large_file_is_copied_to_another_repository_without_uploading(ann, bob, repo):
    data = b"copied" * 1000
    ann.commit_large(repo, {"a.bin": data})
    digest = lfs_files(ann, repo)[0]["fileOid"]
    target = bob.new_repo()
    body = {
        "target": {"type": "model", "name": target},
        "files": [{"sha256": digest, "filename": "a.bin"}, {"sha256": "0" * 64}],
    }
    answer = bob.call("POST", f"/api/models/{repo}/lfs-files/duplicate", body).json()
    assert [item["sha256"] for item in answer["succeeded"]] == [digest]
    assert [item["sha256"] for item in answer["failed"]] == ["0" * 64]
    line = {"key": "lfsFile", "value": {"path": "b.bin", "algo": "sha256", "oid": digest}}
    assert bob.commit(target, lines=[line]).status == 200
    assert bob.get(f"/{target}/resolve/main/b.bin").body == data
    assert bob.call("POST", f"/api/models/{repo}/lfs-files/duplicate", {}).status == 400
    body["files"] = [{"sha256": 5}]
    assert bob.call("POST", f"/api/models/{repo}/lfs-files/duplicate", body).status == 400


XET = """
import importlib.util
import os
from huggingface_hub import HfApi
api = HfApi()
api.create_repo("ann/chunks")
api.upload_file(path_or_fileobj=os.urandom(3_000_000), path_in_repo="old.bin", repo_id="ann/chunks")
api.upload_file(path_or_fileobj=os.urandom(300_000), path_in_repo="new.bin", repo_id="ann/chunks")
api.delete_file("old.bin", "ann/chunks")
api.super_squash_history("ann/chunks")
old = [item for item in api.list_lfs_files("ann/chunks") if item.size == 3_000_000]
api.permanently_delete_lfs_files("ann/chunks", old)
"""


@pytest.mark.skipif(
    importlib.util.find_spec("hf_xet") is None, reason="hf_xet has no wheel for this Python"
)
def test_what_came_as_chunks_leaves_the_disk_too(tmp_path, api_for, run_client):
    with LocalHub(tmp_path / "hub") as hub:
        token = hub.create_user("ann")
        run_client(hub, token, XET, xet=True)
        assert hub.requests.count("POST", "/xet/*/xorbs/*") >= 2
        assert folder_size(tmp_path / "hub" / "xet") < 1_000_000
        assert folder_size(tmp_path / "hub" / "blobs") == 300_000
        assert len(api_for(hub, token).get("/ann/chunks/resolve/main/new.bin").body) == 300_000
