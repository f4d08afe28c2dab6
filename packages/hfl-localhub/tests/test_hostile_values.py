"""Every route, with values of every wrong kind in every place: an answer, and never an internal error."""

from __future__ import annotations

import http.client
import json
import re
from urllib.parse import urlsplit

import pytest

from hfl_localhub import LocalHub, _route_table, _xet
from hfl_localhub._routing import Router

ZEROS = "0" * 64
ODD = [None, True, -1, 2**70, float("nan"), "", "../..", "\x00", "\ud800", "9" * 5000, [], {}, [{}]]
BODIES = {
    "POST /api/repos/create": {
        "name": "x",
        "organization": "ann",
        "type": "space",
        "visibility": "public",
        "private": False,
        "sdk": "static",
    },
    "DELETE /api/repos/delete": {"name": "x", "organization": "ann", "type": "model"},
    "POST /api/repos/move": {"fromRepo": "ann/none", "toRepo": "ann/x", "type": "model"},
    "PUT settings": {"visibility": "public", "private": False, "gated": False},
    "POST /api/validate-yaml": {"content": "---\na: 1\n---\n", "repoType": "model"},
    "POST ask-access": {},
    "POST grant": {"user": "bob"},
    "POST handle": {"user": "bob", "status": "accepted"},
    "POST git/info/lfs/objects/batch": {
        "operation": "upload",
        "transfers": ["basic", "multipart"],
        "objects": [{"oid": ZEROS, "size": 5}],
    },
    "POST verify": {"oid": ZEROS, "size": 5},
    "POST preupload": {"files": [{"path": "a", "sample": "", "size": 5}], "gitIgnore": "*.pyc"},
    "POST paths-info": {"paths": ["README.md"], "expand": True},
    "POST branch": {"startingPoint": "main", "emptyBranch": False},
    "POST tag": {"tag": "v1", "message": "m"},
    "POST super-squash": {"message": "m"},
    "POST lfs-files/batch": {"deletions": {"sha": [ZEROS], "rewriteHistory": False}},
    "POST lfs-files/duplicate": {
        "target": {"type": "model", "name": "ann/x"},
        "files": [{"sha256": ZEROS}],
    },
    "POST discussions": {"title": "title", "description": "d", "pullRequest": False},
    "POST comment": {"comment": "c"},
    "POST edit": {"content": "c"},
    "POST title": {"title": "title"},
    "POST status": {"status": "open", "comment": "c"},
    "POST merge": {"comment": "c"},
    "POST duplicate": {"repository": "ann/x", "private": False},
    "POST commit": {
        "summary": "s",
        "description": "d",
        "parentCommit": None,
        "path": "a",
        "content": "YQ==",
        "encoding": "base64",
        "algo": "sha256",
        "oid": ZEROS,
        "size": 5,
    },
    "POST batch": {
        "type": "addFile",
        "path": "a",
        "xetHash": ZEROS,
        "mtime": 5,
        "contentType": "text/plain",
        "sourceRepoType": "bucket",
        "sourceRepoId": "ann/bucket",
    },
    "POST bucket": {"private": False, "visibility": "public"},
}
QUERIES = (
    *("limit={}", "cursor={}", "p={}", "expand={}&recursive=1", "sort={}&direction={}"),
    *("search={}&filter={}&author={}", "sig={}&signature={}", "type={}&status={}", "service={}"),
)
IN_QUERIES = ("%00", "%ED%A0%80", "9" * 5000, "bWFpbjo5OTk5OTk5OTk5OTk5")
IN_PATHS = ("%00", "..", "%2e%2e%2f", "%ED%A0%80", "9" * 5000, "%D9%A1")


class _Spy(Router):
    """Notes the routes instead of serving them."""

    def __init__(self):
        super().__init__()
        self.found = []

    def add(self, method, template, *_):
        self.found.append((method, template.replace("*}", "}")))


def all_routes(hub):
    spy = _Spy()
    _route_table.add_all(spy)
    services = hub._services()
    mounted = [*services.buckets.routes(), *_xet.routes(services.context, services.xet)]
    return spy.found + [
        (method, route.path.replace(":path}", "}"))
        for route in mounted
        for method in sorted(route.methods - {"HEAD"})
    ]


PLACES = {"T": "models", "prefix": "", "ns": "ann", "namespace": "ann", "rev": "main"}
PLACES.update(number="1", path="README.md", event="x", status="pending", user="ann", org="lab")


def filled(template, **places):
    name = "bucket" if "buckets" in template else "repo"
    known = {**PLACES, "name": name, **places}
    if "/v1/" in template:
        known["prefix"] = "default"
    return re.sub(r"\{(\w+)\}", lambda found: known.get(found[1], ZEROS), template)


class Rough:
    """Asks on one connection, and looks at each answer."""

    def __init__(self, hub, token):
        parts = urlsplit(hub.endpoint)
        self.headers = {"Authorization": f"Bearer {token}"}
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        self.count = 0
        self.failures = []

    def ask(self, method, path, data=None, **headers):
        self.connection.request(method, path, body=data, headers={**self.headers, **headers})
        answer = self.connection.getresponse()
        body = answer.read()
        self.count += 1
        if answer.status >= 500:
            self.failures.append((method, path[:200], (data or b"")[:400]))
        if answer.headers.get("content-type") == "application/json" and method != "HEAD":
            json.loads(body.decode())  # UTF-8, whatever was sent before
        return answer.status


@pytest.fixture(scope="module")
def rough():
    with LocalHub() as hub:
        ask = Rough(hub, hub.create_user("ann", orgs=["lab"]))
        hub.create_user("bob")
        for name in ("repo", "x"):
            ask.ask("POST", "/api/repos/create", json.dumps({"name": name}).encode())
        ask.ask("POST", "/api/buckets/ann/bucket", b"{}")
        for pull_request in (False, True):
            body = {"title": "title", "pullRequest": pull_request}
            ask.ask("POST", "/api/models/ann/repo/discussions", json.dumps(body).encode())
        ask.hub = hub
        yield ask
        ask.connection.close()


def body_for(method, template):
    if template.startswith("/api/buckets/{namespace}/{name}") and template.endswith("{name}"):
        return BODIES["POST bucket"]
    for key in sorted(BODIES, key=len, reverse=True):
        verb, _, end = key.partition(" ")
        stem = template.replace("/{rev}", "").replace("{name}.", "")
        if verb == method and (stem == end or stem.endswith(f"/{end}")):
            return BODIES[key]
    return None


def variants(value):
    """Yield copies of a value with something odd in one place each."""
    yield from ODD
    if isinstance(value, dict):
        for key, inner in value.items():
            for odd in variants(inner):
                yield {**value, key: odd}
            yield {other: value[other] for other in value if other != key}
    elif isinstance(value, list):
        for odd in variants(value[0]):
            yield [odd]


def lines(template, value):
    """Write what a route takes: one object, or several lines."""
    if template.endswith("commit/{rev}") and isinstance(value, dict):
        said = {
            key: value[key] for key in ("summary", "description", "parentCommit") if key in value
        }
        header = {"key": "header", "value": said}
        kinds = ("file", "lfsFile", "deletedFile", "deletedFolder")
        yield "\n".join(
            map(json.dumps, [header, *({"key": kind, "value": value} for kind in kinds)])
        ).encode()
    yield json.dumps(value).encode()


def test_no_value_in_a_body_is_an_internal_error(rough):
    missed = []
    for method, template in all_routes(rough.hub):
        if method == "GET" or template.startswith(("/_lfs", "/xet", "/api/telemetry")):
            continue
        body = body_for(method, template)
        if body is None:
            missed.append((method, template))
            continue
        for value in variants(body):
            for data in lines(template, value):
                headers = {"Content-Type": "application/json"} if "paths-info" in template else {}
                rough.ask(method, filled(template), data, **headers)
    # These take no body.
    assert {(method, template.rsplit("/", 1)[1]) for method, template in missed} == {
        ("DELETE", "like"),
        ("DELETE", "{name}"),
        ("DELETE", "{rev}"),
        ("POST", "like"),
        ("POST", "git-receive-pack"),
        ("POST", "git-upload-pack"),
        ("POST", "hide"),
    }
    assert rough.count > 1000
    assert rough.failures == []


def test_no_query_and_no_address_is_an_internal_error(rough):
    for method, template in all_routes(rough.hub):
        if method == "GET":
            for query in QUERIES:
                for odd in IN_QUERIES:
                    path = filled(template)
                    rough.ask("GET", f"{path}?{query.replace('{}', odd)}")
        for place in re.findall(r"\{(\w+)\}", template):
            for odd in IN_PATHS:
                rough.ask(method, filled(template, **{place: odd}))
    assert rough.failures == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"0000",
        b"zzzz",
        b"ffff",
        b"0001",
        b"0032want " + b"0" * 40 + b"\n0000",
        b"0009done\n",
        b"\x1f\x8bnonsense",
        b"0011command=ls-refs",
        b"0032have " + b"f" * 40 + b"\n" * 3,
    ],
)
def test_what_is_no_request_of_git_is_no_internal_error(rough, data):
    for headers in ({}, {"Content-Encoding": "gzip"}):
        for end in ("upload", "receive"):
            rough.ask("POST", f"/ann/repo.git/git-{end}-pack", data, **headers)
    assert rough.failures == []
