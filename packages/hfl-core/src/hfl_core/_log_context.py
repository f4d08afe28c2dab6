"""What every log record says besides its message: the run, the step, and what a block adds."""

from __future__ import annotations

import contextlib
import contextvars
import logging
from types import MappingProxyType
from typing import Any, Iterator, Mapping

from hfl_core.errors import ConfigError

STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
}
# What a line in JSON begins with; a field of the same name would hide it.
LINE_KEYS = frozenset({"time", "level", "logger", "message", "pid", "exception", "stack"})

_NOTHING: Mapping[str, Any] = MappingProxyType({})
# Replaced, never changed, so that a reader on another thread needs no lock.
_of_process: Mapping[str, Any] = _NOTHING
_of_block: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar(
    "hfl_log_context", default=_NOTHING
)


def set_log_context(**fields: Any) -> None:
    """Set what all records of this process say from now on, on every thread.

    A training loop calls it once per step; it costs about a microsecond.

    Args:
        **fields: Such as ``run="digits-1"`` and ``step=500``; None takes a field away.

    Raises:
        ConfigError: If a name is one that records have already.

    Example:
        >>> set_log_context(run="digits-1", step=500)
        >>> dict(log_fields())
        {'run': 'digits-1', 'step': 500}
        >>> set_log_context(run=None, step=None)
    """
    global _of_process  # noqa: PLW0603  # the state of the process, like the root logger
    _check(fields)
    merged = {**_of_process, **fields}
    if None in fields.values():
        merged = {name: value for name, value in merged.items() if value is not None}
    _of_process = merged


@contextlib.contextmanager
def log_context(**fields: Any) -> Iterator[None]:
    """Add fields to the records of a block, on this thread or in this asyncio task only.

    Args:
        **fields: As for `set_log_context`; those of the inner block win.

    Yields:
        Nothing.

    Raises:
        ConfigError: If a name is one that records have already.

    Example:
        >>> with log_context(shard=3):
        ...     dict(log_fields())
        {'shard': 3}
    """
    _check(fields)
    token = _of_block.set({**_of_block.get(), **fields})
    try:
        yield
    finally:
        _of_block.reset(token)


def log_fields() -> Mapping[str, Any]:
    """Return the fields that a record gets here and now.

    Returns:
        Field to value, those of `set_log_context` first.

    Example:
        >>> with log_context(shard=3):
        ...     dict(log_fields())
        {'shard': 3}
    """
    block = _of_block.get()
    return {**_of_process, **block} if block else _of_process


def _check(fields: Mapping[str, Any]) -> None:
    for name in fields:
        if name in STANDARD_ATTRIBUTES or name in LINE_KEYS or name.startswith("_"):
            raise ConfigError(
                f"A log record cannot have a field '{name}': it has one of its own.",
                hint=f"Choose another name, such as 'run_{name.lstrip('_')}'.",
            )
