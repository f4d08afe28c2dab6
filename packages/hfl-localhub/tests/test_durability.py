from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from hfl_core.errors import ConflictError, HflError
from hfl_localhub import LocalHub

SERVE = "from hfl_localhub.cli import main; main()"


def test_everything_is_there_after_a_restart(tmp_path, api_for):
    with LocalHub(tmp_path / "hub") as hub:
        api = api_for(hub, hub.create_user("ann", orgs=["lab"]))
        repo = api.new_repo(namespace="lab", private=True)
        api.commit_large(repo, {"w.bin": b"weights" * 100})
        api.call("PUT", f"/api/models/{repo}/settings", {"gated": "auto"})
        api.call("POST", "/api/repos/move", {"fromRepo": repo, "toRepo": "lab/moved"})
        api.call("POST", "/api/models/lab/moved/discussions", {"title": "Still here"})
        before = [
            api.get(f"/api/models/lab/moved{path}").json() for path in ("", "/refs", "/lfs-files")
        ]
    with LocalHub(tmp_path / "hub") as hub:
        api.hub = hub
        after = [
            api.get(f"/api/models/lab/moved{path}").json() for path in ("", "/refs", "/lfs-files")
        ]
        for answer in (before[0], after[0]):
            for name in ("downloads", "downloadsAllTime"):
                answer.pop(name)
        assert after == before
        assert api.get("/lab/moved/resolve/main/w.bin").body == b"weights" * 100
        assert api.call("HEAD", f"/api/models/{repo}").status == 307
        assert api.get("/api/models/lab/moved/discussions").json()["count"] == 1


def test_a_hub_keeps_its_port_when_it_starts_again(tmp_path):
    hub = LocalHub(tmp_path)
    hub.start()
    endpoint = hub.endpoint
    hub.stop()
    hub.start()
    assert hub.endpoint == endpoint
    hub.stop()


def test_two_hubs_do_not_share_a_folder_or_a_port(tmp_path):
    with LocalHub(tmp_path / "a") as hub:
        with pytest.raises(ConflictError, match="is using"):
            LocalHub(tmp_path / "a").start()
        with pytest.raises(ConflictError, match="running"):
            hub.start()
        port = int(hub.endpoint.rsplit(":", 1)[1])
        other = LocalHub(tmp_path / "b", port)
        with pytest.raises(ConflictError, match="can't be listened on"):
            other.start()
        other.stop()
    with pytest.raises(HflError, match="not running"):
        _ = hub.endpoint


def test_a_temporary_hub_leaves_nothing():
    with LocalHub() as hub:
        root = hub.root
        hub.create_user("ann")
        assert root.exists()
    assert not root.exists()


class Serving:
    """A Hub in a process of its own, to be killed."""

    def __init__(self, root):
        self.root = root
        self.process = None

    def start(self):
        marker = self.root / "running.json"
        if marker.exists():
            marker.unlink()
        command = [sys.executable, "-c", SERVE, "serve", "--root", str(self.root), "--port", "0"]
        self.process = subprocess.Popen([*command, "--user", "ann"], stderr=subprocess.PIPE)
        while not marker.exists():
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.005)
        self.endpoint = json.loads(marker.read_text())["endpoint"]
        return self

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait(30)
        self.process.stderr.close()


@pytest.mark.torture
def test_a_kill_at_any_moment_leaves_whole_commits_only(tmp_path, api_for):
    """What was answered is there afterwards; what was not is there whole or not at all."""
    serving, chance = Serving(tmp_path / "hub").start(), random.Random(7)
    api = api_for(serving, (tmp_path / "hub" / "client" / "token").read_text())
    repo, acknowledged = api.new_repo(), {}
    for number in range(5):
        current = {}

        def work(current=current, number=number):
            try:
                for index in range(1000):
                    data = os.urandom(20_000)
                    name = f"{number}-{index}"
                    current[name] = data
                    text = {"path": f"{name}.txt", "content": name, "encoding": "utf-8"}
                    line = {"key": "file", "value": text}
                    oid = hashlib.sha256(data).hexdigest()
                    api.upload_large(repo, data)
                    value = {"path": f"{name}.bin", "algo": "sha256", "oid": oid}
                    answer = api.commit(repo, lines=[line, {"key": "lfsFile", "value": value}])
                    assert answer.status == 200
                    acknowledged[name] = data
            except Exception:  # the Hub is gone
                return

        worker = threading.Thread(target=work)
        worker.start()
        threading.Event().wait(chance.uniform(0.02, 0.4))
        serving.kill()
        worker.join(60)
        serving.start()
        paths = api.paths(repo)
        for name, data in acknowledged.items():
            assert paths[f"{name}.bin"]["lfs"]["oid"] == hashlib.sha256(data).hexdigest()
        for path in paths:
            if path.endswith(".txt"):
                assert path[:-4] + ".bin" in paths
            if path.endswith(".bin") and path[:-4] not in acknowledged:
                data = current.get(path[:-4]) or b""
                assert api.get(f"/{repo}/resolve/main/{path}").body == data
                acknowledged[path[:-4]] = data
    assert acknowledged
    for name, data in acknowledged.items():
        assert api.get(f"/{repo}/resolve/main/{name}.bin").body == data
    assert list((tmp_path / "hub" / "tmp").iterdir()) == []
    git = tmp_path / "hub" / "repos" / "models" / repo / "git"
    checked = subprocess.run(["git", "-C", str(git), "fsck", "--strict"], check=False)
    assert checked.returncode == 0
    serving.kill(signal.SIGTERM)
