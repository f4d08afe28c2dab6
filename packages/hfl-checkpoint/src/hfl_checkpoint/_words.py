"""Words for messages."""

from __future__ import annotations

_KINDS = {"peft": "a PEFT model", "pretrained": "an object with save_pretrained()"}


def a(noun: str) -> str:
    """Put the article before a noun.

    Example:
        >>> a("int"), a("dict")
        ('an int', 'a dict')
    """
    return f"{'an' if noun[:1].lower() in tuple('aeio') else 'a'} {noun}"


def kind(name: str) -> str:
    """Name a kind of component."""
    return _KINDS.get(name, a(name))
