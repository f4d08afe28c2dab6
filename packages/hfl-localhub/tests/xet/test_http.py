"""The content store over HTTP: what clients may not do, and that it never breaks."""

from __future__ import annotations

import asyncio
import http.client
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_hub import create_app
from xet_objects import (
    file_hash,
    leaves,
    pack_shard,
    pack_xorb,
    random_bytes,
    whole_file,
    xorb_hash,
)

from hfl_localhub._xet import _hashing

CHUNKS = [random_bytes(n, 2000) for n in range(4)]
DATA = b"".join(CHUNKS)
XORB = _hashing.to_text(xorb_hash(CHUNKS))
FILE = _hashing.to_text(file_hash(CHUNKS))
UNKNOWN = "ab" * 32


@pytest.fixture(scope="module")
def store(shared_hub):
    """A Hub that holds one file; returns how to ask its content store."""
    base, token = shared_hub.grant()
    _, read_token = shared_hub.grant("read")

    def ask(method, path, body=None, access="write", headers=None):
        bearer = {"write": token, "read": read_token}.get(access, access)
        return shared_hub.request(method, base + path, body, headers, token=bearer)

    assert ask("POST", f"/v1/xorbs/default/{XORB}", pack_xorb(CHUNKS)).json() == {
        "was_inserted": True
    }
    assert ask("POST", "/v1/shards", pack_shard(whole_file(CHUNKS))).json() == {"result": 1}
    return ask


def files_on_disk(hub):
    return sorted(str(p) for p in hub.root.rglob("*") if p.is_file() and p.name != "requests.jsonl")


def test_a_reconstruction_leads_to_the_bytes(shared_hub, store):
    plan = store("GET", f"/v1/reconstructions/{FILE}", access="read").json()
    assert plan["offset_into_first_range"] == 0
    [term] = plan["terms"]
    assert term == {"hash": XORB, "unpacked_length": len(DATA), "range": {"start": 0, "end": 4}}
    [info] = plan["fetch_info"][XORB]
    first, last = info["url_range"]["start"], info["url_range"]["end"]
    path = info["url"][len(shared_hub.endpoint) :]
    fetched = shared_hub.request(
        "GET", path, headers={"Range": f"bytes={first}-{last}"}, token=None
    )
    assert fetched.status == 206
    assert fetched.body == pack_xorb(CHUNKS)
    assert fetched.headers["content-range"] == f"bytes {first}-{last}/{last + 1}"


def test_a_part_of_a_file_needs_a_part_of_the_bytes_and_no_more(shared_hub, store):
    headers = {"Range": "bytes=2100-2199"}
    plan = store("GET", f"/v1/reconstructions/{FILE}", access="read", headers=headers).json()
    assert plan["offset_into_first_range"] == 100
    [info] = plan["fetch_info"][XORB]
    assert info["range"] == {"start": 1, "end": 2}
    path = info["url"][len(shared_hub.endpoint) :]
    assert shared_hub.request("GET", path, token=None).body == pack_xorb(CHUNKS)[2008:4016]
    beyond = shared_hub.request("GET", path, headers={"Range": "bytes=0-10"}, token=None)
    assert beyond.status == 403


@pytest.mark.parametrize(
    ("header", "skip", "length"), [("bytes=-100", 1900, 2000), ("bytes=7999-", 1999, 2000)]
)
def test_open_ranges_of_a_file_are_understood(store, header, skip, length):
    headers = {"Range": header}
    plan = store("GET", f"/v1/reconstructions/{FILE}", access="read", headers=headers).json()
    assert plan["offset_into_first_range"] == skip
    assert [term["unpacked_length"] for term in plan["terms"]] == [length]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"/v1/reconstructions/{UNKNOWN}", 404),
        ("GET", "/v1/reconstructions/nonsense", 400),
        ("GET", f"/v1/reconstructions/{FILE.upper()}", 400),
        ("GET", f"/v1/chunks/default/{UNKNOWN}", 404),
        ("GET", "/v1/chunks/default/nonsense", 400),
        ("POST", "/v1/xorbs/default/nonsense", 400),
        ("POST", f"/v1/xorb-grants/default/{XORB}", 404),
        ("POST", "/v1/telemetry", 404),
        ("GET", f"/v2/reconstructions/{FILE}", 404),
        ("POST", "/v2/shards", 404),
        ("POST", f"/v1/xorbs/default/{XORB}", 400),
        ("POST", "/v1/shards", 400),
    ],
)
def test_what_is_not_there_or_makes_no_sense_is_refused(store, method, path, status):
    assert store(method, path).status == status


def test_a_range_behind_the_end_of_a_file_is_refused(store):
    headers = {"Range": f"bytes={len(DATA)}-{len(DATA) + 5}"}
    answer = store("GET", f"/v1/reconstructions/{FILE}", headers=headers)
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{len(DATA)}"


def test_the_first_chunk_of_a_file_is_found_by_its_hash(store):
    first = _hashing.to_text(leaves(CHUNKS)[0][0])
    answer = store("GET", f"/v1/chunks/default-merkledb/{first}", access="read")
    assert answer.status == 200
    assert xorb_hash(CHUNKS) in answer.body


# Tokens


@pytest.mark.parametrize("token", [None, "", "nonsense", "a.b", "hf_ann", "é"])
def test_nobody_gets_in_without_a_token_of_this_hub(shared_hub, store, token):
    headers = {} if token is None else {"Authorization": f"Bearer {token}".encode()}
    base, _ = shared_hub.grant()
    for method, path in [
        ("GET", f"{base}/v1/reconstructions/{FILE}"),
        ("GET", f"{base}/v1/chunks/default/{UNKNOWN}"),
        ("POST", f"{base}/v1/xorbs/default/{XORB}"),
        ("POST", f"{base}/v1/shards"),
    ]:
        assert shared_hub.request(method, path, headers=headers, token=None).status == 401


def test_a_token_for_reading_does_not_write(shared_hub, store):
    assert store("POST", "/v1/shards", b"", access="read").status == 403
    assert store("POST", f"/v1/xorbs/default/{XORB}", b"", access="read").status == 403
    assert store("GET", f"/v1/reconstructions/{FILE}", access="write").status == 200


def test_a_signed_url_is_no_token_and_a_token_no_signature(shared_hub, store):
    plan = store("GET", f"/v1/reconstructions/{FILE}").json()
    url = plan["fetch_info"][XORB][0]["url"]
    signature = url.split("signature=")[1]
    assert store("GET", f"/v1/reconstructions/{FILE}", access=signature).status == 401
    _, token = shared_hub.grant()
    assert store("GET", f"/v1/bytes/{XORB}?signature={token}").status == 403
    assert store("GET", f"/v1/bytes/{UNKNOWN}?signature={signature}").status == 403
    assert store("GET", f"/v1/bytes/{XORB}?signature={signature[:-1]}").status == 403
    assert store("GET", f"/v1/bytes/{XORB}").status == 403


def test_tokens_and_urls_expire(tmp_path):
    now = [1_800_000_000.0]
    app = create_app(tmp_path, "http://hub.test", clock=lambda: now[0])
    tokens = app.state.service.tokens
    from hfl_localhub._xet import Scope
    from hfl_localhub._xet._errors import XetScopeError, XetTokenError

    grant = tokens.issue(Scope("model", "ann/digits", "write"))
    signature = tokens.sign_bytes(bytes(32), 0, 9)
    assert grant.expires == 1_800_003_600
    assert tokens.check(f"Bearer {grant.token}", "write") == ("model", "ann/digits", "write")
    now[0] += 3601
    with pytest.raises(XetTokenError):
        tokens.check(f"Bearer {grant.token}", "read")
    with pytest.raises(XetScopeError):
        tokens.check_bytes(signature, _hashing.to_text(bytes(32)))


@pytest.mark.parametrize(
    ("token", "path", "status"),
    [
        ("hf_bob", "/api/models/ann/private/xet-read-token/main", 404),
        (None, "/api/models/ann/private/xet-read-token/main", 401),
        ("hf_bob", "/api/models/ann/open/xet-write-token/main", 403),
        ("hf_bob", "/api/models/ann/open/xet-write-token/None?create_pr=1", 200),
        (None, "/api/models/ann/open/xet-write-token/None?create_pr=1", 401),
        (None, "/api/datasets/ann/open/xet-read-token/refs%2Fpr%2F1", 200),
        ("hf_none", "/api/models/ann/open/xet-read-token/main", 401),
    ],
)
def test_tokens_go_to_those_who_may(shared_hub, token, path, status):
    answer = shared_hub.request("GET", path, token=token)
    assert answer.status == status
    if status == 200:
        body = answer.json()
        assert body["casUrl"] == answer.headers["x-xet-cas-url"]
        assert body["accessToken"] == answer.headers["x-xet-access-token"]
        assert str(body["exp"]) == answer.headers["x-xet-token-expiration"]
        assert re.fullmatch(rf"{shared_hub.endpoint}/xet/[0-9a-f]+", body["casUrl"])


# Hostile uploads leave nothing behind.


@pytest.mark.parametrize(
    "body",
    [
        pack_xorb(CHUNKS)[:-1],
        pack_xorb(CHUNKS)[:2004],
        pack_xorb(CHUNKS[:3]),
        pack_xorb(CHUNKS) + b"garbage!",
        b"",
        b"XETBLOB",
        bytes(100),
    ],
    ids=["cut", "cut header", "other", "garbage", "empty", "only a footer", "zeros"],
)
def test_a_xorb_that_is_not_what_it_is_called_is_refused(small_hub, body):
    base, token = small_hub.grant()
    before = files_on_disk(small_hub)
    answer = small_hub.request("POST", f"{base}/v1/xorbs/default/{XORB}", body, token=token)
    assert answer.status == 400
    assert answer.json()["error"]
    assert files_on_disk(small_hub) == before


@pytest.mark.parametrize("kind", [f"xorbs/default/{XORB}", "shards"])
def test_what_is_announced_too_large_is_refused_at_once(shared_hub, kind):
    base, token = shared_hub.grant()
    connection = http.client.HTTPConnection(shared_hub.endpoint.split("//")[1], timeout=60)
    try:
        connection.putrequest("POST", f"{base}/v1/{kind}")
        connection.putheader("Authorization", f"Bearer {token}")
        connection.putheader("Content-Length", str(200 * 1024 * 1024))
        connection.endheaders()
        assert connection.getresponse().status == 413
    finally:
        connection.close()


def test_what_turns_out_too_large_is_refused_and_removed(tmp_path):
    """A body without a length; straight into the application, because it is 69 MB."""
    app = create_app(tmp_path, "http://hub.test")
    from hfl_localhub._xet import Scope

    grant = app.state.service.tokens.issue(Scope("model", "ann/digits", "write"))
    sent = []
    pieces = iter(range(70))

    async def receive():
        more = next(pieces, None) is not None
        return {"type": "http.request", "body": bytes(1024 * 1024), "more_body": more}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/xet/any/v1/xorbs/default/{XORB}",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {grant.token}".encode())],
    }
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 413
    assert not list((tmp_path / "tmp").iterdir())


def test_a_client_that_goes_away_in_the_middle_leaves_nothing(small_hub):
    base, token = small_hub.grant()
    before = files_on_disk(small_hub)
    connection = http.client.HTTPConnection(small_hub.endpoint.split("//")[1], timeout=60)
    connection.putrequest("POST", f"{base}/v1/xorbs/default/{XORB}")
    connection.putheader("Authorization", f"Bearer {token}")
    connection.putheader("Content-Length", str(len(pack_xorb(CHUNKS))))
    connection.endheaders(pack_xorb(CHUNKS)[:3000])
    connection.close()
    body = pack_xorb(CHUNKS[:2])
    other = _hashing.to_text(xorb_hash(CHUNKS[:2]))
    path = f"{base}/v1/xorbs/default/{other}"
    assert small_hub.request("POST", path, body, token=token).status == 200
    small_hub.stop()  # so that everything that was under way has ended
    assert len(files_on_disk(small_hub)) == len(before) + 1


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_no_body_and_no_path_make_the_store_fail(store, data):
    path = data.draw(
        st.sampled_from(
            [
                f"/v1/xorbs/default/{XORB}",
                "/v1/shards",
                f"/v1/reconstructions/{FILE}",
                "/v1/chunks/a/b",
            ]
        )
    )
    good = pack_shard(whole_file(CHUNKS))
    body = data.draw(
        st.binary(max_size=300)
        | st.integers(0, len(good)).map(lambda end: good[:end])
        | st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)).map(
            lambda change: good[: change[0]] + bytes([change[1]]) + good[change[0] + 1 :]
        )
    )
    span = data.draw(st.text(alphabet="bytes=0123456789-, ", max_size=30))
    method = "GET" if "reconstructions" in path or "chunks" in path else "POST"
    answer = store(method, path, body if method == "POST" else None, headers={"Range": span})
    assert answer.status in (200, 400, 404, 416)
    json.loads(answer.body)
