"""How fast the local Hub is, and how much memory it takes.

Run it with ``make bench`` or ``python benchmarks/localhub.py --mib 1024``. The Hub runs in a process of its own and the client is huggingface_hub with Xet switched off, so
that every byte crosses the loopback interface once. Compare runs on one machine only.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import importlib.metadata
import json
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable
from urllib.parse import urlsplit

MIB = 1024 * 1024
SERVE = "from hfl_localhub.cli import main; main()"

UPLOAD = """
import sys, time
from huggingface_hub import HfApi
api, path = HfApi(), sys.argv[1]
api.create_repo("ann/big", exist_ok=True)
start = time.perf_counter()
api.upload_file(path_or_fileobj=path, path_in_repo="big.bin", repo_id="ann/big")
print(time.perf_counter() - start)
"""

# What the client does without any server: read and hash, then read again to send.
ALONE = """
import sys, time
from huggingface_hub.utils.sha import sha_fileobj
start = time.perf_counter()
with open(sys.argv[1], "rb") as file:
    sha_fileobj(file)
    file.seek(0)
    while file.read(1 << 20):
        pass
print(time.perf_counter() - start)
"""

# The same, and what is sent goes to a socket that throws it away: the least any server can take.
SINK = """
import http.client, http.server, sys, threading, time
from huggingface_hub.utils.sha import sha_fileobj

class Sink(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        left = int(self.headers["content-length"])
        buffer = memoryview(bytearray(1 << 20))
        while left:
            left -= self.rfile.readinto(buffer[:min(left, len(buffer))])
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Sink)
threading.Thread(target=server.serve_forever, daemon=True).start()
start = time.perf_counter()
with open(sys.argv[1], "rb") as file:
    sha_fileobj(file)
    size = file.tell()
    file.seek(0)
    connection = http.client.HTTPConnection(*server.server_address)
    connection.request("PUT", "/", body=file, headers={"content-length": str(size)})
    connection.getresponse().read()
print(time.perf_counter() - start)
"""

DOWNLOAD = """
import sys, tempfile, time
from huggingface_hub import hf_hub_download
start = time.perf_counter()
with tempfile.TemporaryDirectory() as folder:
    hf_hub_download("ann/big", "big.bin", local_dir=folder)
    print(time.perf_counter() - start)
"""

LISTING = """
import sys, time
from huggingface_hub import CommitOperationAdd, HfApi
api, count = HfApi(), int(sys.argv[1])
api.create_repo("ann/many", exist_ok=True)
files = [CommitOperationAdd(f"d{i % 100:02d}/f{i:05d}.txt", str(i).encode()) for i in range(count)]
api.create_commit("ann/many", files, commit_message="many")
start = time.perf_counter()
assert len(list(api.list_repo_tree("ann/many", recursive=True))) > count
print(time.perf_counter() - start)
"""


def child(code: str, environment: dict[str, str], *arguments: str) -> float:
    """Run a piece of Python in a process of its own and return the seconds that it prints."""
    command = [sys.executable, "-c", code, *arguments]
    output = subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return float(output.strip().splitlines()[-1])


def raw_download(endpoint: str, token: str) -> float:
    """Return the seconds that a minimal client needs for the file."""
    parts = urlsplit(endpoint)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    start = time.perf_counter()
    headers = {"authorization": f"Bearer {token}"}
    connection.request("GET", "/ann/big/resolve/main/big.bin", headers=headers)
    response = connection.getresponse()
    buffer = memoryview(bytearray(4 * MIB))
    while response.readinto(buffer):
        pass
    return time.perf_counter() - start


def hold_up(endpoint: str, token: str, clients: int) -> None:
    """Let many clients ask for the large file and read no more than the answer's first byte."""
    parts = urlsplit(endpoint)
    head = (
        f"GET /ann/big/resolve/main/big.bin HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {token}"
    )
    with contextlib.ExitStack() as stack:
        for _ in range(clients):
            client = socket.create_connection((parts.hostname, parts.port))
            stack.enter_context(client)
            client.sendall(f"{head}\r\n\r\n".encode())
            client.recv(1)
        time.sleep(1)  # until the Hub has filled what it has for them


def memory(pid: int) -> float:
    """Return the most memory that a process has used so far, in MiB (Linux)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def write_random(path: Path, mebibytes: int) -> None:
    """Write a file that does not compress."""
    block = os.urandom(MIB)
    with path.open("wb") as file:
        for index in range(mebibytes):
            file.write(hashlib.sha256(str(index).encode()).digest() + block[32:])


def best(runs: int, measure: Callable[[], float]) -> float:
    """Return the least of several measurements: what the machine can do when nothing disturbs."""
    return min(measure() for _ in range(runs))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="size of the large file")
    parser.add_argument("--files", type=int, default=10_000, help="files to list")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--folder", default=None, help="where to put the files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        report = measure(Path(folder), options)
    packages = ("hfl-localhub", "huggingface_hub", "uvicorn", "h11", "starlette", "dulwich")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    print(f"Python {platform.python_version()}, {versions}")
    print(f"{options.mib} MiB in one file, {options.files} small files, best of {options.runs}\n")
    for name, label, unit in ROWS:
        print(f"  {label:56} {report[name]:9.2f} {unit}")


ROWS = (
    ("start", "from the command until it answers", "s"),
    ("alone", "client alone: hash the file and read it again", "s"),
    ("sink", "the same, sent to a server that throws it away", "s"),
    ("upload", "upload to the Hub", "s"),
    ("upload_to_sink", "  of what the client with the sink takes", "x"),
    ("upload_to_alone", "  of what the client alone takes", "x"),
    ("sink_to_alone", "  (the sink itself, of the client alone)", "x"),
    ("raw", "download, nothing but a socket", "GB/s"),
    ("client", "download with huggingface_hub", "GB/s"),
    ("listing", "list the small files, recursively", "s"),
    ("idle", "memory of the Hub: idle", "MiB"),
    ("peak", "memory of the Hub: peak of all of the above", "MiB"),
    ("slow", "memory of the Hub: peak with 60 clients that do not read", "MiB"),
)


def measure(folder: Path, options: Any) -> dict[str, float]:
    """Start a Hub, do the work, and return the numbers."""
    root, path = folder / "hub", folder / "big.bin"
    started = time.perf_counter()
    command = [sys.executable, "-c", SERVE, "serve", "--root", str(root), "--port", "0"]
    server = subprocess.Popen([*command, "--user", "ann"], stderr=subprocess.DEVNULL)
    try:
        while not (root / "running.json").exists():
            time.sleep(0.002)
        start_seconds = time.perf_counter() - started
        endpoint = json.loads((root / "running.json").read_text())["endpoint"]
        token = (root / "client" / "token").read_text()
        environment = {
            **os.environ,
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(root / "client"),
            "HF_TOKEN": token,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }
        report = {"start": start_seconds, "idle": memory(server.pid)}
        write_random(path, options.mib)
        report["alone"] = best(options.runs, lambda: child(ALONE, environment, str(path)))
        report["sink"] = best(options.runs, lambda: child(SINK, environment, str(path)))
        report["upload"] = child(UPLOAD, environment, str(path))
        report["upload_to_sink"] = report["upload"] / report["sink"]
        report["upload_to_alone"] = report["upload"] / report["alone"]
        report["sink_to_alone"] = report["sink"] / report["alone"]
        gigabytes = options.mib * MIB / 1e9
        report["raw"] = gigabytes / best(options.runs, lambda: raw_download(endpoint, token))
        report["client"] = gigabytes / best(options.runs, lambda: child(DOWNLOAD, environment))
        report["listing"] = child(LISTING, environment, str(options.files))
        report["peak"] = memory(server.pid)
        hold_up(endpoint, token, 60)
        report["slow"] = memory(server.pid)
        return report
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
