"""Arguments that make no sense: refused with a sentence, before anything is written."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np
import pytest
import torch

from hfl_checkpoint import CheckpointManager, import_checkpoint
from hfl_core import ConfigError


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"epoch": -1}, "-1 is not an epoch"),
        ({"epoch": 1.5}, "1.5 is not an epoch"),
        ({"epoch": "1"}, "'1' is not an epoch"),
        ({"epoch": True}, "True is not an epoch"),
        ({"epoch": float("nan")}, "nan is not an epoch"),
        ({"epoch": np.int64(2)}, "An object of type int64 is not an epoch"),
        ({"reason": b"best"}, "The reason of a save is text, and b'best' is none"),
        ({"reason": None}, "and None is none"),
        ({"metrics": [0.5]}, "metrics are a mapping of name to number"),
        ({"metrics": "loss"}, "metrics are a mapping of name to number"),
        ({"n" * 300: {"a": 1}}, "A component cannot be called 'nnn"),
    ],
)
@pytest.mark.parametrize("background", [False, True])
def test_a_save_that_makes_no_sense_writes_nothing(
    open_manager, run_path, arguments: Dict[str, Any], said: str, background: bool
) -> None:
    manager = open_manager(background=background)
    with pytest.raises(ConfigError, match=said):
        manager.save(1, counters={"a": 1}, **arguments)
    assert not run_path.exists()
    manager.save(1, counters={"a": 1})
    manager.wait()


def test_a_component_s_name_may_be_as_long_as_files_allow(open_manager) -> None:
    manager = open_manager()
    name = "n" * 200
    manager.save(1, **{name: {"a": np.zeros(3)}})
    assert list(manager.load()) == [name]


def test_one_component_may_be_named_by_itself(open_manager) -> None:
    manager = open_manager()
    manager.save(1, counters={"a": 1}, other={})
    assert manager.load(only="counters") == {"counters": {"a": 1}}


@pytest.mark.parametrize("label", [5, b"x", "hf://me/run", "step-00000001", "a\nb", "\0", "\ud800"])
def test_a_label_that_could_not_be_typed_or_found_is_refused(open_manager, label: Any) -> None:
    manager = open_manager()
    for step in (1, 2):
        manager.save(step, counters={"a": step})
    with pytest.raises(ConfigError, match="cannot be a label"):
        manager.pin(2, label=label)
    assert not manager.find(2).pinned


def test_a_name_goes_before_a_label(open_manager) -> None:
    manager = open_manager()
    for step in (1, 2):
        manager.save(step, counters={"a": step})
    manager._run.set_pins({"step-00000002": ("step-00000001",)})  # as an editor may have it
    assert manager.find("step-00000001").step == 1


@pytest.mark.parametrize(
    ("directory", "said"),
    [
        ("a\0b", "cannot be the name of a directory"),
        ("x" * 5000, "cannot be the name of a directory"),
        ("hf://me/run", "is on the Hub, and a run needs a directory here.*hub='me/run'"),
    ],
)
def test_a_directory_that_cannot_be_is_refused(
    tmp_path, monkeypatch, directory: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said):
        CheckpointManager(directory)
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_leads_nowhere_is_refused(tmp_path) -> None:
    (tmp_path / "run").symlink_to(tmp_path / "unmounted")
    with pytest.raises(ConfigError, match="is a link to .* which does not exist"):
        CheckpointManager(tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"metadata": 5}, "metadata=5 is not a mapping"),
        ({"metadata": "x"}, "metadata='x' is not a mapping"),
        ({"metadata": {5: 6}}, "is not a mapping of names"),
        ({"notify": 5}, "notify=5 cannot be called"),
        ({"hub": "me/run", "hub_private": "no"}, "no hub_private='no'"),
        *(
            ({"hub": "me/run", "revision": revision}, "is not the name of a branch")
            for revision in ("a b", "..", "refs/heads/x", "a:b", "/a", "a/", "\n", "a.lock")
        ),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(
    run_path, options: Dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        CheckpointManager(run_path, **options)


@pytest.mark.parametrize("count", [float("inf"), float("nan"), -3, 1.5])
def test_a_count_in_a_foreign_file_that_is_none_is_not_taken_for_one(tmp_path, count: Any) -> None:
    model = torch.nn.Linear(1, 1).state_dict()
    torch.save({"model": model, "step": count, "epoch": count}, str(tmp_path / "a.pt"))
    imported = import_checkpoint(tmp_path / "a.pt")
    assert (imported.step, imported.epoch) == (None, None)
    for step in (None, -1, 1.5, "7"):
        with pytest.raises(ConfigError, match="step"):
            imported.save(tmp_path / "run", step=step)  # type: ignore[arg-type]  # refused when it runs
    assert not (tmp_path / "run").exists()
    assert imported.save(tmp_path / "run", step=7).step == 7
