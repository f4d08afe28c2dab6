"""What a log line looks like: a sentence with key=value for people, JSON for programs."""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from typing import Any

from hfl_core._jsonable import to_jsonable
from hfl_core._log_context import LINE_KEYS
from hfl_core._log_redaction import fields_of
from hfl_core._redact import redact

# Escape sequences in a message from elsewhere could rewrite what the terminal shows.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_BARE_VALUE = re.compile(r"[^\s\"'=\\\x00-\x1f]+")
_COLOR = {logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "1;31"}


class TextFormatter(logging.Formatter):
    """``TIME LEVEL logger: message key=value``, then the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as text."""
        return self.text(record, is_colored=False)

    def text(self, record: logging.LogRecord, *, is_colored: bool) -> str:
        """Write a record as text, with the level in colour if that is welcome."""
        level = f"{record.levelname:<7}"
        color = _COLOR.get(record.levelno)
        if is_colored and color is not None:
            level = f"\x1b[{color}m{level}\x1b[0m"
        pairs = "".join(f" {name}={_value(value)}" for name, value in fields_of(record).items())
        head = f"{record.name}: {_clean(record.getMessage())}{pairs}"
        rest = [_clean(text) for text in (record.exc_text, record.stack_info) if text]
        return "\n".join([f"{_time_of(record)} {level} {head}", *rest])


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as a line of JSON."""
        line: dict[str, Any] = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "pid": record.process,
        }
        for name, value in fields_of(record).items():
            line[f"{name}_" if name in LINE_KEYS else name] = value
        if record.exc_text:
            line["exception"] = record.exc_text
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(to_jsonable(line), ensure_ascii=False, allow_nan=False)


def _time_of(record: logging.LogRecord) -> str:
    moment = dt.datetime.fromtimestamp(record.created, tz=dt.timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = redact(str(value))
    return text if _BARE_VALUE.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _clean(text: str) -> str:
    return _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", text)
