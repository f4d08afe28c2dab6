"""Tensors that did not change are not written again, and what is shared is intact."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hfl_checkpoint import CheckpointManager, KeepLast
from hfl_checkpoint.errors import CheckpointDamagedError, CheckpointError
from hfl_core import DiskSpaceError

FROZEN = "model-00001-of-00002.safetensors"


class Model(torch.nn.Sequential):
    """A frozen layer and a trained one."""

    def __init__(self, width: int = 64) -> None:
        super().__init__(torch.nn.Linear(width, width), torch.nn.Linear(4, 4))
        self[0].requires_grad_(False)
        torch.nn.init.zeros_(self[1].weight)

    def train_a_step(self) -> None:
        with torch.no_grad():
            self[1].weight.add_(1.0)


def is_shared(one: Any, other: Any, file: str = FROZEN) -> bool:
    return os.path.samefile(one.path / file, other.path / file)


def newly_written(checkpoint: Any) -> Dict[str, int]:
    """The files of a checkpoint that no earlier one has."""
    return {
        path.relative_to(checkpoint.path).as_posix(): path.stat().st_size
        for path in checkpoint.path.rglob("*")
        if path.is_file() and path.stat().st_nlink == 1
    }


def overwrite(path: Path, at: int, value: int = 0xFF) -> None:
    """Damage a file behind everybody's back: its size and its times stay."""
    status = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ value]))
    path.chmod(0o444)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("background", [False, True])
def test_a_frozen_part_is_written_once(open_manager: Any, background: bool) -> None:
    model = Model()
    manager = open_manager(background=background)
    found = []
    for step in range(1, 4):
        manager.save(step, model=model)
        model.train_a_step()
        manager.wait()
        found.append(manager.latest())
    assert is_shared(found[0], found[1])
    assert is_shared(found[1], found[2])
    assert not is_shared(found[0], found[1], "model-00002-of-00002.safetensors")
    assert (found[2].path / FROZEN).stat().st_mode & 0o222 == 0
    assert all(manager.verify(item).ok for item in found)
    assert [manager.load(step)["model"]["1.weight"][0, 0] for step in (1, 2, 3)] == [0, 1, 2]
    assert all(
        torch.equal(manager.load(step)["model"]["0.weight"], model[0].weight) for step in (1, 3)
    )


def test_a_frozen_part_takes_no_memory_in_the_snapshot(open_manager: Any) -> None:
    model = Model()
    manager = open_manager(background=True)
    manager.save(1, model=model).result()
    assert ("model", "0.weight") in manager._arenas[0]._buffers
    manager.save(2, model=model).result()
    assert {key for _, key in manager._arenas[0]._buffers} == {"1.weight", "1.bias"}


def test_the_bytes_of_later_checkpoints_are_those_that_changed(open_manager: Any) -> None:
    model = Model(512)
    optimizer = torch.optim.AdamW(model[1].parameters())
    manager = open_manager()
    manager.save(1, model=model, optimizer=optimizer)
    model.train_a_step()
    second = manager.save(2, model=model, optimizer=optimizer)
    assert second.size > 1_000_000
    assert (
        second.unique_size
        == sum(size for name, size in newly_written(second).items() if name != "manifest.json")
        + (second.path / "manifest.json").stat().st_size
    )
    tensors = [name for name in newly_written(second) if name.endswith(".safetensors")]
    assert tensors == ["model-00002-of-00002.safetensors"]


def test_what_no_promise_was_given_for_is_shared_by_its_content(open_manager: Any) -> None:
    table = {"table": torch.randn(4096), "n": 0}
    manager = open_manager()
    first = manager.save(1, table=table)
    table["n"] = 1
    second = manager.save(2, table=table)
    table["table"][0] += 1
    third = manager.save(3, table=table)
    assert is_shared(first, second, "state/table.safetensors")
    assert not is_shared(second, third, "state/table.safetensors")
    assert torch.equal(manager.load(3)["table"]["table"], table["table"])
    assert [manager.load(step)["table"]["n"] for step in (1, 2)] == [0, 1]


def _by_data(weight: torch.Tensor) -> None:
    weight.data[3, 3] += 1


def _by_numpy(weight: torch.Tensor) -> None:
    weight.detach().numpy()[3, 3] += 1


def _in_place(weight: torch.Tensor) -> None:
    with torch.no_grad():
        weight.add_(1)


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("change", [_by_data, _by_numpy, _in_place])
def test_a_frozen_tensor_that_changed_all_the_same_is_written(
    open_manager: Any, change: Callable[[torch.Tensor], None], background: bool
) -> None:
    model = Model()
    manager = open_manager(background=background)
    manager.save(1, model=model)
    manager.wait()
    version = model[0].weight._version
    change(model[0].weight)
    manager.save(2, model=model)
    changed = model[0].weight.clone()
    _in_place(model[0].weight)  # after the call, it belongs to training again
    manager.wait()
    first, second = manager.checkpoints()
    assert not is_shared(first, second)
    assert torch.equal(manager.load(2)["model"]["0.weight"], changed)
    assert not torch.equal(manager.load(1)["model"]["0.weight"], changed)
    assert change is _in_place or model[0].weight._version == version + 1  # it tells nothing


def test_weights_that_replaced_others_are_written(open_manager: Any) -> None:
    model = Model()
    manager = open_manager()
    first = manager.save(1, model=model)
    model[0] = torch.nn.Linear(64, 64).requires_grad_(False)
    second = manager.save(2, model=model)
    assert not is_shared(first, second)
    assert torch.equal(manager.load()["model"]["0.weight"], model[0].weight)


def test_a_layer_that_is_unfrozen_and_frozen_again_is_saved_right(open_manager: Any) -> None:
    model = Model()
    manager = open_manager()
    manager.save(1, model=model)
    model[0].requires_grad_(True)
    manager.save(2, model=model)
    _in_place(model[0].weight)
    model[0].requires_grad_(False)
    manager.save(3, model=model)
    weights = [manager.load(step)["model"]["0.weight"] for step in (1, 2, 3)]
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[2], model[0].weight)
    assert not torch.equal(weights[1], weights[2])


def test_another_process_goes_on_sharing(open_manager: Any) -> None:
    model = Model()
    first = open_manager().save(1, model=model)
    manager = open_manager()
    manager.resume(model=Model())
    other = Model()
    manager.restore(model=other)
    second = manager.save(2, model=other)
    assert is_shared(first, second)


def test_a_run_of_its_own_shares_nothing(open_manager: Any) -> None:
    model = Model()
    first = open_manager().save(1, model=model)
    other = open_manager().save(1, model=model)
    assert first.run_id != other.run_id
    assert not is_shared(first, other)


def test_what_is_shared_survives_the_deletion_of_where_it_came_from(open_manager: Any) -> None:
    model = Model()
    manager = open_manager(keep=KeepLast(1))
    for step in range(1, 5):
        manager.save(step, model=model)
        model.train_a_step()
    (last,) = manager.checkpoints()
    status = (last.path / FROZEN).stat()
    assert status.st_nlink == 1
    assert status.st_mode & 0o222 == 0
    assert last.unique_size > last.size  # the manifest counts in one of the two
    assert manager.verify().ok


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("place", [5, 2000, -1])
def test_a_damaged_file_is_never_handed_on(
    open_manager: Any, caplog: Any, background: bool, place: int
) -> None:
    model = Model()
    manager = open_manager(background=background)
    first = manager.save(1, model=model)
    first = first.result() if background else first
    path = first.path / FROZEN
    overwrite(path, place % path.stat().st_size)
    with caplog.at_level(logging.WARNING):
        manager.save(2, model=model)
        manager.wait()
    second = manager.latest()
    assert not is_shared(first, second)
    assert manager.verify(second).ok
    assert not manager.verify(first).ok
    # From here on the good one is shared.
    manager.save(3, model=model)
    manager.wait()
    assert is_shared(second, manager.latest())
    if place != 5:  # a damaged header is not even a candidate
        assert f"{path} is damaged, so it is written anew and not shared" in caplog.text


@pytest.mark.parametrize(
    "loss", ["file", "size", "directory", "manifest", "state", "digest", "pipe"]
)
def test_a_checkpoint_that_is_lost_or_makes_no_sense_is_no_source(
    open_manager: Any, loss: str
) -> None:
    model = Model()
    manager = open_manager()
    first = manager.save(1, model=model)
    path, state = first.path / FROZEN, first.path / "state/model.json"
    if loss == "file":
        path.unlink()
    elif loss == "size":
        path.chmod(0o644)
        os.truncate(path, path.stat().st_size - 1)
    elif loss == "directory":
        shutil.rmtree(first.path)
    elif loss == "manifest":
        overwrite(first.path / "manifest.json", 40, 1)
    elif loss == "state":
        state.unlink()
        state.write_text("[1]")
    elif loss == "digest":
        text = state.read_text().replace('"digests":{', '"digests":{"x":1,"y":')
        state.unlink()
        state.write_text(text)
    else:
        path.unlink()
        path.mkdir()
    second = manager.save(2, model=model)
    assert manager.verify(second).ok
    assert torch.equal(manager.load(second)["model"]["0.weight"], model[0].weight)


def test_a_tensor_that_is_neither_on_disk_nor_in_memory_any_more_fails_the_save(
    open_manager: Any, tree: Any, run_path: Path
) -> None:
    model = Model()
    manager = open_manager()
    first = manager.save(1, model=model)

    def strike(operation: str, path: Path) -> None:
        # Once it was found on disk, and was not copied, two things go wrong at the same time.
        if operation == "mkdir" and path.name == "state":
            overwrite(first.path / FROZEN, 2000)
            _in_place(model[0].weight)

    manager._run.files._observer = strike
    with pytest.raises(CheckpointError, match="was changed while it was saved") as caught:
        manager.save(2, model=model)
    assert "model['0." in caught.value.message
    assert "step-00000001" in caught.value.message
    assert "Save again" in str(caught.value.hint)
    assert not list((run_path / ".staging").iterdir())
    manager._run.files._observer = None
    second = manager.save(2, model=model)
    assert manager.verify(second).ok
    assert torch.equal(manager.load()["model"]["0.weight"], model[0].weight)


def test_a_file_that_is_lost_within_the_save_is_written_from_memory(open_manager: Any) -> None:
    model = Model()
    manager = open_manager(background=True)
    first = manager.save(1, model=model).result()

    def strike(operation: str, path: Path) -> None:
        if operation == "mkdir" and path.name == "state":
            (first.path / FROZEN).unlink()

    manager._run.files._observer = strike
    second = manager.save(2, model=model).result()
    assert manager.verify(second).ok
    assert torch.equal(manager.load()["model"]["0.weight"], model[0].weight)


def test_a_save_that_waits_while_its_source_is_deleted_shares_the_successor(
    open_manager: Any,
) -> None:
    model = Model()
    manager = open_manager(background=True, when_busy="coalesce", keep=KeepLast(1))
    manager.save(1, model=model).result()
    reached, go_on = threading.Event(), threading.Event()

    def hold(operation: str, path: Path) -> None:
        if operation == "mkdir" and path.name == "state" and not reached.is_set():
            reached.set()
            go_on.wait()

    manager._run.files._observer = hold
    manager.save(2, model=model)
    reached.wait()
    waiting = manager.save(3, model=model)  # it sees step 1, which is deleted before its turn comes
    inode = (manager.directory / "step-00000001" / FROZEN).stat().st_ino
    go_on.set()
    third = waiting.result()
    assert [item.step for item in manager.checkpoints()] == [3]
    assert (third.path / FROZEN).stat().st_ino == inode
    assert manager.verify().ok


def test_one_damaged_file_damages_all_that_share_it_and_training_mends_it(
    open_manager: Any,
) -> None:
    model = Model()
    manager = open_manager()
    first, second = manager.save(1, model=model), manager.save(2, model=model)
    overwrite(second.path / FROZEN, 2000)
    assert [report.ok for report in manager.verify_all()] == [False, False]
    with pytest.raises(CheckpointDamagedError, match="tensor '0.weight'"):
        open_manager().restore(model=Model())
    third = manager.save(3, model=model)
    assert not is_shared(first, third)
    state = Model()
    report = open_manager().restore(model=state)
    assert report.checkpoint.step == 3
    assert torch.equal(state[0].weight, model[0].weight)


def failing_link(code: int) -> Callable[..., None]:
    def link(source: Any, target: Any) -> None:
        raise OSError(code, os.strerror(code), str(source))

    return link


@pytest.mark.parametrize("code", [errno.EMLINK, errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP])
def test_where_files_cannot_be_linked_they_are_written(
    open_manager: Any, monkeypatch: Any, code: int
) -> None:
    model = Model()
    manager = open_manager()
    first = manager.save(1, model=model)
    monkeypatch.setattr(os, "link", failing_link(code))
    second = manager.save(2, model=model)
    assert not is_shared(first, second)
    assert manager.verify(second).ok
    assert (first.path / FROZEN).read_bytes() == (second.path / FROZEN).read_bytes()


def test_a_full_disk_while_linking_is_a_full_disk(open_manager: Any, monkeypatch: Any) -> None:
    manager = open_manager()
    manager.save(1, model=Model())
    model = Model()
    manager.restore(model=model)
    monkeypatch.setattr(os, "link", failing_link(errno.ENOSPC))
    with pytest.raises(DiskSpaceError, match="save step 2"):
        manager.save(2, model=model)
    assert [item.step for item in manager.checkpoints()] == [1]


def test_a_copy_without_links_is_whole_and_goes_on(open_manager: Any, memory_path: Path) -> None:
    model = Model()
    manager = open_manager()
    for step in range(1, 4):
        manager.save(step, model=model)
        model.train_a_step()
    copy = memory_path / "copy"
    shutil.copytree(str(manager.directory), str(copy))
    other = open_manager(copy)
    state = Model()
    assert other.resume(model=state).checkpoint.step == 3
    assert all(report.ok for report in other.verify_all())
    assert not is_shared(*other.checkpoints()[:2])
    assert is_shared(other.latest(), other.save(4, model=state))


def test_large_files_of_a_model_are_shared_as_well(open_manager: Any) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    labels = {index: f"label-{index}" for index in range(400)}
    config = GPT2Config(n_layer=1, n_head=1, n_embd=4, vocab_size=8, id2label=labels)
    model = GPT2LMHeadModel(config)
    manager = open_manager()
    first, second = manager.save(1, model=model), manager.save(2, model=model)
    assert (first.path / "config.json").stat().st_size > 4096
    assert is_shared(first, second, "config.json")
    assert not is_shared(first, second, "generation_config.json")  # a block either way


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_every_checkpoint_of_any_history_holds_what_was_there(data: Any) -> None:
    """Weights change, freeze, thaw and are swapped at random; each save has to come back exactly."""
    layers = 3
    model = torch.nn.Sequential(*(torch.nn.Linear(3, 3) for _ in range(layers)))
    saved: List[Dict[str, torch.Tensor]] = []
    with tempfile.TemporaryDirectory() as folder:
        background = data.draw(st.booleans())
        with CheckpointManager(folder, background=background, max_shard_size=64) as manager:
            for step in range(data.draw(st.integers(1, 5))):
                for layer in model:
                    action = data.draw(
                        st.sampled_from(["keep", "keep", "change", "swap", "toggle"])
                    )
                    if action == "change":
                        layer.weight.data[0, 0] += 1
                    elif action == "swap":
                        layer.weight.data = layer.weight.data.clone()
                    elif action == "toggle":
                        layer.requires_grad_(not layer.weight.requires_grad)
                manager.save(step, model=model)
                saved.append({key: value.clone() for key, value in model.state_dict().items()})
            manager.wait()
            for step, expected in enumerate(saved):
                assert manager.verify(step).ok
                loaded = manager.load(step)["model"]
                assert list(loaded) == list(expected)
                assert all(torch.equal(loaded[key], expected[key]) for key in expected)
