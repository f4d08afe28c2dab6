"""Logging in one hierarchy, `hfl`, whose records never carry a secret."""

from __future__ import annotations

import datetime as dt
import json as jsonlib
import logging
import logging.handlers
import os
import sys
import traceback
from pathlib import Path
from typing import Any, TextIO

from hfl_core._redact import redact
from hfl_core.errors import ConfigError

ROOT = "hfl"
_MEGABYTE = 1024 * 1024
_STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
}


class RedactingFilter(logging.Filter):
    """Rewrites a record so that no handler, ours or another library's, sees a secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the message, its arguments, the traceback and extra attributes."""
        try:
            message = record.getMessage()
        except Exception as error:  # noqa: BLE001  # a wrong format string must not stop training
            message = f"{record.msg} (could not be formatted: {error})"
        record.msg, record.args = redact(message), None
        if record.exc_info:
            # Handlers that render exc_info themselves would show the text as it was, so only the
            # redacted text goes on; logging.Formatter appends exc_text by itself.
            if record.exc_info[0] is not None:
                record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip()
            record.exc_info = None
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        for name, value in vars(record).items():
            if name not in _STANDARD_ATTRIBUTES and isinstance(value, str):
                setattr(record, name, redact(value))
        return True


_FILTER = RedactingFilter()


def get_logger(name: str) -> logging.Logger:
    """Return the logger of a module, inside the `hfl` hierarchy and with redaction always on.

    Nothing is configured: without `configure_logging` or the application's own handlers, warnings go
    to stderr, as Python does it for every logger, and records below a warning go nowhere.

    Args:
        name: The module's ``__name__``; ``hfl_core._retry`` logs as ``hfl.core.retry``.

    Returns:
        A standard library logger.

    Example:
        >>> get_logger("hfl_core._retry").name
        'hfl.core.retry'
    """
    logger = logging.getLogger(_logger_name(name))
    if _FILTER not in logger.filters:
        logger.addFilter(_FILTER)
    return logger


def _logger_name(name: str) -> str:
    if name == ROOT or name.startswith(f"{ROOT}."):
        return name
    parts = [part.strip("_") for part in name.split(".")]
    for prefix in ("hfl_", "hf_"):
        if parts[0].startswith(prefix):
            parts[0] = parts[0][len(prefix) :]
            break
    return ".".join([ROOT, *(part for part in parts if part)])


def configure_logging(
    verbosity: int = 0,
    *,
    json: bool = False,
    file: str | os.PathLike[str] | None = None,
    max_bytes: int = 10 * _MEGABYTE,
    backups: int = 5,
) -> None:
    """Send the project's log records to stderr and, if asked, to a rotating file.

    Only the `hfl` hierarchy is touched: other libraries log as they did. Calling it again replaces
    what the last call set up.

    Args:
        verbosity: 0 shows warnings, 1 what is being done, 2 and more every detail; -1 errors only,
            -2 and less nothing but critical ones.
        json: Write one JSON object per line instead of text.
        file: A log file; its folder is created. It gets what stderr gets.
        max_bytes: The size at which the file is rotated.
        backups: How many rotated files are kept.

    Raises:
        ConfigError: If the file cannot be opened or a limit makes no sense.

    Example:
        >>> configure_logging(verbosity=1)
    """
    if max_bytes <= 0 or backups < 0:
        raise ConfigError(
            f"A log file cannot rotate at {max_bytes} bytes with {backups} backups.",
            hint="Pass max_bytes above 0 and backups of 0 or more.",
        )
    handlers: list[logging.Handler] = [_StderrHandler()]
    if file is not None:
        handlers.append(_rotating_handler(Path(file), max_bytes=max_bytes, backups=backups))
    logger = get_logger(ROOT)
    for old in [each for each in logger.handlers if getattr(each, "is_hfl", False)]:
        logger.removeHandler(old)
        old.close()
    for handler in handlers:
        handler.is_hfl = True  # type: ignore[attr-defined]  # marks what the next call replaces
        handler.addFilter(_FILTER)  # for children that were not made by get_logger
        handler.setFormatter(_JsonFormatter() if json else _TextFormatter())
        logger.addHandler(handler)
    logger.setLevel(_level(verbosity))


def _level(verbosity: int) -> int:
    steps = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO, 2: logging.DEBUG}
    return logging.CRITICAL if verbosity < -1 else steps[min(verbosity, 2)]


def _rotating_handler(path: Path, *, max_bytes: int, backups: int) -> logging.Handler:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return logging.handlers.RotatingFileHandler(
            path, maxBytes=max_bytes, backupCount=backups, encoding="utf-8"
        )
    except OSError as error:
        raise ConfigError(
            f"The log file '{path}' cannot be written: {error.strerror or error}.",
            hint="Name a file in a folder that you may write to.",
        ) from error


class _StderrHandler(logging.StreamHandler):  # type: ignore[type-arg]  # not generic at run time on 3.8
    """Writes to whatever ``sys.stderr`` is now, not to what it was when logging was configured."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr


def _time_of(record: logging.LogRecord) -> str:
    moment = dt.datetime.fromtimestamp(record.created, tz=dt.timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatTime(  # noqa: N802  # the base's name
        self, record: logging.LogRecord, datefmt: str | None = None  # noqa: ARG002  # the base's
    ) -> str:
        return _time_of(record)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD_ATTRIBUTES:
                fields.setdefault(name, value)
        if record.exc_text:
            fields["exception"] = record.exc_text
        if record.stack_info:
            fields["stack"] = record.stack_info
        return jsonlib.dumps(fields, ensure_ascii=False, default=lambda value: redact(str(value)))
