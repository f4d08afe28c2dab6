"""The filter through which every record goes: it adds the context and takes the secrets out."""

from __future__ import annotations

import logging
import traceback

from hfl_core._log_context import STANDARD_ATTRIBUTES, log_fields
from hfl_core._redact import redact
from hfl_core._redact_value import redact_value

_DONE = "_hfl_redacted"


class RedactingFilter(logging.Filter):
    """Rewrites a record so that no handler, ours or another library's, sees a secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the message, its arguments, the traceback and extra attributes."""
        if getattr(record, _DONE, False):  # a record passes its logger and each of our handlers
            return True
        try:
            message = record.getMessage()
        except Exception as error:  # noqa: BLE001  # a wrong format string must not stop training
            message = f"{record.msg} (could not be formatted: {error})"
        record.msg, record.args = redact(message), None
        _redact_traceback(record)
        for name, value in log_fields().items():
            if not hasattr(record, name):  # what the call says itself wins
                setattr(record, name, value)
        for name, value in list(vars(record).items()):
            if name not in STANDARD_ATTRIBUTES:
                setattr(record, name, redact_value(value, name=name))
        setattr(record, _DONE, True)
        return True


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Return what a record says besides the standard attributes."""
    return {
        name: value
        for name, value in vars(record).items()
        if name not in STANDARD_ATTRIBUTES and not name.startswith("_")
    }


def _redact_traceback(record: logging.LogRecord) -> None:
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
