"""Values without secrets: what `redact` is for texts, for mappings, lists and objects."""

from __future__ import annotations

from typing import Any, Mapping

from hfl_core._redact import MASK, is_secret_name, redact

_DEEPEST = 20  # a structure that holds itself ends here


def redact_value(value: Any, *, name: str = "", depth: int = 0) -> Any:
    """Mask secrets inside a value.

    Args:
        value: Anything: numbers stay as they are, texts are redacted, mappings, lists, tuples and
            sets are copied. Another object stays, unless its text holds a secret: then that text,
            masked, takes its place.
        name: The name that it stands under; a secret-like one hides whatever is there.
        depth: How deep in a structure it is.

    Returns:
        The value without secrets.

    Example:
        >>> redact_value({"api_key": "abc", "layers": [2, "hf_abcdefghijklmnopqrstuvwxyz"]})
        {'api_key': '***', 'layers': [2, '***']}
    """
    if value is None or isinstance(value, bool):
        return value
    if name and is_secret_name(name) and not _is_harmless(value, name):
        return MASK
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str):
        return redact(value)
    if depth >= _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return {
            redact_value(key, depth=depth + 1): redact_value(item, name=str(key), depth=depth + 1)
            for key, item in value.items()
        }
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(redact_value(item, name=name, depth=depth + 1) for item in value)
    return _redact_object(value)


def _is_harmless(value: Any, name: str) -> bool:
    # `redact` knows which values under a name such as `token` are harmless: "<s>", "[CLS]", 5.
    text = f"{name}={value!r}"
    return isinstance(value, (str, int, float)) and redact(text) == text


def _redact_object(value: Any) -> Any:
    try:
        text = str(value)
    except Exception as error:  # noqa: BLE001  # any object may fail to describe itself
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
    masked = redact(text)
    return value if masked == text else masked
