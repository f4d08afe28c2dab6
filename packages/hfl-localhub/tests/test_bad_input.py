from __future__ import annotations

import hashlib
import socket
from urllib.parse import urlsplit

import pytest


def raw(hub, data):
    """Send bytes and return the first line of what comes back."""
    parts = urlsplit(hub.endpoint)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(data)
        received = b""
        while b"\r\n" not in received:
            more = connection.recv(65536)
            if not more:
                break
            received += more
    return received.split(b"\r\n", 1)[0]


@pytest.mark.parametrize(
    "target",
    [
        "/%ff/%ff/resolve/main/%ff",
        "/ann/../../etc/passwd",
        "/ann/x/resolve/main/../../../../etc/passwd",
        "/ann/x/resolve/main/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/api/models/..%2f..%2f/x",
        "/api/models/ann/%00",
        "/_lfs/..%2f..%2fetc%2fpasswd?sig=a.b",
        "/_lfs/" + "0" * 64 + "?sig=%ff.%ff",
        "/api/models/ann/x/tree/main/%F0%28%8C%28",
        "/api/models/ann/x/commits/main?p=99999999999999999999",
        "/api/models?limit=99999999999999999999",
        "/api/models?cursor=%C2%B2",
        "/" + "a" * 5000,
        "//",
        "/*",
    ],
)
def test_odd_addresses_are_refused_without_an_internal_error(hub, ann, target):
    line = raw(hub, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert line.split()[1] in {b"200", b"400", b"401", b"403", b"404"}, line


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        b"POST /api/repos/create HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/repos/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: odd\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(hub, data):
    line = raw(hub, data)
    assert not line or line.split()[1].startswith(b"4"), line


def test_an_unknown_path_and_an_unknown_method_say_so(ann):
    answer = ann.get("/no/such/thing/at/all")
    assert (answer.status, answer.code) == (404, "NotFound")
    answer = ann.call("PATCH", "/api/whoami-v2")
    assert (answer.status, answer.headers["allow"]) == (405, "GET")
    assert answer.json()["error"]


@pytest.mark.parametrize("data", [b"{", b"[]", b"5", b"\xff", b"[" * 100_000, b'{"a":' * 50_000])
@pytest.mark.parametrize("path", ["/api/repos/create", "/api/validate-yaml", "/api/repos/move"])
def test_json_that_is_none_is_refused(ann, path, data):
    answer = ann.call("POST", path, data=data)
    assert (answer.status, answer.code) == (400, "InvalidJSON")


def test_a_body_that_is_too_large_is_refused(ann):
    answer = ann.call("POST", "/api/repos/create", data=b" " * (1024**2 + 1))
    assert (answer.status, answer.code) == (413, "PayloadTooLarge")


@pytest.mark.parametrize(
    "name",
    [
        "",
        None,
        5,
        "..",
        ".",
        "a--b",
        "a..b",
        "-a",
        "a-",
        ".a",
        "a.git",
        "x" * 97,
        "a b",
        "é",
        "a\n",
        "a/../b",
    ],
)
def test_repository_names_that_may_not_be_are_refused(ann, name):
    answer = ann.call("POST", "/api/repos/create", {"name": name})
    assert (answer.status, answer.code) in [(400, "InvalidRepoName"), (403, "Forbidden")]
    repo = ann.new_repo()
    if isinstance(name, str):
        move = {"fromRepo": repo, "toRepo": f"ann/{name}"}
        assert ann.call("POST", "/api/repos/move", move).code == "InvalidRepoName"


@pytest.mark.parametrize(
    "body", [{"type": "bucketish"}, {"visibility": "odd"}, {"private": 1}, {"organization": "../x"}]
)
def test_other_options_of_a_new_repository_are_checked(ann, body):
    answer = ann.call("POST", "/api/repos/create", {"name": "fine", **body})
    assert answer.status in (400, 403)
    assert not (ann.hub.root / "x").exists()


def test_an_error_is_worded_for_headers_and_body(ann):
    answer = ann.get("/api/models/ann/no-such")
    assert answer.headers["x-error-message"] == answer.json()["error"]
    repo = ann.new_repo()
    answer = ann.get(f"/{repo}/resolve/main/%E6%97%A5%0D%0AX-Evil%3A%201")
    assert answer.status == 404
    assert "x-evil" not in answer.headers
    assert "日" in answer.json()["error"]


@pytest.mark.parametrize("kind", ["resolve", "raw"])
@pytest.mark.parametrize("rest", ["main/a%00b", "ma%00in/a.txt", "main/a%7F%1B%01b", "%00/%00"])
def test_control_characters_in_an_address_get_an_answer(hub, ann, kind, rest):
    repo = ann.new_repo()
    line = raw(hub, f"GET /{repo}/{kind}/{rest} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert line.split()[1] in (b"400", b"404"), line


@pytest.mark.parametrize("api", ["tree", "revision", "commits"])
def test_control_characters_in_a_revision_get_an_answer(hub, ann, api):
    repo = ann.new_repo()
    target = f"/api/models/{repo}/{api}/x%00y"
    line = raw(hub, f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert line.split()[1] in (b"400", b"404"), line


@pytest.mark.parametrize("wanted", ["bytes={}-", "bytes=-{}", "bytes=0-{}", "bytes={}-{}"])
def test_a_range_of_absurd_length_is_no_internal_error(ann, wanted):
    repo = ann.new_repo()
    assert ann.commit(repo, {"a.txt": b"0123456789"}).status == 200
    answer = ann.get(f"/{repo}/resolve/main/a.txt", Range=wanted.replace("{}", "9" * 5000))
    assert answer.status in (200, 206, 416)


@pytest.mark.parametrize(
    "path",
    [
        "git~1/x",
        "a/GIT~1",
        "git~1. /x",
        ".g\u200cit/x",
        "\u200b.git/config",
        ".git\ufeff/config",
        ".GI\u202eT",
        ".git::$INDEX_ALLOCATION/config",
        ".git ::$INDEX_ALLOCATION/config",
    ],
)
def test_paths_that_a_file_system_takes_for_git_s_own_are_refused(ann, path):
    repo = ann.new_repo()
    answer = ann.commit(repo, {path: b"x"})
    assert (answer.status, answer.code) == (400, "InvalidPath")


@pytest.mark.parametrize("path", ["git~10", "my.git/x", ".gitattributes", ".github/x", "a\u200cb"])
def test_paths_that_only_look_like_git_s_own_are_fine(ann, path):
    assert ann.commit(ann.new_repo(), {path: b"x"}).status == 200


@pytest.mark.parametrize("path", ["/v1/xorbs/default/" + "0" * 64, "/v1/shards"])
def test_who_uploads_chunks_with_a_bad_token_gets_to_read_why(hub, ann, path):
    """A client that still sends when the connection ends sees a reset, and tries again for long."""
    repo = ann.new_repo()
    store = ann.get(f"/api/models/{repo}/xet-write-token/main").json()["casUrl"]
    answer = ann.call("POST", store[len(hub.endpoint) :] + path, data=b"x" * 30_000_000)
    assert answer.status == 401
    assert "Xet token" in answer.json()["error"]


def test_what_is_cut_off_leaves_nothing_and_is_no_internal_error(hub, ann):
    repo = ann.new_repo()
    large = b"x" * 6_000_000
    oid = hashlib.sha256(large).hexdigest()
    place = ann.batch(repo, oid, len(large)).json()["objects"][0]["actions"]["upload"]["href"]
    granted = ann.get(f"/api/models/{repo}/xet-write-token/main").json()
    store = urlsplit(granted["casUrl"]).path
    ann.call("POST", "/api/buckets/ann/cut-off", {})
    hub.requests.clear()
    for target, token in [
        (f"POST /api/models/{repo}/commit/main", ann.token),
        (f"POST /api/models/{repo}/preupload/main", ann.token),
        ("POST /api/buckets/ann/cut-off/batch", ann.token),
        (f"PUT {place[len(hub.endpoint):]}", ann.token),
        (f"POST {store}/v1/shards", granted["accessToken"]),
        (f"POST {store}/v1/xorbs/default/{'0' * 64}", granted["accessToken"]),
    ]:
        path = target.split(" ")[1].partition("?")[0]
        cuts = [(100, b'{"key":'), (6_000_000, large[:5_500_000]), (9, b"")]
        for count, (announced, sent) in enumerate(cuts, start=1):
            head = f"{target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
            head += f"Content-Length: {announced}\r\n\r\n"
            parts = urlsplit(hub.endpoint)
            with socket.create_connection((parts.hostname, parts.port), timeout=30) as client:
                client.sendall(head.encode() + sent)
            assert hub.requests.wait(path=path, count=count)
    assert not [record for record in hub.requests if (record.status or 0) >= 500]
    assert list((hub.root / "tmp").iterdir()) == []
