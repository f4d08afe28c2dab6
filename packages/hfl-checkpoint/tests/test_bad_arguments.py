"""Arguments that make no sense: refused with a sentence, before anything is written."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np
import pytest

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
