"""Restoring: everything or nothing, in the right order, without pickle and without ties to the file."""

from __future__ import annotations

import copy
import gc
import json
import pathlib
import random
import subprocess
import sys
import textwrap
import types
import weakref
from typing import Any, Dict, List

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from hfl_checkpoint import (
    CheckpointManager,
    CheckpointNotFoundError,
    MissingComponentError,
    StateMismatchError,
)
from hfl_core import ConfigError


class Counter:
    """A stateful object that may refuse a state, or be restored last."""

    def __init__(self, value: Any = 0, *, last: bool = False, log: Any = None) -> None:
        self.value = value
        self.restore_last = last
        self.log = log

    def state_dict(self) -> Dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        if self.log is not None:
            self.log.append(self)
        self.value = state["value"]
        if state["value"] == "refused":
            raise ValueError("refused")


class Streams:
    """The global random streams."""

    per_rank = True
    restore_last = True

    def state_dict(self) -> Dict[str, Any]:
        kind, keys, *rest = np.random.get_state()
        return {
            "python": random.getstate(),
            "numpy": (kind, keys, *rest),
            "torch": torch.get_rng_state(),
        }

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        random.setstate(state["python"])
        np.random.set_state(state["numpy"])
        torch.set_rng_state(state["torch"])


def draws() -> List[float]:
    return [random.random(), float(np.random.rand()), float(torch.rand(()))]


def trained(seed: int) -> Any:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    optimizer = torch.optim.AdamW(model.parameters())
    for _ in range(2):
        model(torch.rand(4, 3)).sum().backward()
        optimizer.step()
    return model, optimizer


def snapshot(model: Any, optimizer: Any, *others: Any) -> Any:
    return copy.deepcopy(
        [model.state_dict(), optimizer.state_dict(), *(item.state_dict() for item in others)]
    )


def same(left: Any, right: Any) -> bool:
    if isinstance(left, (torch.Tensor, np.ndarray)):
        return bool((left == right).all())
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


SCHEDULERS = {
    "StepLR": lambda opt: lr_scheduler.StepLR(opt, 2, 0.5),
    "OneCycleLR": lambda opt: lr_scheduler.OneCycleLR(opt, max_lr=0.1, total_steps=20),
    "LambdaLR": lambda opt: lr_scheduler.LambdaLR(opt, lambda step: 0.9**step),
    "ReduceLROnPlateau": lambda opt: lr_scheduler.ReduceLROnPlateau(opt, patience=0),
    "CosineAnnealingWarmRestarts": lambda opt: lr_scheduler.CosineAnnealingWarmRestarts(opt, 3),
    "SequentialLR": lambda opt: lr_scheduler.SequentialLR(
        opt,
        [lr_scheduler.LinearLR(opt, total_iters=3), lr_scheduler.ExponentialLR(opt, 0.9)],
        milestones=[3],
    ),
}


@pytest.mark.filterwarnings("ignore:.*(optimizer.step|epoch parameter).*")
@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_goes_on_with_the_same_rates(
    tmp_path: pathlib.Path, name: str, used: bool
) -> None:
    def build() -> Any:
        parameter = nn.Parameter(torch.ones(1))
        optimizer = torch.optim.SGD([parameter], lr=0.5, momentum=0.9)
        return optimizer, SCHEDULERS[name](optimizer)

    def rates(optimizer: Any, scheduler: Any, steps: range) -> List[float]:
        found = []
        for step in steps:
            optimizer.step()
            scheduler.step(*([1.0 + step] if name == "ReduceLROnPlateau" else []))
            found.append(optimizer.param_groups[0]["lr"])
        return found

    optimizer, scheduler = build()
    rates(optimizer, scheduler, range(4))
    other, its_scheduler = build()
    if used:
        rates(other, its_scheduler, range(7))
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(4, scheduler=scheduler, optimizer=optimizer)
        expected = copy.deepcopy(scheduler.state_dict())
        checkpoints.restore(scheduler=its_scheduler, optimizer=other)

    assert its_scheduler.state_dict() == expected
    assert rates(other, its_scheduler, range(4, 9)) == rates(optimizer, scheduler, range(4, 9))


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
def test_a_gradient_scaler_is_equal_after_the_optimizer_was_loaded(
    tmp_path: pathlib.Path, used: bool
) -> None:
    model, optimizer = trained(0)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=5)
    model(torch.rand(4, 3)).sum().backward()
    scaler.scale(torch.ones(1))
    scaler.step(optimizer)
    scaler.update()
    other, its_optimizer = trained(1)
    its_scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    if used:
        its_scaler.scale(torch.ones(1))
        its_scaler.step(its_optimizer)
        its_scaler.update()
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, scaler=scaler, model=model, optimizer=optimizer)
        checkpoints.restore(scaler=its_scaler, model=other, optimizer=its_optimizer)

    assert its_scaler.state_dict() == scaler.state_dict()
    assert its_scaler.state_dict()["scale"] == 1024.0
    assert its_scaler.state_dict()["_growth_tracker"] == 1
    assert its_scaler.scale(torch.ones(1)).item() == 1024.0


def test_a_mapping_is_filled_in_place(tmp_path: pathlib.Path) -> None:
    live = {"old": 1}
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, counters={"seen": (1, 2), 3: torch.ones(1)})
        checkpoints.restore(counters=live)

    assert live == {"seen": (1, 2), 3: torch.ones(1)}


def test_a_mapping_that_cannot_be_changed_is_refused(tmp_path: pathlib.Path) -> None:
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, counters={"seen": 1})
        with pytest.raises(StateMismatchError, match="type mappingproxy cannot be changed"):
            checkpoints.restore(counters=types.MappingProxyType({}))


@pytest.mark.parametrize("last", [False, True], ids=["first", "restore_last"])
def test_one_refusal_leaves_everything_as_it_was(tmp_path: pathlib.Path, last: bool) -> None:
    model, optimizer = trained(0)
    live_model, live_optimizer = trained(1)
    before, mine, mapping = Counter("before"), Counter("mine", last=last), {"mine": 1}
    everything = (live_model, live_optimizer, before, mine, Streams())
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(
            1,
            counter=Counter("saved"),
            mapping={"theirs": 2},
            model=model,
            optimizer=optimizer,
            refusing=Counter("refused"),
            rng=Streams(),
        )
        draws()
        expected = snapshot(*everything)
        with pytest.raises(StateMismatchError, match=r"'refusing'.*ValueError"):
            checkpoints.restore(
                counter=before,
                mapping=mapping,
                model=live_model,
                optimizer=live_optimizer,
                refusing=mine,
                rng=Streams(),
            )
        assert same(snapshot(*everything), expected)
        assert mapping == {"mine": 1}


def test_what_says_so_is_restored_last(tmp_path: pathlib.Path) -> None:
    log: List[Any] = []

    class Drawing(nn.Linear):
        def _load_from_state_dict(self, *arguments: Any) -> None:
            log.append(self)
            draws()
            super()._load_from_state_dict(*arguments)

    model = Drawing(2, 2)
    first, last = Counter(log=log), Counter(last=True, log=log)
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, rng=Streams(), last=last, model=model, first=first)
        expected = draws()
        report = checkpoints.restore(rng=Streams(), last=last, model=model, first=first)

    assert log[0] is first
    assert log[-1] is last
    assert model in log
    assert report.restored[-2:] == ("rng", "last")
    assert draws() == expected


def test_saving_and_restoring_draw_nothing(tmp_path: pathlib.Path) -> None:
    model, optimizer = trained(0)
    before = Streams().state_dict()
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, model=model, optimizer=optimizer)
        checkpoints.restore(model=model, optimizer=optimizer)

    assert same(Streams().state_dict(), before)


ALL = ("model", "optimizer", "scheduler", "scaler", "rng", "counters")


@pytest.mark.parametrize("missing", ALL)
def test_a_missing_component_is_named_and_nothing_is_touched(
    tmp_path: pathlib.Path, missing: str
) -> None:
    def build(seed: int) -> Dict[str, Any]:
        model, optimizer = trained(seed)
        return {
            "model": model,
            "optimizer": optimizer,
            "scheduler": lr_scheduler.StepLR(optimizer, 2 + seed),
            "scaler": torch.amp.GradScaler("cpu", init_scale=2.0**seed),
            "rng": Streams(),
            "counters": {"seed": seed},
        }

    saved, live = build(0), build(1)
    others = [live[name] for name in ALL[2:5]]
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, **{name: saved[name] for name in ALL if name != missing})
        expected = snapshot(live["model"], live["optimizer"], *others)

        with pytest.raises(MissingComponentError, match=f"no '{missing}'") as caught:
            checkpoints.restore(**live)
        assert caught.value.missing == (missing,)
        assert "allow_missing" in str(caught.value.hint)
        assert same(snapshot(live["model"], live["optimizer"], *others), expected)
        assert live["counters"] == {"seed": 1}

        with pytest.raises(MissingComponentError):
            checkpoints.restore(**live, allow_missing=f"{missing}s")  # one name, not its letters
        report = checkpoints.restore(**live, allow_missing={missing})
        assert report.missing == (missing,)
        assert set(report.restored) == set(ALL) - {missing}


def test_load_names_what_it_does_not_have(tmp_path: pathlib.Path) -> None:
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, a={"x": 1}, b={"y": 2})

        assert checkpoints.load(only=["b"]) == {"b": {"y": 2}}
        with pytest.raises(MissingComponentError, match="no 'c'; it has a, b"):
            checkpoints.load(only=["b", "c"])


def test_what_was_saved_and_not_asked_for_is_reported(tmp_path: pathlib.Path) -> None:
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, a={"x": 1}, b={"y": 2})
        report = checkpoints.restore(a={})

    assert report.restored == ("a",)
    assert any("'b'" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("saved", "live", "message"),
    [
        (nn.Linear(2, 3), nn.Linear(2, 4), r"weight had shape \[3, 2\], and has \[4, 2\]"),
        (nn.Linear(2, 3), nn.Linear(2, 3).half(), r"weight was torch.float32, and is torch.float1"),
        (nn.Linear(2, 3), nn.Linear(2, 3, bias=False), "bias was saved, and is not there"),
        (nn.Linear(2, 3, bias=False), nn.Linear(2, 3), "bias was not saved"),
        (Counter(1), {"value": 1}, "a stateful was saved, and it is a mapping"),
        (nn.Linear(2, 3), Counter(1), "a model was saved, and it is a stateful"),
        (Counter(1), type("Other", (Counter,), {})(), "a Counter was saved, and it is an Other"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_does_not_fit_is_said_before_anything_is_touched(
    tmp_path: pathlib.Path, saved: Any, live: Any, message: str
) -> None:
    counter = Counter("mine")
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, counter=Counter("saved"), thing=saved)
        with pytest.raises(StateMismatchError, match=message) as caught:
            checkpoints.restore(counter=counter, thing=live)

    assert caught.value.component == "thing"
    assert counter.value == "mine"


def test_a_class_that_moved_to_another_module_is_the_same_class(tmp_path: pathlib.Path) -> None:
    moved = type("Counter", (Counter,), {"__module__": "elsewhere"})()
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, counter=Counter(5))
        checkpoints.restore(counter=moved)

    assert moved.value == 5


def test_nothing_to_restore_is_said(tmp_path: pathlib.Path) -> None:
    checkpoints = CheckpointManager(tmp_path)

    with pytest.raises(ConfigError, match="no component was given"):
        checkpoints.restore()
    with pytest.raises(ConfigError, match="'x' is of type int, which has no state"):
        checkpoints.restore(x=3)
    with pytest.raises(CheckpointNotFoundError):
        checkpoints.restore(x={})
    assert checkpoints.resume(x={}) is None


@pytest.mark.parametrize("name", ["state", "manifest", "metadata", "a-b", "é", "1a", ""])
def test_a_component_cannot_have_a_name_that_files_cannot(
    tmp_path: pathlib.Path, name: str
) -> None:
    with pytest.raises(ConfigError, match="cannot be called"):
        CheckpointManager(tmp_path / "run").save(1, **{name: {"a": 1}})

    assert not (tmp_path / "run").exists()


class Keeping:
    """Keeps whatever it is given, as many objects do."""

    def __init__(self) -> None:
        self.state: Any = {}

    def state_dict(self) -> Any:
        return self.state

    def load_state_dict(self, state: Any) -> None:
        self.state = state


class KeepingModule(nn.Linear):
    extra: Any = None

    def get_extra_state(self) -> Any:
        return self.extra

    def set_extra_state(self, state: Any) -> None:
        self.extra = state


def mapped_files(path: pathlib.Path) -> List[str]:
    text = pathlib.Path("/proc/self/maps").read_text()
    return [line for line in text.splitlines() if str(path) in line]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to see what is mapped")
def test_nothing_live_refers_to_the_files_after_a_restore(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hfl_checkpoint._restoring as restoring

    def build() -> Any:
        model = KeepingModule(64, 64)
        model.extra = {"seen": torch.rand(5000)}
        keeping, mapping = Keeping(), {"a": [torch.rand(5000)]}
        keeping.state = {"tensor": torch.rand(5000), "array": np.random.rand(5000)}
        optimizer = torch.optim.LBFGS(model.parameters(), lr=torch.tensor(0.1))
        adam = torch.optim.AdamW(model.parameters(), lr=torch.tensor(0.1), fused=True)
        model(torch.rand(2, 64)).sum().backward()
        adam.step()
        optimizer.step(lambda: model(torch.rand(2, 64)).square().sum())
        return {
            "model": model,
            "adam": adam,
            "lbfgs": optimizer,
            "keeping": keeping,
            "mapping": mapping,
        }

    seen: List[Any] = []
    original = restoring.read_components

    def watched(*arguments: Any, **options: Any) -> Any:
        saved = original(*arguments, **options)
        for item in saved.values():
            seen.extend(weakref.ref(tensor) for tensor in tensors_in(item.state))
        return saved

    monkeypatch.setattr(restoring, "read_components", watched)
    saved, live = build(), build()
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, **saved)
        checkpoints.restore(**live)
        gc.collect()

        assert len(seen) > 10
        assert not [reference for reference in seen if reference() is not None]
        assert not mapped_files(tmp_path)
        loaded = checkpoints.load()
        assert mapped_files(tmp_path) or loaded is None  # the test can see a mapping


def tensors_in(value: Any) -> List[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        return [tensor for item in value.values() for tensor in tensors_in(item)]
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in tensors_in(item)]
    return []


AUDITED = """
    import json, pickle, sys
    from pathlib import Path

    import torch
    from hfl_checkpoint import CheckpointManager

    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.rand(4, 2)).sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    directory = Path(sys.argv[1])
    with CheckpointManager(directory) as checkpoints:
        checkpoints.save(
            1,
            model=model, optimizer=optimizer, scheduler=scheduler,
            mapping={"a": (1, {2}), "t": torch.ones(2)},
        )

    calls = []

    def watch(event, arguments):
        if event.startswith("pickle."):
            calls.append(event)

    def profile(frame, event, argument):
        name, module = frame.f_code.co_name, frame.f_globals.get("__name__", "")
        if event == "call" and name in ("load", "loads") and module in ("torch.serialization", "pickle", "_pickle"):
            calls.append(f"{module}.{name}")
        if event == "c_call" and getattr(argument, "__module__", "") in ("_pickle", "pickle"):
            calls.append(argument.__name__)

    text = pickle.dumps(model)
    checkpoints = CheckpointManager(directory)
    sys.addaudithook(watch)
    sys.setprofile(profile)
    checkpoints.load()
    checkpoints.restore(model=model, optimizer=optimizer, scheduler=scheduler, mapping={})
    found = list(calls)
    pickle.loads(text)  # the hooks do see this one
    sys.setprofile(None)
    print(json.dumps([found, calls]))
"""


def test_nothing_is_unpickled_on_the_way_back(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(AUDITED), str(tmp_path / "run")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found, control = json.loads(done.stdout)

    assert found == []
    assert {"pickle.find_class", "loads"} <= set(control)
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert path.suffix in (".json", ".safetensors", ".lock", "")
            assert content[:1] != b"\x80"  # a pickle of protocol 2 or newer
            assert content[:2] != b"PK"  # what torch.save writes
