"""Addresses of Hubs: one spelling for each, because a token belongs to one of them."""

from __future__ import annotations

import os
from typing import Mapping
from urllib.parse import urlsplit

from hfl_core.errors import ConfigError

PUBLIC = "https://huggingface.co"
STAGING = "https://hub-ci.huggingface.co"
_DEFAULT_PORTS = {"http": 80, "https": 443}
TRUE = {"1", "ON", "YES", "TRUE"}


def normalize_endpoint(address: str, *, where: str) -> str:
    """Return the one spelling of a Hub's address.

    Args:
        address: As somebody wrote it.
        where: Where it was written, for the error.

    Returns:
        Scheme and host in lower case, without a default port and a closing slash.

    Raises:
        ConfigError: It is no http or https address, or carries a user name or a password.

    Example:
        >>> normalize_endpoint("HTTPS://HuggingFace.co:443/", where="an example")
        'https://huggingface.co'
    """
    try:
        # urlsplit drops tabs and line breaks from the middle, which makes another address of it.
        is_torn = any(not each.isprintable() or each.isspace() for each in address.strip())
        parts = urlsplit("" if is_torn else address.strip())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    host = (parts.hostname or "").lower()
    if parts.scheme.lower() not in _DEFAULT_PORTS or not host:
        raise ConfigError(
            f"The address of the Hub in {where} is not one that starts with https:// or http://.",
            hint=f"The public Hub is {PUBLIC}.",
        )
    if "@" in parts.netloc:
        raise ConfigError(
            f"The address of the Hub in {where} carries a user name or a password.",
            hint="Remove it from the address and sign in with a token: hfl auth login",
        )
    if parts.query or parts.fragment:
        raise ConfigError(
            f"The address of the Hub in {where} has a part after '?' or '#'.",
            hint="Name the Hub itself, not one of its pages.",
        )
    scheme = parts.scheme.lower()
    shown = f"[{host}]" if ":" in host else host
    if port is not None and port != _DEFAULT_PORTS[scheme]:
        shown = f"{shown}:{port}"
    return f"{scheme}://{shown}{parts.path.rstrip('/')}"


def hub_endpoint(environ: Mapping[str, str] | None = None) -> tuple[str, str] | None:
    """Return the Hub that huggingface_hub is told to use by the environment.

    Args:
        environ: The environment; `os.environ` if None.

    Returns:
        The address and the variable that names it, or None where nothing does.

    Raises:
        ConfigError: The variable holds no address.
    """
    environment = os.environ if environ is None else environ
    if environment.get("HUGGINGFACE_CO_STAGING", "").upper() in TRUE:
        return STAGING, "HUGGINGFACE_CO_STAGING"  # wins over HF_ENDPOINT there, too
    address = environment.get("HF_ENDPOINT", "").strip()
    if not address:
        return None
    return normalize_endpoint(address, where="HF_ENDPOINT"), "HF_ENDPOINT"
