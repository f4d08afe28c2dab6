from __future__ import annotations

import http.client
import http.server
import random
import threading
from urllib.parse import urlsplit

import huggingface_hub.constants
import pytest

SEEDS = iter(range(1, 1_000_000))


def noise(size):
    """Bytes that compress badly and are never the same twice."""
    return random.Random(next(SEEDS)).getrandbits(8 * size).to_bytes(size, "little")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # Without Xet every byte of a large file is one of a PUT, and can be counted.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)


@pytest.fixture(params=["lfs", "xet"])
def way(request, monkeypatch):
    """Both ways in which large files travel. (0.36 goes the way that the Hub names: LFS here.)"""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", request.param == "lfs")
    return request.param


@pytest.fixture
def folder(tmp_path):
    """Make a folder of files; a number means so many bytes that nobody has seen before."""

    def make(files, name="upload"):
        for path, content in files.items():
            place = tmp_path / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            data = noise(content) if isinstance(content, int) else content
            place.write_bytes(data.encode() if isinstance(data, str) else data)
        return tmp_path / name

    return make


@pytest.fixture
def sent(hub):
    """What a block sent: requests and bytes by kind."""

    class Sent:
        def __init__(self):
            self._start = len(list(hub.requests))

        def _records(self, method, text):
            return [
                record
                for record in list(hub.requests)[self._start :]
                if method in (None, record.method) and text in record.path
            ]

        def count(self, method=None, text=""):
            return len(self._records(method, text))

        def bytes(self, method=None, text=""):
            return sum(record.bytes_in for record in self._records(method, text))

        @property
        def content(self):
            """Bytes of large files, by either way."""
            return self.bytes("PUT", "/_lfs/") + self.bytes("POST", "/xorbs/")

        @property
        def commits(self):
            return self.count("POST", "/commit/")

    return Sent


@pytest.fixture
def snapshot_of(ann):
    """What a repository holds, by path."""

    def snapshot_of(repo, rev="main"):
        answer = ann.call("GET", f"/api/models/{repo.repo_id}/tree/{rev}?recursive=true")
        paths = [item["path"] for item in answer.json() if item["type"] == "file"]
        return {p: ann.read(repo.repo_id, p, rev) for p in paths if p != ".gitattributes"}

    return snapshot_of


@pytest.fixture
def content_of():
    """What a folder holds, by path."""

    def content_of(folder):
        return {
            place.relative_to(folder).as_posix(): place.read_bytes()
            for place in folder.rglob("*")
            if place.is_file()
        }

    return content_of


@pytest.fixture
def history(ann):
    """The titles of a branch's commits, newest first."""

    def history(repo, rev="main"):
        answer = ann.call("GET", f"/api/models/{repo.repo_id}/commits/{rev}")
        return [item["title"] for item in answer.json()]

    return history


class _Between(http.server.BaseHTTPRequestHandler):
    """Passes requests on to a Hub, and alters its answers on the way back."""

    protocol_version = "HTTP/1.1"
    hub = None
    alter = None

    def _pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        host = urlsplit(self.hub.endpoint).netloc
        connection = http.client.HTTPConnection(host, timeout=60)
        try:
            sent = {name: value for name, value in self.headers.items() if name != "Host"}
            connection.request(self.command, self.path, body=body, headers=sent)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        content = type(self).alter(self.path, body, content)
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in ("content-length", "date", "server", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _pass_on  # noqa: N815  # the names are the base class's

    def log_message(self, *_):
        pass


@pytest.fixture
def altered(hub, manager, monkeypatch):
    """Make a manager that talks to a Hub whose answers are not what they were."""
    servers = []

    def altered(repo_id, alter):
        handler = type("Between", (_Between,), {"hub": hub, "alter": staticmethod(alter)})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        return manager(repo_id)

    yield altered
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()
