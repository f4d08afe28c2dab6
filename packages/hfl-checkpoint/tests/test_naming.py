"""Names of checkpoints: whatever can give two of them one name, or none at all, is refused at once."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfl_checkpoint import CheckpointManager
from hfl_checkpoint._naming import Naming
from hfl_core import ConfigError

GOOD = {
    "step-{step:08d}": "step-00000500",
    "{step:x}": "1f4",
    "{step}": "500",
    "e{epoch:03d}-s{step}": "e002-s500",
    "{sequence:05d}": "00007",
    "{run}-{sequence}": "abcdef-7",
    "{step:,}": "500",
    "{{x}}-{step:b}": "{x}-111110100",
}


@pytest.mark.parametrize("pattern", GOOD)
def test_a_pattern_that_tells_steps_apart_is_taken(pattern: str) -> None:
    found = Naming(pattern).render(step=500, epoch=2, sequence=7, run="abcdef0123")

    assert found == GOOD[pattern]


@pytest.mark.parametrize(
    "pattern",
    [
        "{epoch}",
        "checkpoint",
        "{run}",
        "{epoch}-{run}",
        "{step:.1e}",
        "{step:.3g}",
        "{step:g}",
        "{sequence:.0e}",
    ],
)
def test_a_pattern_that_can_give_two_checkpoints_one_name_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="the same name") as caught:
        Naming(pattern)

    assert "step-{step:08d}" in str(caught.value.hint)


@pytest.mark.parametrize(
    "pattern",
    [
        "a/{step}",
        "a\\{step}",
        "../{step}",
        ".{step}",
        "{step}.",
        "{step} ",
        "a:{step}",
        "{step}*",
        "{step}\n",
        "\x00{step}",
        "x" * 200 + "{step}",
        "",
    ],
    ids=repr,
)
def test_a_name_that_a_file_system_refuses_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError):
        Naming(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "{step",
        "step}",
        "{}",
        "{0}",
        "{step:zz}",
        "{step:c}",
        "{step:{width}}",
        "{step:99999999999999999999}",
        "{step.real}",
        "{step[0]}",
        "{nothing}",
        None,
        5,
        b"{step}",
    ],
    ids=repr,
)
def test_a_malformed_pattern_is_refused_and_quoted(pattern: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Naming(pattern)

    assert repr(pattern) in str(caught.value)


def test_an_unknown_field_is_named_with_those_that_exist() -> None:
    with pytest.raises(ConfigError, match="uses loss; there are step, epoch, sequence, run"):
        Naming("{step}-{loss}")


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_two_steps_never_share_a_name(left: int, right: int) -> None:
    naming = Naming("step-{step:08d}")

    names = {
        naming.render(step=step, epoch=None, sequence=1, run="r" * 32) for step in (left, right)
    }

    assert len(names) == len({left, right})


def test_a_pattern_is_refused_before_a_directory_is_made(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError):
        CheckpointManager(tmp_path / "run", naming="{epoch}")

    assert not (tmp_path / "run").exists()


def test_the_pattern_names_the_directories(tmp_path: pathlib.Path) -> None:
    checkpoints = CheckpointManager(tmp_path, naming="e{epoch}-{step:04d}", background=False)

    assert checkpoints.save(7, epoch=2, counters={}).path == tmp_path / "e2-0007"  # type: ignore[union-attr]
    assert checkpoints.save(8, counters={}).name == "e0-0008"  # type: ignore[union-attr]
