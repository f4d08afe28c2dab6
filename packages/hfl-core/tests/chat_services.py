"""Slack's and Discord's webhooks on this machine, reached by their real addresses.

apprise is told nothing: it posts to https://hooks.slack.com and https://discord.com. The environment names
this server as the proxy, as in a company's network, and a certificate authority of the tests. It opens the
tunnel itself, ends TLS with a certificate for the host that was asked for, checks what arrives against
the documented rules for webhooks, and answers as the services do.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import warnings
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # cryptography says on import that Python 3.8 is old
    import trustme

SLACK_PATH = "/services/T0123ABCD/B0123ABCD/Tl9MysZkDoUwHaTxKqPwVnRb"
DISCORD_PATH = "/api/webhooks/417429632418316298/JHZ7lQml277CDHmQKMHI8qBe7bk2ZwO5UKjCiOAF7711"
SLACK = f"https://hooks.slack.com{SLACK_PATH}"
DISCORD = f"https://discord.com{DISCORD_PATH}"
SECRETS = (*SLACK_PATH.split("/")[2:], *DISCORD_PATH.split("/")[3:])


class ChatServices:
    """A proxy on loopback that is Slack and Discord; a context manager.

    Attributes:
        received: Host and payload of every accepted message.
        refused: What was wrong with the others.
        status: What is answered to every post instead, if not None.
        is_mute: Whether nothing is answered at all.
    """

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.bundle = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.bundle))
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.refused: list[str] = []
        self.status: int | None = None
        self.is_mute = False
        self.asked = threading.Event()
        self.let_go = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._is_over = False

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to reach it."""
        proxy = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        return {
            "HTTPS_PROXY": proxy,
            "https_proxy": proxy,
            "NO_PROXY": "",
            "no_proxy": "",
            "REQUESTS_CA_BUNDLE": str(self.bundle),
            "CURL_CA_BUNDLE": "",
        }

    def payloads(self, host: str) -> list[dict[str, Any]]:
        return [payload for each, payload in self.received if each == host]

    def __enter__(self) -> ChatServices:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self.let_go.set()
        with socket.create_connection(self._server.getsockname()):
            pass  # wakes the thread that accepts
        for thread in self._threads:
            thread.join(20)
        self._server.close()

    def _start(self, target: Any, *args: Any) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._server.accept()
            if self._is_over:
                connection.close()
                return
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        with connection:
            head, _ = _read_head(connection)
            if not head:
                return
            method, target, _ = head.split("\r\n", 1)[0].split(" ")
            assert method == "CONNECT", head
            host, _, port = target.partition(":")
            assert port == "443"
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._authority.issue_cert(host).configure_cert(context)
            try:
                with context.wrap_socket(connection, server_side=True) as tunnel:
                    self._answer(host, tunnel)
            except OSError:  # the client has gone
                pass

    def _answer(self, host: str, tunnel: ssl.SSLSocket) -> None:
        head, rest = _read_head(tunnel)
        line, *headers = head.split("\r\n")
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (each.partition(":") for each in headers)
        }
        body = rest
        while len(body) < int(fields.get("content-length", 0)):
            body += tunnel.recv(65536)
        self.asked.set()
        if self.is_mute:
            self.let_go.wait(60)
            return
        method, path, _ = line.split(" ")
        status, text = self.status or 0, "server error"
        if self.status is None:
            problem = _problem(host, method, path, fields, body)
            if problem is None:
                self.received.append((host, json.loads(body)))
                status, text = (200, "ok") if host == "hooks.slack.com" else (204, "")
            else:
                self.refused.append(problem)
                status, text = 400, problem
        tunnel.sendall(
            f"HTTP/1.1 {status} X\r\nContent-Length: {len(text.encode())}\r\n"
            f"Connection: close\r\n\r\n{text}".encode()
        )


def _read_head(connection: socket.socket) -> tuple[str, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return "", b""
        data += part
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.decode("latin-1"), rest


def _problem(host: str, method: str, path: str, fields: dict[str, str], body: bytes) -> str | None:
    """What Slack or Discord would refuse, by their documentation of webhooks."""
    if method != "POST":
        return "method_not_allowed"
    if not fields.get("content-type", "").startswith("application/json"):
        return "invalid_content_type"
    payload = json.loads(body)
    path = path.partition("?")[0]
    if host == "hooks.slack.com":
        return "no_service" if path != SLACK_PATH else _slack_problem(payload)
    if host == "discord.com":
        return "unknown webhook" if path != DISCORD_PATH else _discord_problem(payload)
    return f"nobody is at {host}"


def _slack_problem(payload: dict[str, Any]) -> str | None:
    attachments = payload.get("attachments", [])
    if not payload.get("text") and not attachments and not payload.get("blocks"):
        return "no_text"
    if len(attachments) > 100:
        return "too_many_attachments"
    for each in attachments:
        if not isinstance(each.get("text"), str) or not each["text"]:
            return "invalid_attachments"
        if len(each["text"]) > 8000 or not str(each.get("color", "#")).startswith("#"):
            return "invalid_attachments"
    return None


def _discord_problem(payload: dict[str, Any]) -> str | None:
    content, embeds = payload.get("content", ""), payload.get("embeds", [])
    if not content and not embeds:
        return "Cannot send an empty message"
    if len(content) > 2000 or len(embeds) > 10:
        return "BASE_TYPE_MAX_LENGTH"
    for each in embeds:
        if len(each.get("title", "")) > 256 or len(each.get("description", "")) > 4096:
            return "BASE_TYPE_MAX_LENGTH"
    return None


def text_of(payload: dict[str, Any]) -> str:
    """All that a person reads of a message, in Slack or in Discord."""
    parts = [payload.get("text", ""), payload.get("content", "")]
    for each in payload.get("attachments", []):
        parts += [each.get("title", ""), each.get("text", "")]
    for each in payload.get("embeds", []):
        parts += [each.get("title", ""), each.get("description", "")]
    return "\n".join(part for part in parts if part).replace("\r\n", "\n")
