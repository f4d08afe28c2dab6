"""The folder in which clients of a Hub find its users' tokens, ready to be used and switched between.

`huggingface_hub` keeps the token in use in ``token`` and all of them, by name, in ``stored_tokens``.
`hfl-auth` sends a token to no other Hub than its own; which one that is stands in
``hfl_profiles.json`` beside them, and a token that is not in there counts as the public Hub's.
"""

from __future__ import annotations

import configparser
import hashlib
import io
from pathlib import Path
from typing import Any, Mapping

from hfl_core.errors import IntegrityError
from hfl_localhub._durable import read_json, write_bytes, write_json

__all__ = ["read_token", "read_tokens", "write_token", "write_tokens"]

_NOTES_FORMAT = 1
_TOKEN_FIELD = "hf_token"  # noqa: S105  # the name of a field
_PUBLIC = "https://huggingface.co"


def read_token(home: Path) -> str | None:
    """Return the token in use, if there is one."""
    path = home / "token"
    return (path.read_text(encoding="utf-8").strip() or None) if path.is_file() else None


def write_token(home: Path, token: str) -> None:
    """Make a token the one in use."""
    home.mkdir(parents=True, exist_ok=True)
    write_bytes(home / "token", token.encode(), mode=0o600)


def read_tokens(home: Path) -> dict[str, str]:
    """Return the stored tokens by name.

    Raises:
        IntegrityError: The file is not one that `huggingface_hub` writes.
    """
    sections = _read_sections(home / "stored_tokens")
    return {
        name: section[_TOKEN_FIELD]
        for name, section in sections.items()
        if section.get(_TOKEN_FIELD)
    }


def write_tokens(
    home: Path, tokens: Mapping[str, str], *, endpoint: str, accounts: Mapping[str, str]
) -> None:
    """Store tokens by name beside those that are there, and note that they are this Hub's.

    The note comes first: no client may see a token without knowing where it belongs.

    Args:
        home: The clients' folder.
        tokens: The tokens to store.
        endpoint: This Hub.
        accounts: Whose tokens they are, for all of this Hub's that are stored, by name.
    """
    home.mkdir(parents=True, exist_ok=True)
    path = home / "stored_tokens"
    sections = _read_sections(path)
    sections.update({name: {_TOKEN_FIELD: token} for name, token in tokens.items()})
    _note(
        home / "hfl_profiles.json",
        {name: sections[name][_TOKEN_FIELD] for name in accounts},
        endpoint=endpoint,
        accounts=accounts,
    )
    parser = _parser()
    parser.read_dict(dict(sorted(sections.items())))
    written = io.StringIO()
    parser.write(written)
    write_bytes(path, written.getvalue().encode(), mode=0o600)


def _note(
    path: Path, tokens: Mapping[str, str], *, endpoint: str, accounts: Mapping[str, str]
) -> None:
    try:
        notes = read_json(path)
    except ValueError:
        return  # it is hfl-auth's, which says so whenever it is asked
    if notes is None:
        notes = {"profiles": {}, "homes": {}, "active": {}, "token_file": None}
        notes.update(format=_NOTES_FORMAT, endpoint=_PUBLIC)
    if not isinstance(notes, dict) or notes.get("format") != _NOTES_FORMAT:
        return  # a later hfl-auth's
    for name, token in tokens.items():
        profile: dict[str, Any] = {"endpoint": endpoint, "storage": "file"}
        profile.update(account=accounts[name], expires_at=None, fingerprint=None)
        notes["profiles"][name] = profile
        notes["homes"][hashlib.sha256(token.encode()).hexdigest()] = endpoint
    write_json(path, notes, mode=0o600)


def _read_sections(path: Path) -> dict[str, dict[str, str]]:
    parser = _parser()
    if path.is_file():
        try:
            parser.read_string(path.read_text(encoding="utf-8"))
        except (configparser.Error, UnicodeDecodeError):
            # Without the cause: it quotes lines, and with them tokens.
            raise IntegrityError(
                f"'{path}' cannot be understood: it is not what huggingface_hub writes.",
                hint="Move it away; the users get new tokens then.",
            ) from None
    return {name: dict(parser.items(name)) for name in parser.sections()}


def _parser() -> configparser.ConfigParser:
    return configparser.ConfigParser(interpolation=None, default_section="")
