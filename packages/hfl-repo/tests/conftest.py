from __future__ import annotations

import base64
import dataclasses
import hashlib
import http.client
import io
import itertools
import json
import logging
import sys
from urllib.parse import quote, urlsplit

import hypothesis
import pytest

from hfl_core import RetryPolicy
from hfl_localhub import LocalHub
from hfl_repo import RepoManager

# Other processes decide how long an example takes.
hypothesis.settings.register_profile("hfl-repo", deadline=None)
hypothesis.settings.load_profile("hfl-repo")

_NUMBERS = itertools.count(1)
# As the default, without the waiting.
QUICK = RetryPolicy(attempts=5, base_delay=0.001, max_delay=0.01)


@dataclasses.dataclass
class Answer:
    status: int
    body: bytes

    def json(self):
        return json.loads(self.body)


class Person:
    """Somebody at a Hub, who speaks plain HTTP: not what is tested, and not its library either."""

    def __init__(self, hub, name, token):
        self.hub, self.name, self.token = hub, name, token

    def call(self, method, path, body=None, *, data=None, kind="application/json"):
        parts = urlsplit(self.hub.endpoint)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        if body is not None:
            data = json.dumps(body).encode()
        try:
            connection.request(method, path, body=data, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()

    def new_repo(self, *, private=False, kind="model", name=None):
        name = name or f"repo{next(_NUMBERS)}"
        body = {"name": name, "type": kind, "private": private}
        answer = self.call("POST", "/api/repos/create", body)
        assert answer.status == 200, answer.body
        return f"{self.name}/{name}"

    def commit(self, repo, files=None, *, large=None, delete=(), rev="main", kind="models"):
        """Commit files, the way somebody else would."""
        lines = [{"key": "header", "value": {"summary": "by hand", "description": ""}}]
        for path, content in (files or {}).items():
            value = {"path": path, "content": base64.b64encode(content).decode()}
            lines.append({"key": "file", "value": {**value, "encoding": "base64"}})
        for path, content in (large or {}).items():
            value = {"path": path, "algo": "sha256", "oid": self._upload(repo, content)}
            lines.append({"key": "lfsFile", "value": {**value, "size": len(content)}})
        lines += [{"key": "deletedFile", "value": {"path": path}} for path in delete]
        data = "".join(json.dumps(line) + "\n" for line in lines).encode()
        path = f"/api/{kind}/{repo}/commit/{quote(rev, safe='')}"
        answer = self.call("POST", path, data=data, kind="application/x-ndjson")
        assert answer.status == 200, answer.body
        return answer.json()["commitOid"]

    def _upload(self, repo, data):
        oid = hashlib.sha256(data).hexdigest()
        body = {
            "operation": "upload",
            "transfers": ["basic"],
            "objects": [{"oid": oid, "size": len(data)}],
        }
        answer = self.call("POST", f"/{repo}.git/info/lfs/objects/batch", body)
        item = answer.json()["objects"][0]
        if "actions" in item:
            parts = urlsplit(item["actions"]["upload"]["href"])
            sent = self.call("PUT", f"{parts.path}?{parts.query}", data=data)
            assert sent.status == 200, sent.body
        return oid

    def read(self, repo, path="README.md", rev="main"):
        answer = self.call("GET", f"/{repo}/resolve/{quote(rev, safe='')}/{path}")
        return answer.body if answer.status == 200 else None

    def large_files(self, repo):
        return {
            item["fileOid"] for item in self.call("GET", f"/api/models/{repo}/lfs-files").json()
        }


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with LocalHub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(autouse=True)
def _clean(hub, monkeypatch, tmp_path):
    """No setting, token or file of the person who runs the tests; no fault of another test."""
    for name in ("HF_TOKEN", "HFL_PROFILE", "HFL_ENDPOINT", "HFL_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in hub.settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    hub.faults.clear()


@pytest.fixture(scope="module")
def ann(hub):
    return Person(hub, "ann", hub.create_user("ann", orgs={"lab": "write", "club": "read"}))


@pytest.fixture(scope="module")
def bob(hub):
    return Person(hub, "bob", hub.create_user("bob"))


@pytest.fixture
def sign_in(monkeypatch):
    def sign_in(token):
        if token is None:
            monkeypatch.delenv("HF_TOKEN", raising=False)
        else:
            monkeypatch.setenv("HF_TOKEN", token)

    return sign_in


@pytest.fixture
def manager(ann, sign_in):
    """Make a manager that acts as ann and does not wait between attempts."""
    sign_in(ann.token)

    def make(repo_id=None, **options):
        made = RepoManager(repo_id, **options)
        made._hub.retry = QUICK
        return made

    return make


@pytest.fixture
def name():
    """A name of a repository that nobody has used, in ann's namespace."""
    return f"ann/fresh{next(_NUMBERS)}"


@pytest.fixture
def repo(ann, manager):
    return manager(ann.new_repo())


@pytest.fixture
def asked(hub):
    """What a block asked of the Hub: pairs of a method and a path, in order."""

    class Asked:
        def __init__(self):
            self._start = len(list(hub.requests))

        def __call__(self, method=None):
            found = [(each.method, each.path) for each in list(hub.requests)[self._start :]]
            return [pair for pair in found if method in (None, pair[0])]

        @property
        def writes(self):
            return [pair for pair in self() if pair[0] != "GET"]

    return Asked


@pytest.fixture
def cli(monkeypatch, capsys):
    """Run `hfl-repo` with its arguments and standard input; return exit code, stdout and stderr."""

    def run(*arguments, stdin="", **env):
        from hfl_repo.cli import main

        capsys.readouterr()
        with monkeypatch.context() as patch:
            for key, value in env.items():
                patch.setenv(key, value)
            patch.setattr(sys, "argv", ["hfl-repo", *arguments])
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            with pytest.raises(SystemExit) as ended:
                main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    yield run
    root = logging.getLogger("hfl")
    for handler in [each for each in root.handlers if getattr(each, "is_hfl", False)]:
        root.removeHandler(handler)
    root.setLevel(logging.NOTSET)
