"""Names of checkpoints: whatever can give two of them one name, or none at all, is refused at once."""

from __future__ import annotations

import datetime
import pathlib
from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfl_checkpoint import CheckpointManager, KeepLast, Naming
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

    assert checkpoints.save(7, epoch=2, counters={}).path == tmp_path / "e2-0007"  # type: ignore[union-attr]  # there is one
    assert checkpoints.save(8, counters={}).name == "e0-0008"  # type: ignore[union-attr]  # there is one


RICH = {
    "{time}-{step}": "20300102T030405Z-500",
    "{time:%Y-%m-%d}-{sequence}": "2030-01-02-7",
    "s{step}-loss{metric[eval/loss]:.3f}": "s500-loss0.250",
    "s{step}-acc{metric[acc]:+.1%}": "s500-acc+91.2%",
    "s{step}-{metric[absent]:.3f}": "s500-none",
    "s{step}-{metric[bad]:.3f}": "s500-nan",
    "{metric[acc]:.3f}_{sequence}": "0.912_7",
}


@pytest.mark.parametrize("pattern", RICH)
def test_times_and_metrics_can_be_in_a_name(pattern: str) -> None:
    found = Naming(pattern).render(
        step=500,
        epoch=2,
        sequence=7,
        run="abcdef0123",
        metrics={"eval/loss": 0.25, "acc": 0.912, "bad": float("nan")},
        time=datetime.datetime(
            2030, 1, 2, 5, 4, 5, tzinfo=datetime.timezone(datetime.timedelta(hours=2))
        ),
    )

    assert found == RICH[pattern]


def test_placeholders_of_ones_own_stand_for_what_was_given() -> None:
    naming = Naming("{model}-r{rank:02d}-{step}", model="vit-b", rank=3)

    assert naming.render(step=5, epoch=None, sequence=1, run="x") == "vit-b-r03-5"
    assert repr(naming) == "Naming('{model}-r{rank:02d}-{step}', model='vit-b', rank=3)"


@pytest.mark.parametrize(
    ("pattern", "identifiers"),
    [
        ("{model}-{step}", {}),
        ("{step}", {"model": "vit"}),
        ("{step}-{run}", {"run": "mine"}),
        ("{step}-{metric}", {"metric": "mine"}),
        ("{model}-{step}", {"model": None}),
        ("{model}-{step}", {"model": 0.5}),
        ("{model}-{step}", {"model": True}),
        ("{model}-{step}", {"model": "a/b"}),
        ("{model}-{step}", {"model": "../up"}),
        ("{model}-{step}", {"model": "-rf"}),
        ("{model}-{step}", {"model": "ü" * 101}),
        ("{model.__class__}-{step}", {"model": "vit"}),
        ("{model[0]}-{step}", {"model": "vit"}),
        ("{step:{model}}", {"model": "d"}),
    ],
    ids=str,
)
def test_placeholders_that_make_no_sense_are_refused(pattern: str, identifiers: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Naming(pattern, **identifiers)

    assert caught.value.hint


@pytest.mark.parametrize(
    "pattern",
    [
        "{step}-{metric}",
        "{step}-{metric[]}",
        "{step}-{metric[loss]:d}",
        "{step}-{metric[loss].real}",
        "{step}-{metric.loss}",
        "{step}-{time:%H:%M}",
        "{metric[loss]:.3f}",
        "{time}",
        "{step}{metric[loss]:.3f}",
        "{metric[loss]:.0f}{step}",
        "{step:c}",
        "con.{step:1.0}",
        "nul.{step}",
        "-{step}",
        "~{step}",
        "{step}..{epoch}",
        "{step}[1]",
        "{step}-{epoch:{step}}",
        "{}-{step}",
        "{0}-{step}",
    ],
)
def test_a_pattern_with_times_or_metrics_that_makes_no_sense_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError):
        Naming(pattern)


def test_a_name_that_only_a_value_makes_impossible_is_refused_before_it_is_used() -> None:
    class Wide(float):
        def __format__(self, form: str) -> str:
            return "9" * 300

    naming = Naming("{step}-{metric[loss]}")

    with pytest.raises(ConfigError, match="makes the name"):
        naming.render(step=1, epoch=None, sequence=1, run="x", metrics={"loss": Wide(1)})


def test_a_metric_reaches_the_name_and_one_that_is_missing_does_not_fail_a_save(
    tmp_path: pathlib.Path,
) -> None:
    naming = Naming("{model}-{step:04d}-{metric[loss]:.2f}", model="tiny")
    with CheckpointManager(tmp_path / "run", naming=naming, background=False) as checkpoints:
        checkpoints.save(1, metrics={"loss": 0.125}, counter={"a": 1})
        checkpoints.save(2, counter={"a": 2})

        assert [item.name for item in checkpoints.checkpoints()] == [
            "tiny-0001-0.12",
            "tiny-0002-none",
        ]


def test_what_was_named_by_another_pattern_stays_readable_and_counts(
    tmp_path: pathlib.Path,
) -> None:
    def save(step: int, **options: Any) -> List[str]:
        with CheckpointManager(tmp_path, background=False, **options) as checkpoints:
            checkpoints.resume(counter={})
            checkpoints.save(step, counter={"step": step})
            return [item.name for item in checkpoints.checkpoints()]

    save(1)
    save(2, naming="zz-{sequence}")
    assert save(3, naming="{step}-a") == ["step-00000001", "zz-2", "3-a"]
    assert save(4, naming="s{step}", keep=KeepLast(2)) == ["3-a", "s4"]


def test_names_go_on_counting_in_a_new_process_and_the_limit_holds(
    children: Any, memory_path: pathlib.Path
) -> None:
    def train() -> List[str]:
        state: Dict[str, Any] = {"step": 0}
        with CheckpointManager(
            memory_path / "run", naming="checkpoint_{sequence}", keep=KeepLast(2), background=False
        ) as checkpoints:
            checkpoints.resume(counter=state)
            for _ in range(3):
                state["step"] += 1
                checkpoints.save(state["step"], counter=state)
            return [item.name for item in checkpoints.checkpoints()]

    assert children.call(train) == ["checkpoint_2", "checkpoint_3"]
    assert children.call(train) == ["checkpoint_5", "checkpoint_6"]
