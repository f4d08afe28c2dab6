from __future__ import annotations

import doctest
import pickle

import pytest

from hfl_core.errors import ConfigError, ConflictError, HflError
from hfl_integrations import errors
from hfl_integrations.errors import CompetingCheckpointsError, UnsupportedFrameworkError

ALL = [
    (
        UnsupportedFrameworkError("lightning", "1.9", supported=">=2.3"),
        (ConfigError, ValueError),
        2,
    ),
    (CompetingCheckpointsError("x", setting="a=1", remedy="a=0"), (ConflictError,), 6),
]


@pytest.mark.parametrize(("error", "families", "exit_code"), ALL, ids=lambda value: str(value)[:20])
def test_an_error_is_caught_as_its_family_and_as_the_builtin(error, families, exit_code) -> None:
    assert isinstance(error, HflError)
    assert all(isinstance(error, family) for family in families)
    assert error.exit_code == exit_code
    assert error.hint


@pytest.mark.parametrize(
    "error", [error for error, _, _ in ALL], ids=lambda error: type(error).__name__
)
def test_an_error_survives_the_way_to_another_process(error) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_an_unsupported_version_names_what_to_install() -> None:
    error = UnsupportedFrameworkError("lightning", "1.9.0", supported=">=2.3,<3")
    assert "lightning 1.9.0 is installed" in str(error)
    assert "pip install 'lightning>=2.3,<3'" in str(error)


def test_competing_checkpoints_name_the_setting_and_what_to_write_instead() -> None:
    error = CompetingCheckpointsError("x", setting="save=True", remedy="save=False")
    assert "With save=True" in error.message
    assert "Write save=False" in str(error)


def test_the_examples_in_the_documentation_are_true() -> None:
    results = doctest.testmod(errors)
    assert results.attempted > 0
    assert results.failed == 0
