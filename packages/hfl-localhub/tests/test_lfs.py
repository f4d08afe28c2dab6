from __future__ import annotations

import hashlib
import socket
from urllib.parse import urlsplit

import pytest

from hfl_localhub import LocalHub


def digest(data):
    return hashlib.sha256(data).hexdigest()


def upload_href(api, repo, data):
    item = api.batch(repo, digest(data), len(data)).json()["objects"][0]
    return item["actions"]["upload"]["href"]


def stored_files(hub):
    return sorted(path for path in hub.root.rglob("blobs/*/*/*")) + sorted(
        path for path in (hub.root / "tmp").iterdir()
    )


def test_an_upload_goes_to_a_signed_url_and_is_verified(ann, nobody):
    repo, data = ann.new_repo(), b"weights" * 10_000
    item = ann.batch(repo, digest(data), len(data)).json()["objects"][0]
    # The URL itself is the permission: no token is sent to it.
    assert nobody.call("PUT", item["actions"]["upload"]["href"], data=data).status == 200
    verify = item["actions"]["verify"]["href"]
    body = {"oid": digest(data), "size": len(data)}
    assert ann.call("POST", verify, body).status == 200
    assert ann.call("POST", verify, {**body, "size": 1}).status == 400
    assert ann.call("POST", verify, {**body, "oid": "0" * 64}).status == 404
    assert nobody.call("POST", verify, body).status == 401


def test_what_is_there_already_is_not_asked_for(ann):
    repo, data = ann.new_repo(), b"again" * 1000
    ann.upload_large(repo, data)
    answer = ann.batch(repo, digest(data), len(data)).json()
    assert "actions" not in answer["objects"][0]


def test_a_client_that_offers_xet_is_told_to_use_it(ann):
    repo = ann.new_repo()
    answer = ann.batch(repo, "0" * 64, 5, ["basic", "multipart", "xet"])
    assert answer.json()["transfer"] == "xet"
    assert ann.batch(repo, "0" * 64, 5, ["basic", "multipart"]).json()["transfer"] == "basic"


def test_another_repositorys_file_has_to_be_uploaded_and_is_stored_once(ann, bob):
    data = b"shared by two" * 1000
    ann.upload_large(ann.new_repo(private=True), data)
    used = ann.hub.used_storage()
    repo = bob.new_repo()
    # Knowing a digest is not having the file.
    assert "actions" in bob.batch(repo, digest(data), len(data)).json()["objects"][0]
    bob.upload_large(repo, data)
    assert ann.hub.used_storage() == used


def test_data_with_another_digest_is_refused_and_not_kept(ann):
    repo, data = ann.new_repo(), b"right" * 1000
    href = upload_href(ann, repo, data)
    before = stored_files(ann.hub)
    answer = ann.call("PUT", href, data=b"wrong" * 1000)
    assert (answer.status, answer.code) == (400, "BadDigest")
    assert stored_files(ann.hub) == before
    assert ann.call("PUT", href, data=data).status == 200


@pytest.mark.parametrize(
    ("sent", "code"), [(b"right" * 999, "IncompleteBody"), (b"right" * 1001, "EntityTooLarge")]
)
def test_data_of_another_size_is_refused_and_not_kept(ann, sent, code):
    repo = ann.new_repo()
    data = b"right" * 1000 + repo.encode()
    href = upload_href(ann, repo, data)
    before = stored_files(ann.hub)
    answer = ann.call("PUT", href, data=sent + (repo.encode() if code == "EntityTooLarge" else b""))
    assert (answer.status, answer.code) == (400, code)
    assert stored_files(ann.hub) == before


def test_an_upload_that_is_cut_off_leaves_nothing(ann, hub):
    repo, data = ann.new_repo(), b"cut off" * 100_000
    href = urlsplit(upload_href(ann, repo, data))
    before = stored_files(hub)
    head = (
        f"PUT {href.path}?{href.query} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection((href.hostname, href.port)) as connection:
        connection.sendall(head.encode() + data[: len(data) // 2])
    assert hub.requests.wait("PUT", href.path)  # the server notices in its own time
    assert stored_files(hub) == before
    assert "actions" in ann.batch(repo, digest(data), len(data)).json()["objects"][0]


def test_a_signature_is_for_one_thing_and_for_a_while(tmp_path, api_for):
    shift = [1000.0]
    with LocalHub(tmp_path, clock=lambda: shift[0], url_lifetime=60) as hub:
        api = api_for(hub, hub.create_user("ann"))
        repo, data, other = api.new_repo(), b"one", b"two"
        href = upload_href(api, repo, data)
        assert api.call("PUT", href.replace(digest(data), digest(other)), data=other).status == 403
        assert api.call("PUT", href[:-1] + "x", data=data).status == 403
        assert api.call("PUT", href.split("?")[0], data=data).status == 403
        assert api.call("GET", href).status == 403
        shift[0] += 61
        answer = api.call("PUT", href, data=data)
        assert (answer.status, answer.code) == (403, "AccessDenied")
        assert "actions" in api.batch(repo, digest(data), 3).json()["objects"][0]


def test_a_batch_answers_for_each_object_on_its_own(ann):
    repo = ann.new_repo()
    objects = [
        {"oid": "not a digest", "size": 1},
        {"oid": "0" * 64, "size": -1},
        {"oid": "1" * 64, "size": 10**15},
        {"oid": "2" * 64, "size": True},
        {"oid": "3" * 64, "size": 5},
    ]
    body = {"operation": "upload", "transfers": ["basic"], "objects": objects}
    answer = ann.call("POST", f"/{repo}.git/info/lfs/objects/batch", body)
    assert answer.headers["content-type"] == "application/vnd.git-lfs+json"
    found = answer.json()["objects"]
    assert [item.get("error", {}).get("code") for item in found] == [422, 422, 422, 422, None]


@pytest.mark.parametrize(
    "body",
    [
        {"operation": "steal", "objects": []},
        {"operation": "upload", "objects": "a"},
        {"operation": "upload", "objects": ["a"]},
        {"operation": "upload", "objects": [{}] * 1001},
    ],
)
def test_a_batch_that_makes_no_sense_is_refused(ann, body):
    repo = ann.new_repo()
    assert ann.call("POST", f"/{repo}.git/info/lfs/objects/batch", body).status == 400


def test_git_lfs_downloads_through_signed_urls(ann, nobody):
    repo, data = ann.new_repo(private=True), b"for git-lfs" * 1000
    ann.commit_large(repo, {"a.bin": data})
    answer = ann.batch(repo, digest(data), len(data), operation="download").json()
    href = answer["objects"][0]["actions"]["download"]["href"]
    assert nobody.get(href).body == data
    assert nobody.get(href, Range="bytes=3-").body == data[3:]
    missing = ann.batch(repo, "0" * 64, 1, operation="download").json()
    assert missing["objects"][0]["error"]["code"] == 404
    assert nobody.batch(repo, digest(data), len(data), operation="download").status == 401


def test_data_sets_have_their_own_upload_address(ann):
    repo, data = ann.new_repo("dataset"), b"rows" * 1000
    item = ann.batch(f"datasets/{repo}", digest(data), len(data)).json()["objects"][0]
    assert f"/datasets/{repo}.git/" in item["actions"]["verify"]["href"]
    assert ann.call("PUT", item["actions"]["upload"]["href"], data=data).status == 200


def test_a_large_body_and_what_follows_it_are_kept_apart(ann, hub):
    """Bodies of some MiB bypass the HTTP parser; the answer then ends the connection."""
    repo = ann.new_repo()
    data = bytes(range(256)) * 40_000
    href = urlsplit(upload_href(ann, repo, data))
    head = (
        f"PUT {href.path}?{href.query} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    follower = b"GET /api/whoami-v2 HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection((href.hostname, href.port), timeout=30) as connection:
        connection.sendall(head.encode() + data + follower)
        received = b""
        while True:
            more = connection.recv(65536)
            if not more:
                break
            received += more
    assert received.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in received.lower()
    assert received.count(b"HTTP/1.1") == 1
    ann.commit_large(repo, {"w.bin": data})
    assert ann.get(f"/{repo}/resolve/main/w.bin").body == data


def test_a_large_body_that_nobody_wants_is_refused(ann):
    data = b"x" * (5 * 1024**2)
    answer = ann.call("PUT", "/_lfs/" + "0" * 64 + "?sig=forged.one", data=data)
    assert answer.status == 403
    answer = ann.call("POST", "/api/repos/create", data=data)
    assert answer.status == 413


@pytest.mark.parametrize("options", [{"private": True}, {}])
def test_the_text_of_a_pointer_gives_nobody_the_large_file_of_another(ann, bob, options):
    secret = b"secret weights" * 100
    theirs = ann.new_repo(**options)
    ann.commit_large(theirs, {"w.bin": secret})
    oid = hashlib.sha256(secret).hexdigest()
    text = (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(secret)}\n"
    ).encode()
    mine = bob.new_repo()
    assert bob.commit(mine, {"w.bin": text}).status == 200
    answer = bob.get(f"/{mine}/resolve/main/w.bin")
    assert (answer.status, answer.body) == (200, text)
    assert not {"x-linked-etag", "x-xet-hash"} & set(answer.headers)
    [entry] = [
        entry
        for entry in bob.get(f"/api/models/{mine}/tree/main").json()
        if "w.bin" in entry["path"]
    ]
    assert entry["size"] == len(text)
    assert "lfs" not in entry
    info = bob.get(f"/api/models/{mine}?blobs=true").json()
    assert all("lfs" not in item for item in info["siblings"])
    asked = bob.call("POST", f"/api/models/{mine}/paths-info/main", {"paths": ["w.bin"]}).json()
    assert [(item["size"], "lfs" in item) for item in asked] == [(len(text), False)]
    assert "error" in bob.batch(mine, oid, len(secret), operation="download").json()["objects"][0]
    copy = bob.call("POST", f"/api/models/{mine}/duplicate", {"repository": f"{mine}-copy"})
    assert copy.status == 200
    assert bob.get(f"/{mine}-copy/resolve/main/w.bin").body == text
