from __future__ import annotations

from hfl_core import check_errors
from hfl_core.errors import ConfigError, ConflictError
from hfl_integrations import errors
from hfl_integrations.errors import CompetingCheckpointsError, UnsupportedFrameworkError

EXAMPLES = [
    (
        UnsupportedFrameworkError("lightning", "1.9", supported=">=2.3"),
        (ConfigError, ValueError),
        2,
    ),
    (CompetingCheckpointsError("x", setting="a=1", remedy="a=0"), (ConflictError,), 6),
]


def test_every_error_keeps_the_contract() -> None:
    assert check_errors(errors, EXAMPLES) == []


def test_an_unsupported_version_names_what_to_install() -> None:
    error = UnsupportedFrameworkError("lightning", "1.9.0", supported=">=2.3,<3")
    assert "lightning 1.9.0 is installed" in str(error)
    assert "pip install 'lightning>=2.3,<3'" in str(error)


def test_competing_checkpoints_name_the_setting_and_what_to_write_instead() -> None:
    error = CompetingCheckpointsError("x", setting="save=True", remedy="save=False")
    assert "With save=True" in error.message
    assert "Write save=False" in str(error)
