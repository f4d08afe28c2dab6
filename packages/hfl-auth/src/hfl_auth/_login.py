"""Where a new token is sent, and under which name it is kept."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from hfl_auth._asking import ask_identity
from hfl_auth._identity import Identity
from hfl_auth._snapshot import Snapshot
from hfl_auth._store import check_profile_name
from hfl_auth._tokens import fingerprint
from hfl_auth._wishes import Wishes
from hfl_auth.errors import WrongEndpointError
from hfl_core import get_logger
from hfl_core.errors import ConfigError, ConflictError, ValidationError

_LOG = get_logger(__name__)


def login_endpoint(wishes: Wishes, profile: str | None) -> str:
    """Return the Hub that a token is sent to which nothing binds to a Hub yet.

    Args:
        wishes: What was asked for.
        profile: The profile that it will be kept under, if one is named.

    Returns:
        The Hub.

    Raises:
        ConfigError: Only a project's file names it. Whoever wrote that file would get the token.
        ConflictError: The profile belongs to another Hub than the environment names.
    """
    argument = wishes.endpoints.get("argument")
    if argument is not None:
        return argument.value
    home = None if profile is None else wishes.home_of(profile)
    environment = wishes.endpoints.get("environment")
    if home is not None and environment is not None and environment.value != home:
        raise ConflictError(
            f"The profile {profile!r} belongs to {home}, and {environment.place} names "
            f"{environment.value}.",
            hint=f"Say which with --endpoint, or use another profile than {profile!r}.",
        )
    if home is not None:
        return home
    named = wishes.endpoint()
    trusted = wishes.endpoint(but="project file")
    if not named.is_asked_for and named.url != trusted.url:
        raise ConfigError(
            f"{named.place} names the Hub {named.url}, and a token is not sent there on the word "
            "of a file that came with a project.",
            hint=f"Say it yourself: --endpoint {named.url}, or --endpoint {trusted.url}",
        )
    return named.url


def ask_about(token: str, profile: str | None, wishes: Wishes, snapshot: Snapshot) -> Identity:
    """Ask whose token this is that somebody has just typed.

    Args:
        token: The token.
        profile: The profile that it will be kept under, if one is named.
        wishes: What was asked for.
        snapshot: The profiles.

    Returns:
        Who it is.

    Raises:
        AuthError: The Hub does not accept it, or it belongs to another Hub.
        ConfigError: As `login_endpoint`.
        ConflictError: As `login_endpoint`.
        NetworkError: The Hub does not answer.
    """
    endpoint = login_endpoint(wishes, profile)
    check_home(endpoint, token, wishes, snapshot)
    warn_if_readable(endpoint)
    return ask_identity(endpoint, token, source="the input")


def check_home(endpoint: str, token: str, wishes: Wishes, snapshot: Snapshot) -> None:
    """Make sure that a token which is known here does not go to another Hub by default.

    Args:
        endpoint: Where it is about to go.
        token: The token.
        wishes: What was asked for: a Hub that somebody names beside the token may get it.
        snapshot: The profiles.

    Raises:
        WrongEndpointError: It belongs to another Hub.
    """
    if any(level in wishes.endpoints for level in ("argument", "environment")):
        return
    home = snapshot.records().homes.get(fingerprint(token), endpoint)
    if home != endpoint:
        raise WrongEndpointError("The token that was given", home=home, endpoint=endpoint)


def warn_if_readable(endpoint: str) -> None:
    """Log a warning if a token would cross a network unencrypted."""
    parts = urlsplit(endpoint)
    if parts.scheme == "https" or _is_this_machine(parts.hostname or ""):
        return
    _LOG.warning(
        "%s is not encrypted: whoever can read the network gets the token. Use https.", endpoint
    )


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost" or host.endswith(".localhost")


def free_name(identity: Identity, token: str, snapshot: Snapshot) -> str:
    """Return a profile name for a token for which none was asked for.

    The name that the token has on the Hub, as huggingface_hub takes it, unless another account or
    another Hub has it here already: that token would be lost.

    Args:
        identity: Whose token it is.
        token: The token.
        snapshot: The profiles.

    Returns:
        The name.
    """
    try:
        wanted = check_profile_name(identity.token_name or f"oauth-{identity.name}")
    except ValidationError:  # somebody named the token "[x]"
        wanted = f"token-{identity.name}"
    host = identity.endpoint.partition("://")[2]
    taken = snapshot.profiles()
    candidates = [wanted, f"{wanted}-{identity.name}", f"{wanted}-{identity.name}-{host}"]
    for name in candidates:
        there = taken.get(name)
        if there is None or (there.secret is not None and there.secret.token == token):
            return name
        if there.endpoint == identity.endpoint and there.account in {None, identity.name}:
            return name
    return candidates[-1]
