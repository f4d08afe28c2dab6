"""What is private looks, at every route and to every stranger, exactly like what does not exist."""

from __future__ import annotations

import json
import re

import pytest

from hfl_localhub import LocalHub, _route_table
from hfl_localhub._routing import Router

BODY = {
    "title": "abc",
    "description": "",
    "comment": "x",
    "content": "x",
    "status": "open",
    "tag": "t",
    "message": "m",
    "files": [],
    "operation": "upload",
    "objects": [],
    "paths": [],
    "deletions": {"sha": []},
    "repository": "bob/x",
    "user": "bob",
    "oid": "0" * 64,
    "size": 1,
    "target": {"name": "bob/mine"},
}
COMMIT = b'{"key": "header", "value": {"summary": "s"}}\n'
HIDDEN = ("secret", "former", "present")


def routes_by_name(hub):
    found = []

    class Spy(Router):
        def add(self, method, template, *_):
            found.append((method, template.replace("*}", "}")))

    _route_table.add_all(Spy())
    for route in hub._services().buckets.routes():
        found += [(method, route.path.replace(":path}", "}")) for method in sorted(route.methods)]
    return [(method, template) for method, template in found if "{name}" in template]


@pytest.fixture(scope="module")
def private(api_for):
    with LocalHub() as hub:
        ann = api_for(hub, hub.create_user("ann", orgs=["lab"]))
        for kind in ("model", "dataset", "space"):
            for name in ("secret", "former"):
                body = {"name": name, "type": kind, "private": True, "sdk": "static"}
                assert ann.call("POST", "/api/repos/create", body).status == 200
            discussion = {"title": "hidden", "description": "x"}
            path = f"/api/{kind}s/ann/secret/discussions"
            assert ann.call("POST", path, discussion).status == 200
        for name in ("secret", "former"):
            assert ann.call("POST", f"/api/buckets/ann/{name}", {"private": True}).status == 200
        for kind in ("model", "dataset", "space", "bucket"):
            body = {"fromRepo": "ann/former", "toRepo": "ann/present", "type": kind}
            assert ann.call("POST", "/api/repos/move", body).status == 200
        bob = api_for(hub, hub.create_user("bob"))
        assert bob.call("POST", "/api/repos/create", {"name": "mine"}).status == 200
        yield hub, ann, bob


def seen(answer, name):
    """What a stranger can tell apart, with the name made the same."""
    headers = {key: value.replace(name, "?") for key, value in answer.headers.items()}
    for varying in ("x-request-id", "date", "content-length"):
        headers.pop(varying, None)
    return answer.status, headers, answer.body.replace(name.encode(), b"?")


def filled(template, name, kind):
    places = {
        "T": kind,
        "prefix": "" if kind == "models" else f"{kind}/",
        "ns": "ann",
        "namespace": "ann",
        "name": name,
        "rev": "main",
        "path": ".gitattributes",
        "number": "1",
        "status": "pending",
    }
    return re.sub(r"\{(\w+)\}", lambda found: places.get(found[1], "x"), template)


@pytest.mark.parametrize("who", ["bob", "nobody"])
@pytest.mark.parametrize("kind", ["models", "datasets", "spaces"])
def test_no_route_tells_a_stranger_of_something_private(private, api_for, who, kind):
    hub, _, bob = private
    stranger = bob if who == "bob" else api_for(hub)
    count = 0
    for method, template in routes_by_name(hub):
        data = None
        if method in ("POST", "PUT", "DELETE"):
            data = COMMIT if "commit" in template else json.dumps(BODY).encode()
        absent = seen(stranger.call(method, filled(template, "absent", kind), data=data), "absent")
        for name in HIDDEN:
            answer = stranger.call(method, filled(template, name, kind), data=data)
            assert seen(answer, name) == absent, (method, template, name)
            count += 1
        assert absent[0] >= 400, (method, template)
    assert count > 150


@pytest.mark.parametrize("kind", ["model", "dataset", "space", "bucket"])
def test_no_body_tells_a_stranger_of_something_private(private, api_for, kind):
    hub, _, bob = private
    asked = [
        ("DELETE", "/api/repos/delete", lambda name: {"name": name, "organization": "ann"}),
        ("POST", "/api/repos/move", lambda name: {"fromRepo": f"ann/{name}", "toRepo": "bob/z"}),
        ("POST", "/api/repos/move", lambda name: {"fromRepo": "bob/mine", "toRepo": f"ann/{name}"}),
        ("POST", "/api/repos/create", lambda name: {"name": name, "organization": "ann"}),
        ("POST", "/api/models/bob/mine/duplicate", lambda name: {"repository": f"ann/{name}"}),
        (
            "POST",
            "/api/models/bob/mine/lfs-files/duplicate",
            lambda name: {"target": {"type": kind, "name": f"ann/{name}"}, "files": []},
        ),
    ]
    for stranger in (bob, api_for(hub)):
        for method, path, body in asked:
            absent = seen(stranger.call(method, path, {**body("absent"), "type": kind}), "absent")
            for name in HIDDEN:
                answer = stranger.call(method, path, {**body(name), "type": kind})
                assert seen(answer, name) == absent, (method, path, name)


def test_no_list_tells_a_stranger_of_something_private(private, api_for):
    hub, ann, bob = private
    for path in (
        *("/api/models", "/api/datasets?author=ann&full=1", "/api/spaces?search=secret"),
        *("/api/buckets/ann", "/api/users/ann/likes", "/api/users/ann/overview"),
        "/api/organizations/lab/settings/repositories",
    ):
        for stranger in (bob, api_for(hub)):
            body = stranger.get(path).body
            assert not any(name.encode() in body for name in HIDDEN), path
    assert b"secret" in ann.get("/api/models").body
    assert b"secret" in ann.get("/api/buckets/ann").body
