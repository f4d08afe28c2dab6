"""Logging in one hierarchy, `hfl`, whose records never carry a secret."""

from __future__ import annotations

import datetime as dt
import logging
import os
import sys
from pathlib import Path
from typing import Sequence, TextIO

from hfl_core._log_redaction import RedactingFilter
from hfl_core.errors import ConfigError

ROOT = "hfl"
_MEGABYTE = 1024 * 1024
_FILTER = RedactingFilter()


def get_logger(name: str) -> logging.Logger:
    """Return the logger of a module, inside the `hfl` hierarchy and with redaction always on.

    Nothing is configured: without `configure_logging` or the application's own handlers, warnings go
    to stderr, as Python does it for every logger, and records below a warning go nowhere.

    Args:
        name: The module's ``__name__``; ``hfl_core._retry`` logs as ``hfl.core.retry``.

    Returns:
        A standard library logger. What `set_log_context` and `log_context` say, and what a call
        adds with ``extra=``, is part of its records.

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


def configure_logging(  # noqa: PLR0913  # all but the first are keyword-only
    verbosity: int = 0,
    *,
    json: bool = False,
    file: str | os.PathLike[str] | None = None,
    max_bytes: int = 10 * _MEGABYTE,
    backups: int = 5,
    max_age: dt.timedelta | float | None = None,
    keep_for: dt.timedelta | float | None = None,
    file_verbosity: int | None = None,
    per_rank: bool | None = None,
    libraries: Sequence[str] = (),
) -> None:
    """Send the project's log records to stderr and, if asked, to a rotating file.

    On stderr a record is a line of text with its fields as ``key=value``; in the file it is a line of
    JSON. Only the `hfl` hierarchy is touched: other libraries log as they did, unless they are
    named. Calling it again replaces what the last call set up.

    Args:
        verbosity: 0 shows warnings, 1 what is being done, 2 and more every detail; -1 errors only,
            -2 and less nothing but critical ones.
        json: Write JSON lines on stderr, too.
        file: A log file; its folder is created. Several processes of a machine may share it.
        max_bytes: The size at which the file is rotated.
        backups: How many rotated files are kept: ``x.log.1`` is the newest.
        max_age: The age of its first line at which the file is rotated, in seconds; None for never.
        keep_for: The age of their last line at which rotated files are deleted, in seconds; None
            to let `backups` alone decide.
        file_verbosity: How much goes to the file; what goes to stderr if None.
        per_rank: Whether each process of a distributed run has a file of its own, such as
            ``x.rank00003.log``; if None, when the launcher's environment names several.
        libraries: Other libraries whose records are taken in too, redacted, such as
            ``["transformers"]``: into the file, and to stderr if they do not write there themselves.

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
    limits = {"max_age": _seconds("max_age", max_age), "keep_for": _seconds("keep_for", keep_for)}
    from hfl_core._log_format import JsonFormatter, TextFormatter

    stderr = _StderrHandler()
    stderr.setFormatter(JsonFormatter() if json else TextFormatter())
    stderr.setLevel(_level(verbosity))
    handlers: list[logging.Handler] = [stderr]
    if file is not None:
        from hfl_core._log_file import open_log_file

        path = _path_of_rank(Path(file).expanduser(), per_rank)
        to_file = open_log_file(path, max_bytes=max_bytes, backups=backups, **limits)
        to_file.setFormatter(JsonFormatter())
        to_file.setLevel(_level(verbosity if file_verbosity is None else file_verbosity))
        handlers.append(to_file)
    _take_back()
    for handler in handlers:
        handler.addFilter(_FILTER)  # for children that were not made by get_logger
        handler.is_hfl = True  # type: ignore[attr-defined]  # tells ours from the application's
    _install(get_logger(ROOT), handlers)
    for name in libraries:
        if name != ROOT:
            _install_for_library(logging.getLogger(name), handlers)


# What the last call set up: logger, handler, and the level that the logger had before.
_installed: list[tuple[logging.Logger, list[logging.Handler], int]] = []


def _take_back() -> None:
    for logger, handlers, level in _installed:
        logger.setLevel(level)
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
    _installed.clear()


def _install(logger: logging.Logger, handlers: list[logging.Handler]) -> None:
    _installed.append((logger, handlers, logger.level))
    for handler in handlers:
        logger.addHandler(handler)
    logger.setLevel(min(handler.level for handler in handlers))


def _install_for_library(logger: logging.Logger, handlers: list[logging.Handler]) -> None:
    writes_itself = any(isinstance(each, logging.StreamHandler) for each in logger.handlers)
    taken = handlers[1:] if writes_itself else handlers
    _installed.append((logger, taken, logger.level))
    for handler in taken:
        logger.addHandler(handler)
    if logger.level == logging.NOTSET and taken:  # a level that somebody chose stays
        logger.setLevel(min(handler.level for handler in taken))


def _level(verbosity: int) -> int:
    steps = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO, 2: logging.DEBUG}
    return logging.CRITICAL if verbosity < -1 else steps[min(verbosity, 2)]


def _seconds(name: str, value: dt.timedelta | float | None) -> float | None:
    if value is None:
        return None
    seconds = value.total_seconds() if isinstance(value, dt.timedelta) else value
    if not 0 < seconds < float("inf"):
        raise ConfigError(
            f"A log file cannot have {name}={value!r}.",
            hint="Pass a number of seconds above 0, a timedelta, or None.",
        )
    return float(seconds)


def _path_of_rank(path: Path, per_rank: bool | None) -> Path:
    from hfl_core._rank import rank_and_world

    rank, world = rank_and_world()
    if per_rank is False or (per_rank is None and world == 1):
        return path
    return path.with_name(f"{path.stem}.rank{rank:05d}{path.suffix}")


class _StderrHandler(logging.StreamHandler):  # type: ignore[type-arg]  # not generic at run time on 3.8
    """Writes to whatever ``sys.stderr`` is now, not to what it was when logging was configured."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self._asked: tuple[TextIO | None, bool] = (None, False)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    def emit(self, record: logging.LogRecord) -> None:
        if self.stream is not None:  # a process without a console has none
            super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        from hfl_core._log_format import TextFormatter

        if isinstance(self.formatter, TextFormatter):
            return self.formatter.text(record, is_colored=self._is_colored())
        return super().format(record)

    def _is_colored(self) -> bool:
        stream = self.stream
        if self._asked[0] is not stream:  # the answer reads settings, which a line is too cheap for
            from hfl_core._terminal import use_color

            self._asked = (stream, use_color(stream))
        return self._asked[1]
