"""What every package of huggingface-lifecycle needs.

Errors, settings, logging, progress, retries, safe files, digests and redaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core._lazy import lazy_exports as lazy_exports
from hfl_core._version import __version__

if TYPE_CHECKING:
    from hfl_core._digest import Digest as Digest
    from hfl_core._digest import digest_file as digest_file
    from hfl_core._digest import new_digest as new_digest
    from hfl_core._error_contract import check_errors as check_errors
    from hfl_core._extras import import_extra as import_extra
    from hfl_core._files import Files as Files
    from hfl_core._files import FileWriter as FileWriter
    from hfl_core._files import read_secret as read_secret
    from hfl_core._files import require_free_space as require_free_space
    from hfl_core._files import translated_os_errors as translated_os_errors
    from hfl_core._files import write_atomically as write_atomically
    from hfl_core._files import write_secret as write_secret
    from hfl_core._lazy import check_exports as check_exports
    from hfl_core._log import configure_logging as configure_logging
    from hfl_core._log import get_logger as get_logger
    from hfl_core._log_context import log_context as log_context
    from hfl_core._log_context import log_fields as log_fields
    from hfl_core._log_context import set_log_context as set_log_context
    from hfl_core._notify import Notifier as Notifier
    from hfl_core._parallel import in_parallel as in_parallel
    from hfl_core._progress import Progress as Progress
    from hfl_core._progress import ProgressTask as ProgressTask
    from hfl_core._progress import ProgressUpdate as ProgressUpdate
    from hfl_core._redact import redact as redact
    from hfl_core._retry import RetryPolicy as RetryPolicy
    from hfl_core._settings import Settings as Settings
    from hfl_core._settings_files import SettingsFiles as SettingsFiles
    from hfl_core._settings_files import load_settings as load_settings
    from hfl_core._settings_files import settings_files as settings_files
    from hfl_core._signals import SignalHandlers as SignalHandlers
    from hfl_core._signals import SignalName as SignalName
    from hfl_core._signals import find_signals as find_signals
    from hfl_core._signals import signals_listened_to as signals_listened_to
    from hfl_core._steady_event import SteadyEvent as SteadyEvent
    from hfl_core._steady_worker import SteadyWorker as SteadyWorker
    from hfl_core._time_summary import TimeSummary as TimeSummary
    from hfl_core._timing import Span as Span
    from hfl_core._timing import Timer as Timer
    from hfl_core.errors import AuthError as AuthError
    from hfl_core.errors import ConfigError as ConfigError
    from hfl_core.errors import ConflictError as ConflictError
    from hfl_core.errors import DiskSpaceError as DiskSpaceError
    from hfl_core.errors import HflError as HflError
    from hfl_core.errors import IncompatibleStateError as IncompatibleStateError
    from hfl_core.errors import IntegrityError as IntegrityError
    from hfl_core.errors import MissingExtraError as MissingExtraError
    from hfl_core.errors import NetworkError as NetworkError
    from hfl_core.errors import NotFoundError as NotFoundError
    from hfl_core.errors import PermissionDeniedError as PermissionDeniedError
    from hfl_core.errors import RateLimitError as RateLimitError
    from hfl_core.errors import ValidationError as ValidationError

_EXPORTS = {
    "AuthError": ".errors",
    "ConfigError": ".errors",
    "ConflictError": ".errors",
    "Digest": "._digest",
    "DiskSpaceError": ".errors",
    "FileWriter": "._files",
    "Files": "._files",
    "HflError": ".errors",
    "IncompatibleStateError": ".errors",
    "IntegrityError": ".errors",
    "MissingExtraError": ".errors",
    "NetworkError": ".errors",
    "NotFoundError": ".errors",
    "Notifier": "._notify",
    "PermissionDeniedError": ".errors",
    "Progress": "._progress",
    "ProgressTask": "._progress",
    "ProgressUpdate": "._progress",
    "RateLimitError": ".errors",
    "RetryPolicy": "._retry",
    "Settings": "._settings",
    "SignalHandlers": "._signals",
    "SignalName": "._signals",
    "SettingsFiles": "._settings_files",
    "Span": "._timing",
    "SteadyEvent": "._steady_event",
    "SteadyWorker": "._steady_worker",
    "TimeSummary": "._time_summary",
    "Timer": "._timing",
    "ValidationError": ".errors",
    "check_errors": "._error_contract",
    "check_exports": "._lazy",
    "configure_logging": "._log",
    "digest_file": "._digest",
    "find_signals": "._signals",
    "get_logger": "._log",
    "import_extra": "._extras",
    "in_parallel": "._parallel",
    "lazy_exports": "._lazy",
    "load_settings": "._settings_files",
    "log_context": "._log_context",
    "log_fields": "._log_context",
    "new_digest": "._digest",
    "read_secret": "._files",
    "redact": "._redact",
    "require_free_space": "._files",
    "signals_listened_to": "._signals",
    "set_log_context": "._log_context",
    "settings_files": "._settings_files",
    "translated_os_errors": "._files",
    "write_atomically": "._files",
    "write_secret": "._files",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
