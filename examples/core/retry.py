"""Trying again, as often and as patiently as a project wants it: policies, servers that ask to wait, settings.

python examples/core/retry.py
"""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from hfl_core import NetworkError, RateLimitError, RetryPolicy, load_settings

answers = [503, 429, 200]


class Flaky(BaseHTTPRequestHandler):
    """Fails, asks to come back later, then answers."""

    def do_GET(self) -> None:
        """Give the next answer."""
        status = answers.pop(0)
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "0.2")
        self.end_headers()
        self.wfile.write(b"data" if status == 200 else b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Say nothing."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Flaky)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"

# 1. A project says how often; an environment variable HFL_RETRY_ATTEMPTS would win over it.
Path("hfl.toml").write_text("retry_attempts = 4\n")
settings = load_settings()
print(
    f"{settings.retry_attempts} attempts, from the {Path(settings.source('retry_attempts')).name}"
)


# 2. The policy: which errors are worth another attempt, how long to wait, when to give up.
@RetryPolicy(
    attempts=settings.retry_attempts,
    base_delay=0.05,  # then twice as long each time, less a random part of it
    max_delay=1.0,
    timeout=30.0,  # for everything together
    retry_if=lambda error: isinstance(error, TimeoutError),  # besides NetworkError
)
def fetch() -> bytes:
    """Ask once, and say in our words what went wrong."""
    try:
        with urllib.request.urlopen(url) as response:
            return bytes(response.read())
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 429:
                wait = float(error.headers["Retry-After"])
                raise RateLimitError("The server is busy.", retry_after=wait) from error
            raise NetworkError(f"The server answered {error.code}.") from error


data = fetch()
print(f"{data!r} at the third attempt")
assert (data, answers) == (b"data", [])

# 3. A policy that gives up says how often it tried, and raises the last error as it is.
answers += [503, 503]
try:
    RetryPolicy(attempts=2, base_delay=0).call(fetch.__wrapped__)
except NetworkError as error:
    print(error, *getattr(error, "__notes__", ()))
    assert not answers

server.shutdown()
server.server_close()
