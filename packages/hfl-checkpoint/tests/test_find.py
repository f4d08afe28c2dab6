"""Which checkpoint is meant: found, or an error that says what exists and what to pass."""

from __future__ import annotations

import pathlib
from typing import Any, Iterator

import pytest

from hfl_checkpoint import CheckpointManager, CheckpointNotFoundError
from hfl_core import ConfigError, HflError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CheckpointManager]:
    directory = tmp_path_factory.mktemp("runs") / "digits"
    checkpoints = CheckpointManager(directory, background=False)
    for step, loss in ((100, 0.5), (200, 0.2), (300, None), (400, float("nan")), (500, 0.3)):
        metrics = {"loss": loss, "acc:top": step / 1000}
        checkpoints.save(step, epoch=step // 200, metrics=metrics, counters={"step": step})
    checkpoints.pin(200, label="good")
    yield checkpoints
    checkpoints.close()


@pytest.mark.parametrize(
    ("which", "step"),
    [
        ("latest", 500),
        (300, 300),
        ("step-00000100", 100),
        ("good", 200),
        ("best:loss", 200),
        ("best:loss:min", 200),
        ("best:loss:max", 100),
        ("best:acc:top:max", 500),
        ("best:acc:top", 100),
    ],
)
def test_it_is_found(run: CheckpointManager, which: Any, step: int) -> None:
    found = run.find(which)

    assert found.step == step
    assert run.load(which)["counters"] == {"step": step}
    assert run.find(found) == found


@pytest.mark.parametrize(
    ("which", "wanted"),
    [
        (900, "for step 900"),
        ("step-900", "called 'step-900'"),
        ("500", "called '500'"),
        ("best:nothing", "with a value of 'nothing'"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(
    run: CheckpointManager, which: Any, wanted: str
) -> None:
    with pytest.raises(CheckpointNotFoundError) as caught:
        run.find(which)

    message = str(caught.value)
    assert f"No checkpoint {wanted} in " in message
    for step in (100, 200, 300, 400, 500):
        assert f"step-{step:08d}" in message
    assert "'latest'" in str(caught.value.hint)
    assert caught.value.available[-1] == "step-00000500"
    assert isinstance(caught.value, FileNotFoundError)
    assert isinstance(caught.value, HflError)


@pytest.mark.parametrize("use", ["load", "restore", "verify", "pin"])
def test_every_verb_refuses_a_step_that_is_not_there(run: CheckpointManager, use: str) -> None:
    options = {"counters": {"mine": 1}} if use == "restore" else {}

    with pytest.raises(CheckpointNotFoundError, match="for step 999"):
        getattr(run, use)(999, **options)

    assert options in ({}, {"counters": {"mine": 1}})


@pytest.mark.parametrize("which", [None, 1.5, True, ["latest"], b"latest"], ids=repr)
def test_what_cannot_name_a_checkpoint_is_refused(run: CheckpointManager, which: Any) -> None:
    with pytest.raises(ConfigError, match="cannot be named by"):
        run.find(which)


@pytest.mark.parametrize(
    ("properties", "step"),
    [
        ({"step": 200}, 200),
        ({"epoch": 1}, 300),
        ({"epoch": 0}, 100),
        ({"name": "step-00000100"}, 100),
        ({"label": "good"}, 200),
        ({"epoch": 1, "label": "good"}, 200),
    ],
    ids=str,
)
def test_get_finds_the_newest_that_has_all_properties(
    run: CheckpointManager, properties: Any, step: int
) -> None:
    assert run.get(**properties).step == step


def test_get_says_what_was_wanted(run: CheckpointManager) -> None:
    with pytest.raises(CheckpointNotFoundError, match="with step 100 and label 'good'"):
        run.get(step=100, label="good")
    with pytest.raises(ConfigError, match="Nothing says which checkpoint"):
        run.get()


def test_best_is_a_number_or_nothing(run: CheckpointManager) -> None:
    assert run.best("loss").step == 200  # type: ignore[union-attr]  # there is one
    assert run.best("loss", "max").step == 100  # type: ignore[union-attr]  # there is one
    assert run.best("nothing") is None
    with pytest.raises(ConfigError, match="no mode 'lowest'"):
        run.best("loss", "lowest")  # type: ignore[arg-type]  # refused when it runs


def test_many_checkpoints_are_not_all_listed() -> None:
    error = CheckpointNotFoundError("at all", directory="d", available=[f"c{i}" for i in range(9)])

    assert "c4, c5, c6, c7, c8 and 4 older ones" in str(error)


def test_an_empty_run_says_so(tmp_path: pathlib.Path) -> None:
    checkpoints = CheckpointManager(tmp_path / "none")

    assert checkpoints.latest() is None
    assert checkpoints.checkpoints() == []
    with pytest.raises(CheckpointNotFoundError, match="holds no checkpoint of this run"):
        checkpoints.load()
    assert not (tmp_path / "none").exists()


def test_a_metric_that_is_not_there_is_answered_with_those_that_are(run: CheckpointManager) -> None:
    with pytest.raises(CheckpointNotFoundError) as caught:
        run.restore("best:typo", counters={})

    assert "Their metrics are acc:top, loss." in str(caught.value)
    assert caught.value.metrics == ("acc:top", "loss")


def test_a_run_that_must_be_there_and_is_not_is_an_error(tmp_path: pathlib.Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match="No checkpoint at all"):
        CheckpointManager(tmp_path).restore("latest", counters={})


@pytest.mark.parametrize(
    ("wanted", "steps"),
    [
        (["latest"], [500]),
        (["500", "100"], [100, 500]),
        (["*"], [100, 200, 300, 400, 500]),
        (["step-*[12]00"], [100, 200]),
        (["go?d"], [200]),
        (["200..400"], [200, 300, 400]),
        (["step-150..400"], [200, 300, 400]),
        (["step_200..step_300"], [200, 300]),
        (["400.."], [400, 500]),
        (["..150", "good"], [100, 200]),
        ([".."], [100, 200, 300, 400, 500]),
        (["best:loss", "200", "step-00000200"], [200]),
        ([], []),
    ],
    ids=str,
)
def test_several_are_found_at_once_each_once_and_oldest_first(
    run: CheckpointManager, wanted: Any, steps: Any
) -> None:
    assert [item.step for item in run.find_all(wanted)] == steps


@pytest.mark.parametrize("wanted", ["600..700", "x*", "900", "best:typo", "nothing"])
def test_a_pattern_or_range_that_finds_nothing_is_an_error(
    run: CheckpointManager, wanted: str
) -> None:
    with pytest.raises(CheckpointNotFoundError, match="step-00000100"):
        run.find_all(["latest", wanted])


def test_a_range_that_ends_before_it_begins_is_refused(run: CheckpointManager) -> None:
    with pytest.raises(ConfigError, match="ends before it begins") as caught:
        run.find_all(["500..100"])
    assert "100..500" in str(caught.value.hint)
