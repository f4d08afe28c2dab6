"""Where huggingface_hub keeps tokens. It decides when it is imported; this looks at every call."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Mapping, NamedTuple

from hfl_auth._endpoints import STAGING, hub_endpoint


class StorePaths(NamedTuple):
    """The files of one token store.

    Attributes:
        token: huggingface_hub's active token.
        stored_tokens: huggingface_hub's profiles.
        ours: What we know of each profile besides; no token.
        lock: What both of us lock while the store changes.
    """

    token: Path
    stored_tokens: Path
    ours: Path
    lock: Path


def store_paths(environ: Mapping[str, str] | None = None) -> StorePaths:
    """Return the files that ``HF_HOME``, ``HF_TOKEN_PATH`` and ``XDG_CACHE_HOME`` lead to.

    Args:
        environ: The environment; `os.environ` if None.

    Returns:
        The files, whether they exist or not.
    """
    environment = os.environ if environ is None else environ
    default_home = os.path.join(  # noqa: PTH118  # spelled as huggingface_hub does
        environment.get("XDG_CACHE_HOME", "~/.cache"), "huggingface"
    )
    home = _expanded(environment.get("HF_HOME", default_home))
    token = _expanded(environment.get("HF_TOKEN_PATH", str(home / "token")))
    folder = token.parent  # from HF_TOKEN_PATH even in staging mode, as there
    if (hub_endpoint(environment) or ("", ""))[0] == STAGING:
        token = _expanded("~/.cache/huggingface_staging/token")
    stored = folder / "stored_tokens"
    return StorePaths(
        token=token,
        stored_tokens=stored,
        ours=folder / "hfl_profiles.json",
        lock=folder / "stored_tokens.lock",
    )


def _expanded(path: str) -> Path:
    return Path(os.path.expandvars(os.path.expanduser(path)))  # noqa: PTH111  # in this order there
