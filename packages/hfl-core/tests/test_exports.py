from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import hfl_core
from hfl_core import check_exports, lazy_exports

NAMES = {
    "AuthError",
    "ConfigError",
    "ConflictError",
    "Digest",
    "DiskSpaceError",
    "FileWriter",
    "Files",
    "HflError",
    "IncompatibleStateError",
    "IntegrityError",
    "MissingExtraError",
    "NetworkError",
    "NotFoundError",
    "Notifier",
    "PermissionDeniedError",
    "Progress",
    "ProgressTask",
    "ProgressUpdate",
    "RateLimitError",
    "RetryPolicy",
    "Settings",
    "SignalHandlers",
    "SignalName",
    "SteadyEvent",
    "SteadyWorker",
    "SettingsFiles",
    "Span",
    "TimeSummary",
    "Timer",
    "ValidationError",
    "__version__",
    "check_errors",
    "check_exports",
    "configure_logging",
    "digest_file",
    "find_signals",
    "get_logger",
    "import_extra",
    "in_parallel",
    "lazy_exports",
    "load_settings",
    "log_context",
    "log_fields",
    "new_digest",
    "read_secret",
    "redact",
    "require_free_space",
    "signals_listened_to",
    "set_log_context",
    "settings_files",
    "translated_os_errors",
    "write_atomically",
    "write_secret",
}


def test_the_exported_names_are_exactly_these():
    assert set(hfl_core.__all__) == NAMES


def test_exports_type_checker_block_and_modules_agree():
    assert check_exports("hfl_core") == []


def test_every_export_can_be_used_and_is_listed():
    for name in NAMES:
        assert getattr(hfl_core, name) is not None
    assert set(dir(hfl_core)) == NAMES - {"__version__"}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'hfl_core' has no attribute 'nope'"):
        hfl_core.nope  # noqa: B018  # reading it is the test


def test_a_lazy_export_loads_its_module_on_first_use():
    getattr_, dir_ = lazy_exports("hfl_core", {"redact": "._redact"})
    assert dir_() == ["redact"]
    assert getattr_("redact") is hfl_core.redact


def test_importing_the_package_imports_none_of_its_libraries():
    code = (
        "import sys, hfl_core; "
        "print([n for n in ('rich', 'tenacity', 'click', 'yaml', 'platformdirs', 'dotenv', 'logging') if n in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


GOOD = """
from typing import TYPE_CHECKING
from hfl_core import lazy_exports
if TYPE_CHECKING:
    from {package}._a import thing as thing
_EXPORTS = {{"thing": "._a"}}
__all__ = ["thing"]
__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
"""


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("    from", "    pass # from"), "not in the TYPE_CHECKING block"),
        (("._a import", "._b import"), "but the imports say 'pk._b'"),
        (('{"thing": "._a"}', "{}"), "in the TYPE_CHECKING block but not exported"),
        (('{"thing": "._a"}', '{"thing": "._missing"}'), "cannot be loaded from '._missing'"),
        (('__all__ = ["thing"]', "__all__ = []"), "in only one of _EXPORTS and __all__"),
        (('["thing"]', '["thing", "more"]'), "'more' is in only one"),
        (("", ""), None),
    ],
)
def test_the_check_finds_what_disagrees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str], problem: str | None
):
    folder = tmp_path / "pk"
    folder.mkdir()
    (folder / "__init__.py").write_text(GOOD.format(package="pk").replace(*change))
    (folder / "_a.py").write_text("thing = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        problems = check_exports("pk")
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "pk"]:
            del sys.modules[name]
    if problem is None:
        assert problems == []
    else:
        assert any(problem in each for each in problems), problems


def test_the_check_finds_a_name_that_a_module_declares_public(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "pk"
    folder.mkdir()
    (folder / "__init__.py").write_text(GOOD.format(package="pk"))
    (folder / "_a.py").write_text("thing = other = 1\n__all__ = ['thing', 'other']\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert check_exports("pk") == ["'other' is in the __all__ of '._a' but not exported."]
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "pk"]:
            del sys.modules[name]
