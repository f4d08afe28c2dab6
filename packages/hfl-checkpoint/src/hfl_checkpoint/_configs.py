"""Configuration files as they may leave the machine: without local paths, and without secrets."""

from __future__ import annotations

import json
import re
from pathlib import Path, PureWindowsPath
from typing import Any, Dict, List, Tuple

from hfl_core import redact

# Keys whose value is the place from which something was loaded: a name on the Hub, or a folder here.
_PLACE = re.compile(r"(path|_file|_dir|_folder|directory)$")
# Keys whose text is a credential whatever it looks like; `bos_token` and its kind are none.
_CREDENTIAL = re.compile(r"^((use_)?auth_token|hub_token|hf_token|access_token|api_key|token)$")

# Vocabularies are data: any text may stand in them, and they are large.
_VOCABULARIES = {"tokenizer.json", "vocab.json", "added_tokens.json"}


def is_configuration(path: str) -> bool:
    """Tell whether a file is a configuration in JSON, which `cleaned` should see."""
    name = path.rsplit("/", 1)[-1]
    return name.endswith(".json") and name not in _VOCABULARIES


def cleaned(text: str) -> str:
    """Leave out of a configuration where on this machine things came from, and who trains.

    A local path and a credential are left out with their keys. Custom code that was loaded from a
    folder (``auto_map``: ``"/home/me/model--modeling.Net"``) is referred to as what it is in the
    checkpoint, a file beside the configuration.

    Args:
        text: JSON.

    Returns:
        JSON.

    Example:
        >>> print(cleaned('{"_name_or_path": "/home/alice/base", "hidden_size": 8}').strip())
        {
          "hidden_size": 8
        }
    """
    return json.dumps(cleaned_document(json.loads(text)), indent=2, ensure_ascii=False) + "\n"


def cleaned_document(document: Any) -> Any:
    """Like `cleaned`, for JSON that was parsed already."""
    if isinstance(document, list):
        return [cleaned_document(item) for item in document if not _is_private("", item)]
    if not isinstance(document, dict):
        return document
    return dict(_cleaned_items(list(document.items())))


def is_local(name: str) -> bool:
    """Tell whether a name is a place on this machine, not one on the Hub."""
    return (
        name.startswith((".", "~"))
        or "\\" in name
        or Path(name).is_absolute()
        or PureWindowsPath(name).is_absolute()
        or _exists(name)
    )


def _cleaned_items(items: List[Tuple[Any, Any]]) -> List[Tuple[Any, Any]]:
    found: List[Tuple[Any, Any]] = []
    for key, value in items:
        name = key if isinstance(key, str) else ""
        if name == "auto_map" and isinstance(value, dict):
            found.append((key, _own_code(value)))
        elif not _is_private(name, value) and not _is_here(name):
            found.append((key, cleaned_document(value)))
    return found


def _own_code(auto_map: Dict[str, Any]) -> Dict[str, Any]:
    """References to code without the folder that it was loaded from."""

    def own(reference: Any) -> Any:
        if isinstance(reference, (list, tuple)):  # a tokenizer's slow and fast class
            return [own(item) for item in reference]
        if not isinstance(reference, str) or "--" not in reference:
            return reference
        place, _, name = reference.rpartition("--")
        return name if is_local(place) else reference

    return {key: own(reference) for key, reference in auto_map.items()}


def _is_private(key: str, value: Any) -> bool:
    if not isinstance(value, str) or not value:
        return False
    if _CREDENTIAL.search(key):
        return True
    if _PLACE.search(key) and is_local(value):
        return True
    if _is_here(value):
        return True
    return redact(value) != value and "<" not in value  # special tokens are written in brackets


def _is_here(value: str) -> bool:
    """Whether a text is a path into somebody's home directory, or to something on this machine."""
    try:
        home = str(Path.home())
    except (KeyError, RuntimeError):  # this user has none; Python 3.8 says so with a KeyError
        home = ""
    if len(home) > 1 and (value == home or value.startswith(home + "/")):
        return True
    if re.match(r"^(/home/|/Users/|/root/|[A-Za-z]:\\Users\\)[^\s]+$", value):
        return True
    # "/" is a token, and "/m/09x0r" a label.
    return value.startswith("/") and value.count("/") > 2 and len(value) < 4096 and _exists(value)


def _exists(value: str) -> bool:
    try:
        return Path(value).exists()
    except (OSError, ValueError):  # too long for a path, or with a zero in it
        return False
