from __future__ import annotations

import base64
import dataclasses
import hashlib
import http.client
import itertools
import json
import subprocess
import sys
from urllib.parse import quote, urlsplit

import pytest

from hfl_localhub import LocalHub

_NUMBERS = itertools.count(1)


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.headers.get("x-error-code")

    @property
    def link(self):
        return self.headers.get("link", "").partition(">")[0].lstrip("<")


class Api:
    """Speaks HTTP to a Hub as one user, without any client library in between."""

    def __init__(self, hub, token=None):
        self.hub = hub
        self.token = token

    def call(self, method, path, body=None, headers=None, *, data=None):
        parts = urlsplit(self.hub.endpoint)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        if path.startswith("http"):
            path = path[len(self.hub.endpoint) :]
        try:
            connection.request(method, path, body=data, headers={**sent, **(headers or {})})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, content)

    def get(self, path, **headers):
        return self.call("GET", path, headers=headers)

    def new_repo(self, kind="model", namespace=None, **options):
        """Create a repository of a name that nobody has used; return its id."""
        name = f"repo{next(_NUMBERS)}"
        body = {"name": name, "type": kind, "organization": namespace, **options}
        answer = self.call("POST", "/api/repos/create", body)
        assert answer.status == 200, answer.body
        return answer.json()["id"]

    def commit(
        self, repo, files=None, *, lines=(), parent=None, rev="main", kind="models", query=""
    ):
        """Commit regular files, and whatever other lines."""
        header = {"summary": "a commit", "description": ""}
        if parent is not None:
            header["parentCommit"] = parent
        listed = [{"key": "header", "value": header}]
        for path, content in (files or {}).items():
            encoded = base64.b64encode(content).decode()
            value = {"path": path, "content": encoded, "encoding": "base64"}
            listed.append({"key": "file", "value": value})
        data = "".join(json.dumps(line) + "\n" for line in [*listed, *lines]).encode()
        return self.call(
            "POST",
            f"/api/{kind}/{repo}/commit/{quote(rev, safe='')}{query}",
            data=data,
            headers={"Content-Type": "application/x-ndjson"},
        )

    def batch(self, repo, oid, size, transfers=("basic",), operation="upload"):
        body = {
            "operation": operation,
            "transfers": list(transfers),
            "objects": [{"oid": oid, "size": size}],
        }
        return self.call("POST", f"/{repo}.git/info/lfs/objects/batch", body)

    def upload_large(self, repo, data):
        """Upload a large file and return its digest."""
        oid = hashlib.sha256(data).hexdigest()
        item = self.batch(repo, oid, len(data)).json()["objects"][0]
        if "actions" in item:
            answer = self.call("PUT", item["actions"]["upload"]["href"], data=data)
            assert answer.status == 200, answer.body
        return oid

    def commit_large(self, repo, files, **options):
        """Upload large files and commit them."""
        lines = []
        for path, data in files.items():
            oid = self.upload_large(repo, data)
            value = {"path": path, "algo": "sha256", "oid": oid, "size": len(data)}
            lines.append({"key": "lfsFile", "value": value})
        return self.commit(repo, lines=lines, **options)

    def paths(self, repo, rev="main", kind="models"):
        answer = self.get(f"/api/{kind}/{repo}/tree/{quote(rev, safe='')}?recursive=true")
        return {item["path"]: item for item in answer.json()}

    def head_of(self, repo, rev="main"):
        return self.get(f"/api/models/{repo}/revision/{quote(rev, safe='')}").json()["sha"]


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with LocalHub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def ann(hub):
    return Api(hub, hub.create_user("ann", orgs=["lab"]))


@pytest.fixture(scope="module")
def bob(hub):
    return Api(hub, hub.create_user("bob"))


@pytest.fixture(scope="module")
def nobody(hub):
    return Api(hub)


@pytest.fixture(scope="session")
def api_for():
    return Api


@pytest.fixture
def run_client(tmp_path):
    """Run a script in a process of its own, with the environment of a Hub; return what it prints."""

    def run(hub, token, code, *arguments, xet=False):
        environment = hub.environment(token)
        environment["HF_HOME"] = str(tmp_path / "home")
        environment["HF_TOKEN_PATH"] = str(tmp_path / "home" / "token")
        environment["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
        if not xet:
            environment["HF_HUB_DISABLE_XET"] = "1"
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
