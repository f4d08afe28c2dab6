"""Buckets over HTTP: what their answers say, who may what, and what is refused."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from xet_objects import file_hash, pack_shard, pack_xorb, random_bytes, whole_file, xorb_hash

from hfl_localhub._xet import _hashing

CHUNKS = [random_bytes(n, 3000) for n in range(3)]
DATA = b"".join(CHUNKS)
FILE = _hashing.to_text(file_hash(CHUNKS))
EMPTY = "0" * 64


class Buckets:
    """A Hub that holds the bytes of one file, and ways to ask for buckets."""

    def __init__(self, hub):
        self.hub = hub
        self.number = 0

    def new(self, private=False, namespace="ann"):
        name = self.empty(private=private, namespace=namespace)
        self.upload(name)
        return name

    def upload(self, name, chunks=CHUNKS, token="hf_ann"):
        base, granted = self.hub.grant(repo=f"buckets/{name}", token=token)
        path = f"{base}/v1/xorbs/default/{_hashing.to_text(xorb_hash(chunks))}"
        assert self.hub.request("POST", path, pack_xorb(chunks), token=granted).status == 200
        shard = pack_shard(whole_file(chunks))
        assert self.hub.request("POST", f"{base}/v1/shards", shard, token=granted).status == 200

    def empty(self, private=False, namespace="ann"):
        self.number += 1
        name = f"{namespace}/bucket-{self.number}"
        answer = self.hub.request("POST", f"/api/buckets/{name}", {"private": private})
        assert answer.json()["url"] == f"{self.hub.endpoint}/buckets/{name}"
        return name

    def batch(self, name, *operations, token="hf_ann"):
        body = b"".join(json.dumps(operation).encode() + b"\n" for operation in operations)
        return self.hub.request("POST", f"/api/buckets/{name}/batch", body, token=token)

    def fill(self, name, *paths, xet_hash=FILE):
        answer = self.batch(name, *(add(path, xet_hash) for path in paths))
        assert answer.json()["failed"] == []

    def tree(self, name, prefix="", recursive=False):
        path = f"/api/buckets/{name}/tree" + (f"/{quote(prefix, safe='')}" if prefix else "")
        answer = self.hub.request("GET", f"{path}?recursive={recursive}")
        return [(entry["type"], entry["path"]) for entry in answer.json()]


def add(path, xet_hash=FILE, **more):
    return {"type": "addFile", "path": path, "xetHash": xet_hash, "mtime": 1758800000123, **more}


def delete(path):
    return {"type": "deleteFile", "path": path}


def copy(path, source, xet_hash=FILE, kind="bucket"):
    return {
        "type": "copyFile",
        "path": path,
        "xetHash": xet_hash,
        "sourceRepoType": kind,
        "sourceRepoId": source,
    }


@pytest.fixture(scope="module")
def buckets(shared_hub):
    return Buckets(shared_hub)


# Life of a bucket


def test_a_new_bucket_is_empty_and_says_so(buckets):
    name = buckets.new()
    info = buckets.hub.request("GET", f"/api/buckets/{name}").json()
    assert info["id"] == name
    assert (info["private"], info["size"], info["totalFiles"]) == (False, 0, 0)
    assert info["createdAt"].endswith("Z")


def test_me_is_who_asks(buckets):
    answer = buckets.hub.request("POST", "/api/buckets/me/mine", {"visibility": "private"})
    assert answer.json()["name"] == "ann/mine"
    assert buckets.hub.request("GET", "/api/buckets/ann/mine").json()["private"] is True
    listed = buckets.hub.request("GET", "/api/buckets/me?search=MIN").json()
    assert [bucket["id"] for bucket in listed] == ["ann/mine"]


def test_a_name_is_given_once(buckets):
    name = buckets.new()
    answer = buckets.hub.request("POST", f"/api/buckets/{name}", {})
    assert answer.status == 409
    assert answer.json()["url"].endswith(f"/buckets/{name}")


@pytest.mark.parametrize("name", ["-a", "a..b", "a--b", "a.", "a" * 97, "%E4", "a%20b"])
def test_what_cannot_be_a_name_is_refused(buckets, name):
    assert buckets.hub.request("POST", f"/api/buckets/ann/{name}", {}).status == 400


@pytest.mark.parametrize("body", [b"nonsense", b"[1]", b'{"private": 1}', b'{"visibility": "x"}'])
def test_what_makes_no_sense_is_refused(buckets, body):
    assert buckets.hub.request("POST", "/api/buckets/ann/never", body).status == 400
    name = buckets.new()
    assert buckets.hub.request("PUT", f"/api/buckets/{name}/settings", body).status == 400
    assert buckets.hub.request("PUT", f"/api/buckets/{name}/settings", {}).status == 400


def test_a_deleted_bucket_is_gone_with_its_files(buckets):
    name = buckets.new()
    buckets.fill(name, "a")
    assert buckets.hub.request("DELETE", f"/api/buckets/{name}").status == 200
    assert buckets.hub.request("GET", f"/api/buckets/{name}").status == 404
    buckets.hub.request("POST", f"/api/buckets/{name}", {})
    assert buckets.tree(name) == []
    assert buckets.batch(name, add("a")).status == 422  # what was uploaded for it is forgotten, too


def test_a_former_name_leads_to_the_bucket_until_it_is_taken(buckets):
    name = buckets.new()
    buckets.fill(name, "a b")
    move = {"fromRepo": name, "toRepo": "lab/moved", "type": "bucket"}
    assert buckets.hub.request("POST", "/api/repos/move", move).status == 200
    former = buckets.hub.request("HEAD", f"/buckets/{name}/resolve/a%20b")
    assert former.status == 307
    assert former.headers["location"] == f"{buckets.hub.endpoint}/buckets/lab/moved/resolve/a%20b"
    assert buckets.hub.request("POST", "/api/repos/move", move).status == 409
    buckets.hub.request("POST", f"/api/buckets/{name}", {})
    assert buckets.tree(name) == []
    assert buckets.tree("lab/moved") == [("file", "a b")]


def test_a_bucket_does_not_move_onto_another_or_to_strangers(buckets):
    name, other = buckets.new(), buckets.new()
    for target, status in [(other, 409), ("bob/mine", 403), ("ann/-", 400), ("nonsense", 400)]:
        move = {"fromRepo": name, "toRepo": target, "type": "bucket"}
        assert buckets.hub.request("POST", "/api/repos/move", move).status == status
    assert buckets.hub.request("GET", f"/api/buckets/{name}").status == 200


# Who may what


@pytest.mark.parametrize(("token", "status"), [("hf_bob", 404), (None, 401)])
def test_a_private_bucket_looks_absent_to_strangers(buckets, token, status):
    name = buckets.new(private=True)
    buckets.fill(name, "a")
    for method, path, body in [
        ("GET", f"/api/buckets/{name}", None),
        ("DELETE", f"/api/buckets/{name}", None),
        ("PUT", f"/api/buckets/{name}/settings", {"private": False}),
        ("GET", f"/api/buckets/{name}/tree", None),
        ("POST", f"/api/buckets/{name}/paths-info", {"paths": ["a"]}),
        ("POST", f"/api/buckets/{name}/batch", b""),
        ("GET", f"/api/buckets/{name}/xet-read-token", None),
        ("GET", f"/api/buckets/{name}/xet-write-token", None),
        ("GET", f"/buckets/{name}/resolve/a", None),
        ("HEAD", f"/buckets/{name}/resolve/a", None),
    ]:
        absent = buckets.hub.request(method, path.replace(name, "ann/none"), body, token=token)
        hidden = buckets.hub.request(method, path, body, token=token)
        assert (hidden.status, hidden.body) == (status, absent.body), path
        assert hidden.headers["x-error-code"] == "RepoNotFound"
    listed = buckets.hub.request("GET", "/api/buckets/ann", token=token).json()
    assert name not in [bucket["id"] for bucket in listed]


@pytest.mark.parametrize(("token", "status"), [("hf_bob", 403), (None, 401), ("hf_annread", 403)])
def test_a_public_bucket_is_read_by_all_and_written_by_few(buckets, token, status):
    name = buckets.new()
    buckets.fill(name, "a")
    assert buckets.hub.request("GET", f"/buckets/{name}/resolve/a", token=token).body == DATA
    assert (
        buckets.hub.request("GET", f"/api/buckets/{name}/xet-read-token", token=token).status == 200
    )
    for method, path, body in [
        ("DELETE", f"/api/buckets/{name}", None),
        ("PUT", f"/api/buckets/{name}/settings", {"private": True}),
        ("POST", f"/api/buckets/{name}/batch", b""),
        ("GET", f"/api/buckets/{name}/xet-write-token", None),
        ("POST", "/api/buckets/ann/new", {}),
    ]:
        assert buckets.hub.request(method, path, body, token=token).status == status, path


def test_me_needs_somebody(buckets):
    assert buckets.hub.request("GET", "/api/buckets/me", token=None).status == 401
    assert buckets.hub.request("DELETE", "/api/buckets/lonely").status == 404


# Files


def test_files_are_added_overwritten_and_deleted(buckets):
    name = buckets.new()
    answer = buckets.batch(
        name, add("a/b.bin", contentType="text/x-log"), add("c"), add("d", EMPTY)
    )
    assert answer.json() == {"success": True, "processed": 3, "succeeded": 3, "failed": []}
    info = buckets.hub.request("GET", f"/api/buckets/{name}").json()
    assert (info["size"], info["totalFiles"]) == (2 * len(DATA), 3)
    buckets.batch(name, delete("a/b.bin"), add("c", EMPTY), delete("d"), delete("was never there"))
    assert buckets.tree(name) == [("file", "c")]
    info = buckets.hub.request("GET", f"/api/buckets/{name}").json()
    assert (info["size"], info["totalFiles"]) == (0, 1)


def test_the_last_operation_on_a_path_wins(buckets):
    name = buckets.new()
    buckets.batch(name, add("a"), delete("a"), add("b"), delete("c"), add("c"))
    assert buckets.tree(name) == [("file", "b"), ("file", "c")]


def test_a_bucket_does_not_adopt_what_others_uploaded(buckets):
    chunks = [random_bytes(77, 3000)]
    wanted = _hashing.to_text(file_hash(chunks))
    hidden, public, mine = buckets.empty(private=True), buckets.empty(), "bob/adopted"
    buckets.hub.request("POST", f"/api/buckets/{mine}", {}, token="hf_bob")
    buckets.upload(hidden, chunks)
    buckets.upload(public, chunks)
    refused = buckets.batch(mine, add("a", wanted), token="hf_bob")
    assert refused.status == 422
    unknown = buckets.batch(mine, add("a", "ab" * 32), token="hf_bob")
    assert refused.json() == unknown.json()  # that others have it is not to be told
    buckets.fill(hidden, "a", xet_hash=wanted)
    assert buckets.batch(mine, add("a", wanted), token="hf_bob").status == 422
    buckets.fill(public, "a", xet_hash=wanted)
    assert buckets.batch(mine, add("a", wanted), token="hf_bob").status == 200
    buckets.batch(public, delete("a"))
    assert buckets.batch(mine, add("b", wanted), token="hf_bob").status == 200  # it has it by now
    buckets.batch(mine, delete("a"), delete("b"), token="hf_bob")
    assert buckets.batch(mine, add("c", wanted), token="hf_bob").status == 422
    buckets.upload(mine, chunks, token="hf_bob")
    assert buckets.batch(mine, add("c", wanted), token="hf_bob").status == 200


def test_what_was_uploaded_for_a_bucket_may_be_named_under_its_next_name(buckets):
    name = buckets.new()
    move = {"fromRepo": name, "toRepo": f"{name}-moved", "type": "bucket"}
    assert buckets.hub.request("POST", "/api/repos/move", move).status == 200
    assert buckets.batch(f"{name}-moved", add("a")).status == 200


def test_a_batch_does_what_it_can_and_says_what_it_could_not(buckets):
    name = buckets.new()
    answer = buckets.batch(
        name, add("good"), add("bad", "ab" * 32), add("../bad"), add("x", mtime=-1)
    )
    assert answer.status == 200
    body = answer.json()
    assert (body["success"], body["processed"], body["succeeded"]) == (False, 4, 1)
    assert [failure["path"] for failure in body["failed"]] == ["bad", "../bad", "x"]
    assert body["failed"][0]["error"] == "File not found in Xet storage"
    assert buckets.tree(name) == [("file", "good")]
    assert buckets.batch(name, add("bad", "ab" * 32)).status == 422


@pytest.mark.parametrize(
    "body",
    [
        b"nonsense\n",
        b"[]\n",
        b'{"type": "addFile"}\n',
        b'{"type": "x", "path": "a"}\n',
        b"[" * 100_000,
    ],
)
def test_a_batch_that_is_no_list_of_operations_is_refused(buckets, body):
    name = buckets.new()
    assert buckets.hub.request("POST", f"/api/buckets/{name}/batch", body).status == 400


def test_a_batch_has_a_bounded_size(buckets):
    name = buckets.new()
    assert buckets.batch(name, *[delete("a")] * 1001).status == 400
    assert buckets.batch(name, *[delete("a")] * 1000).status == 200
    large = b" " * (16 * 1024 * 1024 + 1)
    assert buckets.hub.request("POST", f"/api/buckets/{name}/batch", large).status == 413


@pytest.mark.parametrize(
    "operation",
    [
        add("a", None),
        add("a", "nonsense"),
        add("a", "\ud800" * 64),
        add("a", contentType="text/html\r\nX-Evil: 1"),
        add("a", contentType=5),
        add("a", mtime="now"),
        add("a", mtime=True),
        add("a", mtime=1e300),
        add("\ud800"),
        add("a" * 1025),
        add("a\\b"),
        add("a\nb"),
        copy("a", "nonsense"),
        copy("a", "ann/none"),
        copy("a", "\ud800/x"),
        copy("a", "ann/x", kind="planet"),
        copy("a", "ann/private", kind="planet"),
    ],
)
def test_an_operation_that_makes_no_sense_is_refused_by_name(buckets, operation):
    name = buckets.new()
    answer = buckets.batch(name, operation)
    assert answer.status == 422
    assert answer.json()["failed"][0]["error"]
    assert buckets.tree(name) == []


def test_a_copy_needs_a_source_that_can_be_read_and_has_the_file(buckets):
    source, hidden, target = buckets.new(), buckets.new(private=True), buckets.new(namespace="lab")
    buckets.fill(source, "a")
    assert buckets.batch(target, copy("b", source)).status == 200
    assert buckets.batch(target, copy("c", source, EMPTY)).json()["failed"] == [
        {"path": "c", "error": "file not found in source repo"}
    ]
    mine = "bob/mine"
    buckets.hub.request("POST", f"/api/buckets/{mine}", {}, token="hf_bob")
    for repo, kind in [(hidden, "bucket"), ("ann/private", "model")]:
        answer = buckets.batch(mine, copy("d", repo, kind=kind), token="hf_bob")
        assert answer.json()["failed"][0]["error"] == f"Source repository not found: {kind}s/{repo}"
    assert buckets.batch(mine, copy("e", "ann/open", kind="model"), token="hf_bob").status == 200


def test_paths_info_tells_of_files_only(buckets):
    name = buckets.new()
    buckets.fill(name, "a/b c", "d")
    path = f"/api/buckets/{name}/paths-info"
    [info] = buckets.hub.request("POST", path, {"paths": ["a", "a/b c", "none", "\ud800"]}).json()
    assert info["path"] == "a/b c"
    assert (info["size"], info["xetHash"]) == (len(DATA), FILE)
    assert info["mtime"] == "2025-09-25T11:33:20.123Z"
    for body in [{}, {"paths": "a"}, {"paths": [1]}, {"paths": ["a"] * 1001}]:
        assert buckets.hub.request("POST", path, body).status == 400


def test_a_file_is_served_whole_and_in_part(buckets):
    name = buckets.new()
    buckets.batch(name, add("a/ü.bin", contentType="application/x-thing"), add("empty", EMPTY))
    url = f"/buckets/{name}/resolve/a%2F%C3%BC.bin"
    head = buckets.hub.request("HEAD", url)
    assert head.status == 200
    assert head.body == b""
    assert head.headers["content-length"] == str(len(DATA))
    assert head.headers["x-xet-hash"] == FILE
    refresh = f"{buckets.hub.endpoint}/api/buckets/{name}/xet-read-token"
    assert head.headers["x-xet-refresh-route"] == refresh
    assert head.headers["link"] == f'<{refresh}>; rel="xet-auth"'
    assert head.headers["content-type"] == "application/x-thing"
    assert buckets.hub.request("GET", url).body == DATA
    part = buckets.hub.request("GET", url, headers={"Range": "bytes=2990-3010"})
    assert (part.status, part.body) == (206, DATA[2990:3011])
    assert part.headers["content-range"] == f"bytes 2990-3010/{len(DATA)}"
    beyond = buckets.hub.request("GET", url, headers={"Range": f"bytes={len(DATA)}-"})
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{len(DATA)}")
    assert buckets.hub.request("GET", f"/buckets/{name}/resolve/empty").body == b""
    missing = buckets.hub.request("GET", f"/buckets/{name}/resolve/none")
    assert (missing.status, missing.headers["x-error-code"]) == (404, "EntryNotFound")


# The tree


def test_one_level_shows_files_and_folders(buckets):
    name = buckets.new()
    buckets.fill(name, "logs/a", "logs/sub/b", "logs/sub/c", "logs.json", "logs_old/x", "top")
    assert buckets.tree(name) == [
        ("file", "logs.json"),
        ("directory", "logs"),
        ("directory", "logs_old"),
        ("file", "top"),
    ]
    # A prefix is plain text, and what is in the folder of that name is one level.
    assert sorted(buckets.tree(name, "logs")) == [
        ("directory", "logs/sub"),
        ("directory", "logs_old"),
        ("file", "logs.json"),
        ("file", "logs/a"),
    ]
    assert buckets.tree(name, "logs/sub", recursive=True) == [
        ("file", "logs/sub/b"),
        ("file", "logs/sub/c"),
    ]
    assert buckets.tree(name, "none") == []


def test_a_long_tree_comes_in_pages_that_lead_to_each_other(buckets):
    name = buckets.new()
    for start in range(0, 2100, 700):
        buckets.fill(name, *(f"f/{n:04d}" for n in range(start, start + 700)), xet_hash=EMPTY)
    path = f"/api/buckets/{name}/tree/f%2F?recursive=true"
    found = []
    while path:
        answer = buckets.hub.request("GET", path)
        found.append(len(answer.json()))
        link = answer.headers.get("link", "")
        assert not link or link.endswith('; rel="next"')
        path = link.partition(";")[0].strip("<>")[len(buckets.hub.endpoint) :]
    assert found == [1000, 1000, 100]
