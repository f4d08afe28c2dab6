from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# With importlib mode no test folder is on the path, and these tests share helper modules.
sys.path.insert(0, str(HERE))


class Hub:
    """Ways to ask a Hub, and to see what it answered."""

    def requests(self):
        lines = (self.root / "requests.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def request(self, method, path, body=None, headers=None, token="hf_ann"):
        connection = http.client.HTTPConnection(self.endpoint.split("//")[1], timeout=60)
        headers = dict(headers or {})
        if token is not None:
            headers.setdefault("Authorization", f"Bearer {token}")
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def grant(self, access="write", repo="models/ann/digits", token="hf_ann"):
        """Return the path of the content store and a token for it."""
        revision = "" if repo.startswith("buckets") else "/main"
        path = f"/api/{repo}/xet-{access}-token{revision}"
        answer = self.request("GET", path, token=token).json()
        return answer["casUrl"][len(self.endpoint) :], answer["accessToken"]


class SmallHub(Hub):
    """A Hub in a process of its own."""

    def __init__(self, root):
        self.root = root
        command = [sys.executable, str(HERE / "small_hub.py"), str(root)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.endpoint = self.process.stdout.readline().strip()

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.process.stdout.close()

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=30)
        self.process.stdout.close()


class ThreadHub(Hub):
    """A Hub in a thread: starts at once, and its code is seen by coverage."""

    def __init__(self, root):
        from small_hub import make_server

        self.root = root
        self.server, self.listener, self.endpoint = make_server(root)
        options = {"sockets": [self.listener]}
        self.thread = threading.Thread(target=self.server.run, kwargs=options, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.should_exit = True
        self.thread.join(timeout=30)
        self.listener.close()


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body

    def json(self):
        return json.loads(self.body)


@pytest.fixture
def start_hub():
    """Start Hubs on folders of the test's choice."""
    hubs = []

    def start(root):
        root.mkdir(parents=True, exist_ok=True)
        hubs.append(SmallHub(root))
        return hubs[-1]

    yield start
    for hub in hubs:
        if hub.process.poll() is None:
            hub.stop()


@pytest.fixture
def small_hub(start_hub, tmp_path):
    return start_hub(tmp_path / "hub")


@pytest.fixture(scope="module")
def shared_hub(tmp_path_factory):
    """One Hub for the tests of a module that do not look at what others did."""
    hub = ThreadHub(tmp_path_factory.mktemp("hub"))
    yield hub
    hub.stop()


@pytest.fixture
def client(tmp_path):
    """Run the real Xet client in a process of its own, with a cache of its own."""

    def run(hub, *arguments, cache="client-cache", token="hf_ann", code=None, check=True):
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("HF_", "COVERAGE"))},
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(tmp_path / cache),
            "HF_TOKEN": token,
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        }
        program = [str(HERE / "real_client.py")] if code is None else ["-c", code]
        result = subprocess.run(
            [sys.executable, *program, *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=tmp_path,
        )
        if check and result.returncode:
            raise AssertionError(result.stderr)
        return result if not check else json.loads(result.stdout or "null")

    return run


@pytest.fixture
def store(tmp_path):
    from own_store import Store

    return Store(tmp_path)
