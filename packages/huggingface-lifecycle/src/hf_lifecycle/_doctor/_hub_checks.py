"""The token, the Hub, and whether the two clocks agree."""

from __future__ import annotations

import email.utils
import os
import time
import urllib.error
import urllib.request
from typing import Iterator, Tuple

from hf_lifecycle._doctor._finding import Finding
from hfl_auth import AuthManager, TokenNotFoundError
from hfl_core import HflError, load_settings

__all__ = ["hub", "token_source"]

_SKEW = 60.0  # seconds; signed addresses and tokens are given minutes
_PATIENCE = 10.0  # seconds


def token_source(profile: str | None, endpoint: str | None) -> Iterator[Finding]:
    """Which token is used, and from where; nothing is sent."""
    for report in AuthManager(profile, endpoint).explain():
        if report.status == "used":
            yield Finding("token", "ok", f"{report.token} from {report.detail}: {report.reason}")
            return
        if report.status == "refused":
            yield Finding(
                "token", "problem", f"{report.detail}: {report.reason}", "See: hfl auth explain"
            )
            return
    yield Finding("token", "note", "nobody is signed in", "Sign in: hfl auth login")


def hub(profile: str | None, endpoint: str | None) -> Iterator[Finding]:
    """Whether the Hub answers, how fast, what its clock says, and whose the token is."""
    manager = AuthManager(profile, endpoint)
    address = manager.endpoint
    if load_settings().offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in {
        "1",
        "ON",
        "YES",
        "TRUE",
    }:
        yield Finding("Hub", "note", f"{address} is not asked: offline mode is on")
        return
    began = time.monotonic()
    try:
        status, date = _ask(f"{address}/api/models?limit=1")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        yield Finding(
            "Hub",
            "problem",
            f"{address} does not answer ({reason})",
            "Check the network, the proxy variables (HTTPS_PROXY) and `hfl config get endpoint`; "
            "HFL_OFFLINE=1 leaves the network alone.",
        )
        return
    seconds = time.monotonic() - began
    if status >= 500:
        yield Finding("Hub", "warning", f"{address} answers with an error ({status})", "Try later.")
    else:
        yield Finding("Hub", "ok", f"{address} answers in {seconds * 1000:.0f} ms")
    yield from _clock(date)
    try:
        identity = manager.whoami()
    except TokenNotFoundError:
        return
    except HflError as error:
        yield Finding("account", "problem", error.message, error.hint)
        return
    orgs = f", member of {', '.join(identity.orgs)}" if identity.orgs else ""
    yield Finding("account", "ok", f"{identity.name} ({identity.role} token){orgs}")


def _ask(address: str) -> Tuple[int, str | None]:
    request = urllib.request.Request(address, headers={"User-Agent": "hfl-doctor"})  # noqa: S310
    try:
        # hfl-auth takes addresses with http or https only.
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310  # nosec
            return answer.status, answer.headers.get("Date")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get("Date")


def _clock(date: str | None) -> Iterator[Finding]:
    try:
        theirs = email.utils.parsedate_to_datetime(date or "").timestamp()
    except (TypeError, ValueError):
        return
    skew = time.time() - theirs
    if abs(skew) > _SKEW:
        word = "ahead of" if skew > 0 else "behind"
        yield Finding(
            "clock",
            "warning",
            f"this machine is {abs(skew):.0f} s {word} the Hub",
            "Set the clock (NTP): tokens and signed addresses depend on it.",
        )
    else:
        yield Finding("clock", "ok", "agrees with the Hub's")
