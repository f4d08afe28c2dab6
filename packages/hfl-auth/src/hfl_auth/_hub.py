"""The only place that imports huggingface_hub, and that knows 0.36 and 2.x apart."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.util
import os
import sys
from types import ModuleType, SimpleNamespace
from typing import Any, Callable, Iterator, Mapping

from hfl_auth._credential import Secret
from hfl_auth.errors import LoginError
from hfl_core import __version__, redact
from hfl_core.errors import AuthError, HflError, NetworkError

NEEDED = "huggingface_hub 2.0"  # the first with device codes, refresh tokens and OIDC


@dataclasses.dataclass(frozen=True)
class Answer:
    """An HTTP answer, whichever library received it."""

    status: int
    headers: Mapping[str, str]
    body: Any


def ask_whoami(endpoint: str, token: str, *, timeout: float) -> Answer:
    """Ask a Hub whose token this is.

    Not through ``HfApi.whoami``: it has no timeout, and asks for other tokens when this one fails.

    Raises:
        NetworkError: The Hub did not answer.
    """
    utils = importlib.import_module("huggingface_hub.utils")
    headers = {"authorization": f"Bearer {token}", "user-agent": f"hfl-auth/{__version__}"}
    try:
        response = utils.get_session().get(
            f"{endpoint}/api/whoami-v2", headers=headers, timeout=timeout
        )
        names = {str(name).lower(): str(value) for name, value in response.headers.items()}
    except _network_errors() as error:
        raise _unreachable(endpoint, error) from error
    try:
        body = response.json()
    except ValueError:
        body = None
    return Answer(response.status_code, names, body)


def colab_token() -> str | None:
    """Return the secret ``HF_TOKEN`` of a Colab notebook; None elsewhere."""
    module = importlib.import_module("huggingface_hub.utils._auth")
    token: str | None = module._get_token_from_google_colab()
    return token


def is_colab() -> bool:
    """Say whether this is a Colab notebook, at no cost elsewhere."""
    # An import of huggingface_hub costs a third of a second; only a notebook has this module.
    if "google.colab" not in sys.modules:
        return False
    return bool(importlib.import_module("huggingface_hub.utils").is_google_colab())


@dataclasses.dataclass(frozen=True)
class DeviceCode:
    """What a person has to do to sign in with a browser.

    Attributes:
        url: The page to open.
        code: What to enter there.
        expires_in: Seconds until it is too late.
    """

    url: str
    code: str
    expires_in: int


def device_login(
    endpoint: str, show: Callable[[DeviceCode], None], *, now: Callable[[], float]
) -> Secret:
    """Sign in with a browser: huggingface_hub's device-code flow (RFC 8628).

    Args:
        endpoint: The Hub.
        show: Called once with what the person has to do.
        now: Returns the time in seconds since 1970.

    Returns:
        The token that was issued.

    Raises:
        LoginError: It was denied, took too long, or this huggingface_hub cannot do it.
    """
    flow = _oauth_flow(endpoint)
    with _translated(flow, endpoint):
        info = flow.request_device_code()
        url = info.get("verification_uri_complete") or info["verification_uri"]
        code = DeviceCode(url=url, code=info["user_code"], expires_in=int(info["expires_in"]))
    show(code)
    with _translated(flow, endpoint):
        return _secret(flow.poll_device_token(info), now=now, refresh_token=None)


def refreshed(endpoint: str, refresh_token: str, *, now: Callable[[], float]) -> Secret:
    """Exchange a refresh token for a new token.

    Raises:
        LoginError: The Hub refuses, does not answer, or this huggingface_hub cannot do it.
    """
    flow = _oauth_flow(endpoint)
    with _translated(flow, endpoint):
        answer = flow.refresh_access_token(refresh_token)
        return _secret(answer, now=now, refresh_token=refresh_token)


def exchanged_oidc(endpoint: str, resource: str, *, now: Callable[[], float]) -> Secret:
    """Exchange the identity of a CI job for a short-lived token.

    Args:
        endpoint: The Hub.
        resource: What the token should be for: a repository or a user.
        now: Returns the time in seconds since 1970.

    Raises:
        AuthError: The Hub refuses, or this huggingface_hub cannot do it.
    """
    try:
        oidc = importlib.import_module("huggingface_hub._oidc")
    except ImportError as error:
        raise _too_old(
            "HF_OIDC_RESOURCE asks for a token of the CI job, which", AuthError
        ) from error
    errors = importlib.import_module("huggingface_hub.errors")
    failures: tuple[type[BaseException], ...] = (errors.OIDCError, *_network_errors())
    try:
        answer = oidc.oidc_login(
            resource=resource,
            subject_token=os.environ.get("HF_OIDC_ID_TOKEN") or None,
            audience=endpoint,
            endpoint=endpoint,
        )
    except failures as error:
        raise AuthError(
            f"{endpoint} gave no token for HF_OIDC_RESOURCE: {_brief(error)}",
            hint="Check the trusted publisher on the Hub and the job's permission `id-token: write`.",
        ) from error
    return _secret(answer, now=now, refresh_token=None)


def _secret(
    answer: Mapping[str, Any], *, now: Callable[[], float], refresh_token: str | None
) -> Secret:
    lifetime = answer.get("expires_in")
    return Secret(
        token=answer["access_token"],
        refresh_token=answer.get("refresh_token") or refresh_token,  # it may be rotated, or not
        expires_at=None if lifetime is None else int(now()) + int(lifetime),
    )


def _oauth_flow(endpoint: str) -> Any:
    """Return an own instance of huggingface_hub's flow that talks to `endpoint`.

    The flow knows no endpoint but the module constant, and changing that one would send the
    requests, and tokens, of every other thread to this Hub for as long as the person takes.
    """
    name = "huggingface_hub.utils._oauth_device"
    try:
        spec = importlib.util.find_spec(name)
    except ImportError as error:
        raise _too_old("Signing in with the browser", LoginError) from error
    if spec is None or spec.loader is None:
        raise _too_old("Signing in with the browser", LoginError)
    constants = importlib.import_module("huggingface_hub.constants")
    module: Any = ModuleType(name)
    module.__spec__, module.__package__, module.__file__ = spec, spec.parent, spec.origin
    spec.loader.exec_module(module)
    module.constants = SimpleNamespace(**{**vars(constants), "ENDPOINT": endpoint})
    return module


@contextlib.contextmanager
def _translated(flow: Any, endpoint: str) -> Iterator[None]:
    """Turn the flow's errors into ours; they are about codes and answers, never about tokens."""
    try:
        yield
    except (flow.DeviceCodeError, KeyError, ValueError) as error:
        raise LoginError(
            f"Signing in at {endpoint} did not work: {_brief(error)}",
            hint="Try again, or sign in with a token: hfl auth login",
        ) from error


def _network_errors() -> tuple[type[BaseException], ...]:
    # requests' errors are OSErrors; those of httpx are not, and HTTPError is their common base.
    return (OSError, importlib.import_module("huggingface_hub.errors").HTTPError)


def _unreachable(endpoint: str, error: BaseException) -> NetworkError:
    if type(error).__name__ == "OfflineModeIsEnabled":
        return NetworkError(
            f"{endpoint} was not asked: HF_HUB_OFFLINE is set.", hint="Unset it to sign in."
        )
    return NetworkError(
        f"{endpoint} does not answer: {_brief(error)}",
        hint="Check the connection, the proxy and the address; then try again.",
    )


def _too_old(what: str, kind: type[HflError]) -> HflError:
    import huggingface_hub

    return kind(
        f"{what} needs {NEEDED}, and {huggingface_hub.__version__} is installed.",
        hint=(
            "Install it with: pip install 'huggingface-hub>=2.0' (Python 3.10 or newer), "
            "or use a token."
        ),
    )


def _brief(error: BaseException) -> str:
    text = " ".join(redact(str(error)).split())
    return f"{text[:300]}" if text else type(error).__name__
