"""Who acts: the endpoint and the token, as hfl-auth finds them."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from hfl_core import load_settings

__all__ = ["Signer", "find_signer"]


@dataclasses.dataclass(frozen=True)
class Signer:
    """A token for an endpoint.

    Attributes:
        endpoint: The Hub's address, without a slash at its end.
        token: The token; None to act as a visitor.
        source: Where the token came from, as a person would name it.
    """

    endpoint: str
    token: str | None = dataclasses.field(repr=False)
    source: str | None


def find_signer(profile: str | None, endpoint: str | None) -> Signer:
    """Find the endpoint and the token."""
    where = endpoint or load_settings().endpoint or os.environ.get("HF_ENDPOINT")
    token, source = os.environ.get("HF_TOKEN"), "HF_TOKEN"
    path = Path(os.environ.get("HF_TOKEN_PATH") or "/nonexistent")
    if not token and path.is_file():
        token, source = path.read_text().strip(), "the token file"
    return Signer((where or "https://huggingface.co").rstrip("/"), token or None, source)
