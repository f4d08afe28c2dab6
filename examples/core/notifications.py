"""Messages about a run, to a webhook: here one on this machine, there Slack, Discord or mail.

    python examples/core/notifications.py

Needs the extra `notify`. Real addresses come from the environment, for they are secrets:
`Notifier(os.environ.get("NOTIFY_URLS", ""))` is silent until somebody sets NOTIFY_URLS to, for example,
"https://hooks.slack.com/services/… https://discord.com/api/webhooks/…".
"""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hfl_core import Notifier

received: list[dict[str, Any]] = []


class Webhook(BaseHTTPRequestHandler):
    """Takes what apprise's `json://` posts."""

    def do_POST(self) -> None:
        """Take a message."""
        received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Say nothing."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
threading.Thread(target=server.serve_forever, daemon=True).start()


def train(notifier: Notifier) -> None:
    """Train until something breaks."""
    # `CheckpointManager("runs/digits", notify=notifier)` would tell of a full disk.
    for step in range(500):
        notifier.notify("new_best", step=step, loss=1 / (step + 1))
    raise RuntimeError("CUDA out of memory; HF_TOKEN=hf_" + "a1" * 16)


with Notifier(f"json://127.0.0.1:{server.server_port}/hook", run="digits") as notifier:
    with contextlib.suppress(
        RuntimeError
    ), notifier.watch():  # started; then finished, failed or preempted
        train(notifier)
    notifier.flush()
    print(f"{notifier.delivered} events in {len(received)} messages")

for message in received:
    print(f"- {message['title'] or message['message']}")
failed = next(message for message in received if "failed" in message["title"])
print(failed["message"].splitlines()[0])

assert notifier.delivered == 502
assert len(received) <= 4  # five hundred new bests did not become five hundred messages
assert failed["message"].startswith("RuntimeError: CUDA out of memory; HF_TOKEN=***")
server.shutdown()
server.server_close()
