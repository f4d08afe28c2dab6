"""What the manager refuses, and that refusing changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
import torch

from hfl_checkpoint import (
    CheckpointManager,
    CheckpointNotFoundError,
    EverySteps,
    KeepLast,
    MissingComponentError,
    StateMismatchError,
    UnknownTypeError,
)
from hfl_core import ConfigError, HflError
from hfl_metadata import RunClock, read_metadata


class State:
    """A training state as `step` and `resume` take it."""

    def __init__(self, live: Any, step: int = 0) -> None:
        self.live = live
        self.step = step
        self.epoch = None

    def move_to(self, step: int) -> State:
        self.step = step
        self.live.move_to(step)
        return self

    def components(self) -> Any:
        return self.live.components


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (lambda: {"keep": KeepLast(0)}, "KeepLast cannot keep 0 checkpoints"),
        (lambda: {"keep": KeepLast(-1)}, "KeepLast cannot keep -1 checkpoints"),
        (lambda: {"keep": 3}, "keep=3 is not a retention policy"),
        (lambda: {"keep": "last:0"}, "KeepLast cannot keep 0 checkpoints"),
        (lambda: {"save": 500}, "save=500 is not a save policy"),
        (lambda: {"save": EverySteps(0)}, r"EverySteps\(0\) makes no sense"),
        (lambda: {"when_busy": "drop"}, "no when_busy='drop'"),
        (lambda: {"naming": "checkpoint"}, "can give two checkpoints the same name"),
        (lambda: {"naming": "epoch-{epoch}"}, "can give two checkpoints the same name"),
        (lambda: {"naming": "{step:.2e}"}, "can give two checkpoints the same name|malformed"),
        (lambda: {"naming": "a/{step}"}, "which file systems do not all take"),
    ],
)
def test_arguments_without_sense_are_refused_at_once(
    options: Callable[[], Dict[str, Any]], message: str, run_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        CheckpointManager(run_path, **options())
    assert caught.value.hint
    assert not run_path.exists()


def test_a_directory_that_is_a_file_is_refused(run_path: Path) -> None:
    run_path.write_text("mine")
    with pytest.raises(ConfigError, match="is a file, and a run needs a directory"):
        CheckpointManager(run_path)
    assert run_path.read_text() == "mine"


class Unsaveable:
    def state_dict(self) -> Any:
        return {"fn": object()}

    def load_state_dict(self, state: Any) -> None:
        raise AssertionError


class Holding:
    """A training state with one component."""

    step, epoch = 2, 0

    def __init__(self, name: str) -> None:
        self._components: Dict[str, Any] = {name: {"seen": 1}}

    def components(self) -> Dict[str, Any]:
        return self._components


BAD_SAVES: Dict[str, tuple[Any, Any, Any]] = {
    "negative step": (lambda m, c: m.save(-1, **c), ConfigError, "-1 is not a step"),
    "step of a wrong type": (lambda m, c: m.save("5", **c), ConfigError, "'5' is not a step"),
    "a truth as step": (lambda m, c: m.save(True, **c), ConfigError, "True is not a step"),
    "a state for the step": (
        lambda m, _: m.save(State(None)),
        ConfigError,
        r"a training state, not a step.*save\(state\.step",
    ),
    "a model for the step": (
        lambda m, _: m.save(torch.nn.Linear(1, 1)),
        ConfigError,
        "An object of type Linear is not a step.*by name",
    ),
    "a model for the state": (
        lambda m, _: m.resume(torch.nn.Linear(1, 1)),
        ConfigError,
        r"takes a training state, and got an object of type Linear.*resume\(model=model",
    ),
    "a model for the state of a step": (
        lambda m, _: m.step(torch.nn.Linear(1, 1)),
        ConfigError,
        r"step\(\) takes a training state.*TrainingState",
    ),
    "no components": (lambda m, _: m.save(5), ConfigError, "no component was given"),
    "no state": (lambda m, _: m.save(5, thing=object()), ConfigError, "no state to save"),
    "a name with a slash": (
        lambda m, _: m.save(5, **{"../x": {}}),
        ConfigError,
        "cannot be called '../x'",
    ),
    "a reserved name": (lambda m, _: m.save(5, manifest={}), ConfigError, "cannot be called"),
    **{
        f"the name {name}, which is an option": (
            lambda m, _, name=name: m.save(5, **{name: {"seen": 1}}),
            ConfigError,
            f"cannot be called '{name}'",
        )
        for name in ("state", "which", "strict", "allow_missing", "map_location")
    },
    "a state to resume with a component called strict": (
        lambda m, _: m.resume(Holding("strict")),
        ConfigError,
        "cannot be called 'strict'",
    ),
    "an empty name": (lambda m, _: m.save(5, **{"": {}}), ConfigError, "cannot be called ''"),
    "an unknown type": (
        lambda m, c: m.save(5, **c, odd=Unsaveable()),
        UnknownTypeError,
        r"odd\['fn'\] is a builtins\.object",
    ),
    "a tensor without data": (
        lambda m, _: m.save(5, odd={"x": torch.empty(2, device="meta")}),
        UnknownTypeError,
        "meta device",
    ),
    "an absent step": (
        lambda m, c: m.restore(999, **c),
        CheckpointNotFoundError,
        "No checkpoint for step 999 .* There are step-00000001",
    ),
    "an absent label": (
        lambda m, c: m.restore("gold", **c),
        CheckpointNotFoundError,
        "No checkpoint called 'gold'",
    ),
    "an absent metric": (
        lambda m, c: m.restore("best:f1", **c),
        CheckpointNotFoundError,
        "with a value of 'f1'",
    ),
    "nothing to restore": (lambda m, _: m.restore(), ConfigError, "no component was given"),
    "an odd which": (lambda m, c: m.restore(1.5, **c), ConfigError, "cannot be named by 1.5"),
    "pin of an absent one": (lambda m, _: m.pin(999), CheckpointNotFoundError, "for step 999"),
    "nothing to get": (lambda m, _: m.get(), ConfigError, "Nothing says which checkpoint"),
    "an unknown mode": (lambda m, _: m.best("loss", "top"), ConfigError, "no mode 'top'"),
    "load of what is not in it": (
        lambda m, _: m.load(only=["ema"]),
        MissingComponentError,
        "has no 'ema'; it has model, optimizer, counters",
    ),
}


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize(("call", "error", "message"), BAD_SAVES.values(), ids=BAD_SAVES)
def test_bad_input_is_a_clear_error_and_changes_nothing(
    call: Any,
    error: Any,
    message: str,
    background: bool,
    open_manager: Any,
    live: Any,
    run_path: Path,
    tree: Any,
) -> None:
    manager = open_manager(keep=KeepLast(1), background=background)
    manager.save(1, **live(1).components)
    manager.wait()
    before = tree(run_path)
    state = live(7)
    with pytest.raises(error, match=message) as caught:
        call(manager, state.components)
    assert isinstance(caught.value, HflError)
    assert caught.value.hint
    assert state.stands_at == 7
    assert tree(run_path) == before
    assert manager.save(2, **live(2).components)


@pytest.mark.parametrize("name", ["epoch", "metrics", "reason", "which", "strict"])
def test_a_state_whose_component_is_called_like_an_option_is_refused(
    name: str, open_manager: Any, run_path: Path
) -> None:
    manager = open_manager(save=EverySteps(1))
    with pytest.raises(ConfigError, match=f"cannot be called '{name}'"):
        manager.step(Holding(name))
    assert not run_path.exists()


def test_resume_takes_the_options_of_restore(open_manager: Any, live: Any) -> None:
    open_manager().save(1, **live(1).components)
    state = live(7)
    ema: Dict[str, Any] = {}
    report = open_manager().resume(
        **state.components, ema=ema, allow_missing={"ema"}, strict=True, map_location="cpu"
    )
    assert report.missing == ("ema",)
    assert state.stands_at == 1


def test_bad_input_in_a_fresh_run_creates_nothing(open_manager: Any, run_path: Path) -> None:
    manager = open_manager(background=True)
    for call in (
        lambda: manager.save(-1, c={}),
        lambda: manager.save(1),
        lambda: manager.save(1, odd=Unsaveable()),
        lambda: manager.restore(1, c={}),
    ):
        with pytest.raises(HflError):
            call()
    assert not run_path.exists()


def test_metadata_that_json_cannot_hold_does_not_leave_half_a_save(
    open_manager: Any, run_path: Path
) -> None:
    manager = open_manager(metadata={"seed": 3})
    saved = manager.save(1, counters={})
    assert '"seed": 3' in (saved.path / "metadata.json").read_text()


def test_each_checkpoint_says_how_long_the_run_took_until_it_was_saved(
    open_manager: Any, live: Any
) -> None:
    now = [100.0]
    clock = RunClock(clock=lambda: now[0])
    manager = open_manager(metadata={"durations": clock}, background=False)
    found = []
    for step in (1, 2):
        now[0] += 10
        saved = manager.save(step, durations=clock, **live(step).components)
        found.append(read_metadata(saved.path))
    assert [record.durations.wall for record in found] == [10.0, 20.0]
    assert found[0].captured_at == found[1].captured_at
    resumed = RunClock(clock=lambda: now[0])
    open_manager().restore(durations=resumed, **live(0).components)
    assert resumed.durations().wall == 20.0
    assert resumed.durations().sessions == 2


def test_a_missing_component_is_named_and_nothing_is_touched(open_manager: Any, live: Any) -> None:
    manager = open_manager()
    manager.save(1, **live(1).components)
    state = live(7)
    ema: Dict[str, Any] = {"old": True}
    with pytest.raises(MissingComponentError, match="has no 'ema'") as caught:
        manager.restore(**state.components, ema=ema)
    assert caught.value.missing == ("ema",)
    assert state.stands_at == 7
    report = manager.restore(allow_missing={"ema"}, **state.components, ema=ema)
    assert report.missing == ("ema",)
    assert ema == {"old": True}
    assert state.stands_at == 1


def test_what_is_saved_and_not_asked_for_is_mentioned(open_manager: Any, live: Any) -> None:
    manager = open_manager()
    manager.save(1, **live(1).components)
    report = manager.restore(model=live().model)
    assert report.restored == ("model",)
    assert report.warnings == (
        "'optimizer' is in the checkpoint and was not restored",
        "'counters' is in the checkpoint and was not restored",
    )
    assert manager.restore(partial=True, model=live().model).warnings == ()


def test_a_state_that_does_not_fit_touches_nothing(open_manager: Any, live: Any) -> None:
    manager = open_manager()
    manager.save(1, **live(1).components)
    state = live(7)
    other = dict(state.components, model=torch.nn.Linear(4, 2))
    with pytest.raises(StateMismatchError, match=r"weight had shape \[2, 3\], and has \[2, 4\]"):
        manager.restore(**other)
    assert state.stands_at == 7


def test_resume_of_a_run_without_checkpoints_is_none_and_touches_nothing(
    open_manager: Any, live: Any, run_path: Path
) -> None:
    state = live(7)
    assert open_manager().resume(**state.components) is None
    assert open_manager().resume(State(state)) is None
    assert state.stands_at == 7
    assert not run_path.exists()


def test_a_closed_manager_saves_and_restores_no_more(
    open_manager: Any, live: Any, run_path: Path, tree: Any
) -> None:
    manager = open_manager(background=True)
    manager.save(1, **live(1).components)
    manager.close()
    manager.close()
    before = tree(run_path)
    state = State(live(2), 2)
    for call in (
        lambda: manager.save(2, **state.components()),
        lambda: manager.step(state),
        lambda: manager.restore(**state.components()),
        lambda: manager.resume(state),
    ):
        with pytest.raises(ConfigError, match="This checkpoint manager is closed"):
            call()
    assert manager.latest().step == 1
    assert tree(run_path) == before


def test_step_saves_when_the_policy_says_so_and_records_what_was_measured(
    open_manager: Any, live: Any
) -> None:
    manager = open_manager(save=EverySteps(3))
    state = State(live())
    for step in range(1, 8):
        manager.step(state.move_to(step), loss=torch.tensor(1.0 / step))
    found = manager.checkpoints()
    assert [item.step for item in found] == [3, 6]
    assert {item.reason for item in found} == {"interval"}
    assert found[1].metrics["loss"] == pytest.approx(1 / 6)
    assert found[0].components == ("model", "optimizer", "counters")


def test_a_step_that_was_just_saved_by_hand_is_not_saved_again(
    open_manager: Any, live: Any
) -> None:
    manager = open_manager(save=EverySteps(3))
    state = State(live())
    manager.save(3, **state.move_to(3).components())
    assert manager.step(state) is None
    assert len(manager.checkpoints()) == 1


def test_a_resumed_run_saves_at_the_next_multiple(open_manager: Any, live: Any) -> None:
    first = open_manager(save=EverySteps(10))
    first.save(7, **live(7).components)
    manager = open_manager(save=EverySteps(10))
    state = State(live())
    manager.resume(state)
    assert state.live.stands_at == 7
    saved = [step for step in range(8, 22) if manager.step(state.move_to(step)) is not None]
    assert saved == [10, 20]


def test_step_without_a_policy_saves_nothing(open_manager: Any, live: Any, run_path: Path) -> None:
    assert open_manager().step(State(live(1), 1)) is None
    assert not run_path.exists()


def test_a_run_in_a_relative_directory_works(
    memory_path: Path, live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(memory_path)
    with CheckpointManager("runs/digits", background=False) as manager:
        saved = manager.save(1, **live(1).components)
        assert saved.path == Path("runs/digits/step-00000001")
        assert manager.directory == Path("runs/digits")
        assert manager.verify().ok


def test_best_and_get_find_what_is_meant(open_manager: Any) -> None:
    manager = open_manager()
    for step, epoch, loss in ((1, 0, 0.3), (2, 1, 0.1), (3, 1, float("nan"))):
        manager.save(step, epoch=epoch, metrics={"loss": loss}, c={"s": step})
    assert manager.best("loss").step == 2
    assert manager.best("loss", "max").step == 1
    assert manager.best("f1") is None
    assert manager.get(epoch=1).step == 3
    assert manager.get(epoch=1, step=2).name == "step-00000002"
    assert manager.load("best:loss:max")["c"] == {"s": 1}
    assert manager.load(2, only=["c"], map_location="cpu")["c"] == {"s": 2}
    with pytest.raises(CheckpointNotFoundError, match="with step 1 and epoch 1"):
        manager.get(step=1, epoch=1)


def test_other_library_versions_are_mentioned(open_manager: Any, live: Any) -> None:
    from hfl_checkpoint import _canonical

    manager = open_manager()
    path = manager.save(1, **live(1).components).path / "manifest.json"
    document = json.loads(path.read_text())
    document.pop("self_digest")
    document["versions"]["torch"] = "1.0"
    path.chmod(0o644)
    path.write_bytes(_canonical.dump(document))
    report = open_manager().restore(**live().components)
    assert len(report.warnings) == 1
    assert report.warnings[0].startswith("torch was 1.0 when this was saved, and is ")
