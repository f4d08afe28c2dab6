"""Clients that ask and then do not read."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hfl_localhub import LocalHub

SERVE = """
import json, os, sys
from hfl_localhub import LocalHub
with LocalHub(sys.argv[1]) as hub:
    print(json.dumps(hub.endpoint), flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_many_clients_that_do_not_read_take_little_memory(tmp_path, api_for):
    with LocalHub(tmp_path) as hub:
        api = api_for(hub, hub.create_user("ann"))
        repo = api.new_repo()
        api.commit_large(repo, {"w.bin": os.urandom(1024**2) * 32})
    command = [sys.executable, "-c", SERVE, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process, contextlib.ExitStack() as clients:
        endpoint = json.loads(process.stdout.readline())
        parts = urlsplit(endpoint)
        request = f"GET /{repo}/resolve/main/w.bin HTTP/1.1\r\nHost: hub\r\n\r\n".encode()
        for _ in range(60):
            client = socket.create_connection((parts.hostname, parts.port), 60)
            clients.enter_context(client)
            client.sendall(request)
            assert client.recv(17) == b"HTTP/1.1 200 OK\r\n"
        api = api_for(type("Running", (), {"endpoint": endpoint}), api.token)
        for _ in range(30):  # it goes on answering, and fills what it has for the others
            assert api.get("/api/whoami-v2").status == 200
        assert peak_memory(process.pid) < 150 * 1024**2
        clients.close()
        assert api.get(f"/{repo}/resolve/main/w.bin", Range="bytes=0-9").status == 206


def peak_memory(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024
