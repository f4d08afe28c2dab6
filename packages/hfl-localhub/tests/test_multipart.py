from __future__ import annotations

import hashlib

import pytest

from hfl_localhub import LocalHub
from hfl_localhub._multipart import MultipartUploads
from hfl_localhub._store import BlobStore


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def api(tmp_path_factory, api_for):
    root = tmp_path_factory.mktemp("parts")
    with LocalHub(root, multipart_threshold=1000, part_size=400) as hub:
        yield api_for(hub, hub.create_user("ann"))


def start(api, data):
    repo = api.new_repo()
    answer = api.batch(repo, digest(data), len(data), ["basic", "multipart"]).json()
    assert answer["transfer"] == "multipart"
    upload = answer["objects"][0]["actions"]["upload"]
    return repo, upload["href"], upload["header"]


def put(api, header, data, number):
    part = data[(number - 1) * 400 : number * 400]
    answer = api.call("PUT", header[str(number)], data=part)
    assert answer.status == 200
    return {"partNumber": number, "etag": answer.headers["etag"]}


def test_parts_arrive_in_any_order_and_twice(api):
    data = bytes(range(256)) * 4 + b"!"
    repo, href, header = start(api, data)
    assert header["chunk_size"] == "400"
    parts = [put(api, header, data, number) for number in (3, 1, 2, 1)]
    assert api.call("POST", href, {"oid": digest(data), "parts": parts}).status == 200
    line = {"path": "a", "algo": "sha256", "oid": digest(data), "size": len(data)}
    api.commit(repo, lines=[{"key": "lfsFile", "value": line}])
    assert api.get(f"/{repo}/resolve/main/a").body == data
    assert list((api.hub.root / "uploads").iterdir()) == []


def test_smaller_files_and_clients_that_do_not_offer_it_upload_at_once(api):
    small, repo = b"small", api.new_repo()
    answer = api.batch(repo, digest(small), len(small), ["basic", "multipart"]).json()
    assert answer["transfer"] == "basic"
    large = b"large" * 1000
    assert api.batch(repo, digest(large), len(large), ["basic"]).json()["transfer"] == "basic"


def test_a_missing_or_other_part_refuses_completion(api):
    data = b"0123456789" * 101
    _, href, header = start(api, data)
    first, second = (put(api, header, data, number) for number in (1, 2))
    for parts in (
        [first, second],
        [first, second, {"partNumber": 3, "etag": "x"}],
        [first, second, {"partNumber": 4, "etag": "x"}],
    ):
        answer = api.call("POST", href, {"oid": digest(data), "parts": parts})
        assert (answer.status, answer.code) == (400, "InvalidPart")
    for parts in ("x", ["x"], [{"partNumber": "1", "etag": "x"}]):
        assert api.call("POST", href, {"oid": digest(data), "parts": parts}).status == 400
    third = put(api, header, data, 3)
    body = {"oid": digest(data), "parts": [first, second, third]}
    assert api.call("POST", href, body).status == 200


def test_parts_that_make_another_file_are_thrown_away(api):
    data = b"right" * 250
    repo, href, header = start(api, data)
    parts = [put(api, header, b"wrong" * 250, number) for number in (1, 2, 3, 4)]
    answer = api.call("POST", href, {"oid": digest(data), "parts": parts})
    assert (answer.status, answer.code) == (400, "BadDigest")
    assert "actions" in api.batch(repo, digest(data), len(data)).json()["objects"][0]
    answer = api.call("POST", href, {"oid": digest(data), "parts": parts})
    assert (answer.status, answer.code) == (400, "NoSuchUpload")


def test_a_part_of_the_wrong_size_is_refused(api):
    data = b"0123456789" * 101
    _, _, header = start(api, data)
    assert api.call("PUT", header["1"], data=data[:399]).code == "IncompleteBody"
    assert api.call("PUT", header["3"], data=data[:400]).code == "EntityTooLarge"


def test_an_upload_in_parts_goes_on_after_a_restart(api):
    data = b"restart..." * 101
    repo, href, header = start(api, data)
    parts = [put(api, header, data, number) for number in (1, 2)]
    api.hub.stop()
    api.hub.start()
    parts.append(put(api, header, data, 3))
    assert api.call("POST", href, {"oid": digest(data), "parts": parts}).status == 200
    assert "actions" not in api.batch(repo, digest(data), len(data)).json()["objects"][0]


def test_uploads_that_nobody_can_finish_any_more_are_removed(api, tmp_path):
    uploads = MultipartUploads(BlobStore(tmp_path), tmp_path)
    with uploads.part("abandoned", 1, 0) as part:
        part.write(b"data")
        part.finish()
    uploads.discard_older_than(3600)
    assert (tmp_path / "uploads" / "abandoned").exists()
    uploads.discard_older_than(-1)
    assert not (tmp_path / "uploads" / "abandoned").exists()
