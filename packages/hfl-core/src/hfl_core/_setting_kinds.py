"""What kinds of values settings take: how each is checked, and read from a text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

_FLAGS = {"1": True, "true": True, "yes": True, "on": True}
_FLAGS.update({"0": False, "false": False, "no": False, "off": False})


@dataclass(frozen=True)
class Kind:
    """One kind of value.

    Attributes:
        description: What its values are, for people; errors say "which is not …".
        check: Brings a value into its type, or raises ValueError.
        from_text: Reads it from a place where everything is a text, such as the environment.
    """

    description: str
    check: Callable[[Any], Any]
    from_text: Callable[[str], Any] = str


def one_of(*choices: str) -> Kind:
    """Return the kind that is one of a few words, in whatever case."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value.lower() not in choices:
            raise ValueError
        return value.lower()

    return Kind(f"one of {', '.join(choices)}", check)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value.strip()


def _url(value: Any) -> str:
    url = _text(value)
    scheme, _, rest = url.partition("://")
    if scheme.lower() not in {"http", "https"} or not rest.strip("/"):
        raise ValueError
    return url.rstrip("/")


def _folder(value: Any) -> Path:
    return (value if isinstance(value, Path) else Path(_text(value))).expanduser()


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError  # noqa: TRY004  # the caller makes one ConfigError of every ValueError
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError
    return value


def _seconds(value: Any) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 < value < float("inf"):
        raise ValueError
    return float(value)


def _flag_from_text(text: str) -> bool | None:
    return _FLAGS.get(text.strip().lower())


def _progress(value: Any) -> bool | str:
    if isinstance(value, str) and value.lower() == "lines":
        return "lines"
    return _flag(value)


def _progress_from_text(text: str) -> bool | str | None:
    return "lines" if text.strip().lower() == "lines" else _flag_from_text(text)


TEXT = Kind("a text", _text)
URL = Kind("an address that starts with https:// or http://", _url)
FOLDER = Kind("a path", _folder)
FLAG = Kind("true or false", _flag, _flag_from_text)
COUNT = Kind("a whole number of 1 or more", _count, int)
SECONDS = Kind("a number of seconds above 0", _seconds, float)
PROGRESS = Kind("true or false, or lines", _progress, _progress_from_text)
