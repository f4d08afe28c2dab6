"""The environment in which the real clients talk to a local Hub, and to nothing else.

Tokens are not bound to an endpoint: a token of the public Hub would be sent to whatever
``HF_ENDPOINT`` names. So everything that could bring one in is taken out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Mapping

__all__ = ["REMOVED", "client_environment", "client_settings"]

REMOVED = (
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HUGGINGFACE_HUB_TOKEN",
    # Those of this project come before HF_ENDPOINT and the token file.
    "HFL_ENDPOINT",
    "HFL_PROFILE",
    "HFL_OFFLINE",
    "HF_OIDC_RESOURCE",
    "HF_OIDC_ID_TOKEN",
    "HUGGINGFACE_CO_STAGING",  # would win over HF_ENDPOINT
    "HF_INFERENCE_ENDPOINT",
    # Caches go by repository names, and those of a local Hub mean other things.
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "HUGGINGFACE_ASSETS_CACHE",
    "HF_ASSETS_CACHE",
    "HF_XET_CACHE",
    "HF_STORED_TOKENS_PATH",
    "TRANSFORMERS_CACHE",
    "PYTORCH_TRANSFORMERS_CACHE",
    "PYTORCH_PRETRAINED_BERT_CACHE",
    "HF_DATASETS_CACHE",
    "HF_MODULES_CACHE",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HF_DATASETS_OFFLINE",
)


def client_settings(endpoint: str, home: Path) -> dict[str, str]:
    """Return the variables that point the clients to a local Hub and to a home of its own."""
    return {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    }


def client_environment(
    endpoint: str, home: Path, token: str | None, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return a whole environment for a child process.

    Args:
        endpoint: The local Hub.
        home: Where the clients keep their token and caches.
        token: The token to act with, one of the local Hub's.
        base: The environment to start from; this process's when None.
    """
    environment = dict(os.environ if base is None else base)
    for name in REMOVED:
        environment.pop(name, None)
    environment.update(client_settings(endpoint, home))
    if token is not None:
        environment["HF_TOKEN"] = token
    return environment
