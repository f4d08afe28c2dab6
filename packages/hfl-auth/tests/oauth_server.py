"""A small Hub that signs people in with device codes, refresh tokens and CI identities."""

from __future__ import annotations

import http.server
import json
import secrets
import threading
import urllib.parse


class OAuthHub:
    """Answers what huggingface_hub 2.x asks of a Hub to sign in (RFC 8628, RFC 8693).

    Attributes:
        answers: What a poll for the token is answered with, one after the other; the last stays.
        seen: The forms that arrived, as (path, fields).
        token: The next access token.
        expires_in: Its lifetime.
    """

    def __init__(self) -> None:
        self.answers = [{"error": "authorization_pending"}, {}]
        self.seen = []
        self.token = "hf_oauth_first_" + secrets.token_hex(8)
        self.refresh_token = "hf_refresh_first_" + secrets.token_hex(8)
        self.expires_in = 1800  # soon enough to be renewed
        self.names = {}
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if self.headers["Content-Type"].startswith("application/json"):
                    fields = json.loads(raw)
                else:
                    fields = dict(urllib.parse.parse_qsl(raw))
                hub.seen.append((self.path, fields))
                status, body = hub.answer(self.path, fields)
                self.reply(status, body)

            def do_GET(self):
                token = self.headers.get("Authorization", "").partition(" ")[2]
                hub.seen.append((self.path, {"token": token}))
                if token not in hub.names:
                    self.reply(401, {"error": "no"})
                    return
                self.reply(200, {"name": hub.names[token], "orgs": [], "auth": {"type": "oauth"}})

            def reply(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, path, fields):
        if path == "/oauth/device":
            return 200, {
                "device_code": "device-1",
                "user_code": "ABCD-1234",
                "verification_uri": f"{self.endpoint}/device",
                "expires_in": 600,
                "interval": 0,
            }
        if fields["grant_type"].endswith("device_code"):
            if fields["device_code"] != "device-1":
                return 400, {"error": "invalid_grant"}
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            return (400, answer) if answer else (200, self.issue())
        if fields["grant_type"] == "refresh_token":
            if fields["refresh_token"] != self.refresh_token:
                return 400, {"error": "invalid_grant", "error_description": "it was used"}
            self.token = self.token.replace("first", "again")
            self.refresh_token = self.refresh_token.replace("first", "again")
            return 200, self.issue()
        if fields.get("subject_token") != "job-identity":
            return 401, {"error": "who are you?"}
        return 200, {**self.issue(), "refresh_token": None}

    def issue(self):
        self.names[self.token] = "ann"
        return {
            "access_token": self.token,
            "refresh_token": self.refresh_token,
            "expires_in": self.expires_in,
            "token_type": "bearer",
        }

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
