"""Checkpoints that other programs wrote, read without running anything that is in them."""

from __future__ import annotations

import argparse
import collections
import json
import os
import pathlib
import pickle
import subprocess
import sys
import textwrap
import zipfile
from typing import Any, Dict

import numpy as np
import pytest
import safetensors.torch
import torch
from filelock import FileLock
from torch import nn

from hfl_checkpoint import (
    CheckpointDamagedError,
    CheckpointManager,
    UntrustedPickleError,
    import_checkpoint,
)
from hfl_core import ConfigError, ConflictError, NotFoundError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> pathlib.Path:
    """A folder of checkpoints that the installed frameworks wrote, once for all processes of a test run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "foreign"
    program = pathlib.Path(__file__).with_name("write_foreign.py")
    with FileLock(f"{folder}.lock"):
        if not (folder / "is-complete").exists():
            folder.mkdir(exist_ok=True)
            done = subprocess.run(
                [sys.executable, str(program), str(folder)],
                env={**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            (folder / "is-complete").touch()
    return folder


def facts(written: pathlib.Path, name: str) -> Any:
    return json.loads((written / f"{name}.json").read_text())


def plain(state: Any) -> Any:
    if isinstance(state, torch.Tensor):
        return state.tolist()
    if isinstance(state, dict):
        return {str(key): plain(value) for key, value in state.items()}
    return [plain(item) for item in state] if isinstance(state, (list, tuple)) else state


def test_a_trainer_checkpoint(written: pathlib.Path, tmp_path: pathlib.Path) -> None:
    import transformers

    path = written / "trainer" / "checkpoint-4"
    found = import_checkpoint(path)

    assert found.source == "trainer"
    assert (found.step, found.epoch) == (4, 1)
    assert "loss" in found.metrics
    assert set(found) == {"model", "optimizer", "scheduler", "random_states", "trainer_state"}
    assert found.skipped == ("training_args.bin, which is a pickle as a whole",)
    expected = facts(written, "trainer")
    for name, values in plain(found["model"]).items():
        assert values == expected["model"][name]
    assert plain(found["optimizer"]) == expected["optimizer"]
    assert found["random_states"]["numpy"][1].shape == (624,)

    # It becomes a checkpoint that the model of the framework, with its tied weights, goes on from.
    saved = found.save(tmp_path / "run")
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config.from_pretrained(str(path)))
    decayed = [p for n, p in model.named_parameters() if "ln" not in n and "bias" not in n]
    others = [p for n, p in model.named_parameters() if "ln" in n or "bias" in n]
    optimizer = torch.optim.AdamW([{"params": decayed}, {"params": others}])
    CheckpointManager(tmp_path / "run").resume(model=model, optimizer=optimizer)
    assert plain(model.state_dict()) == expected["model"]
    assert saved.reason == "import"
    assert saved.step == 4
    again = transformers.AutoModelForCausalLM.from_pretrained(str(saved.path))
    assert plain(again.state_dict()) == expected["model"]


def test_trusted_training_arguments(written: pathlib.Path) -> None:
    found = import_checkpoint(written / "trainer" / "checkpoint-4", trust_pickle=True)

    assert found.skipped == ()
    assert found["training_args"]["max_steps"] == 4


def test_the_folder_around_trainer_checkpoints_is_explained(written: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match="no checkpoint that is understood.*checkpoint-4"):
        import_checkpoint(written / "trainer")


@pytest.mark.parametrize("name", ["accelerate", "accelerate-bin"])
def test_a_folder_of_accelerate(written: pathlib.Path, tmp_path: pathlib.Path, name: str) -> None:
    found = import_checkpoint(written / name)
    expected = facts(written, name)

    assert set(found) >= {"model", "optimizer", "scheduler", "custom_0", "random_states"}
    assert found.skipped == ()
    assert found["custom_0"] == {"seen": 3}
    assert plain(found["model"]) == expected["model"]
    assert plain(found["optimizer"]) == expected["optimizer"]
    states = found["random_states"]["numpy_random_seed"]
    assert states[1].dtype == np.uint32
    assert states[1].tolist() == expected["numpy"]
    with pytest.raises(ConfigError, match="does not say after which step"):
        found.save(tmp_path / "run")
    assert not (tmp_path / "run").exists()

    found.save(tmp_path / "run", step=4)
    model = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    report = CheckpointManager(tmp_path / "run").resume(
        model=model, optimizer=optimizer, scheduler=scheduler
    )
    assert report is not None
    assert plain(model.state_dict()) == expected["model"]
    assert plain(optimizer.state_dict()) == expected["optimizer"]
    assert scheduler.last_epoch == 4


def test_a_checkpoint_of_lightning(written: pathlib.Path, tmp_path: pathlib.Path) -> None:
    found = import_checkpoint(written / "lightning.ckpt")
    expected = facts(written, "lightning")

    assert found.source == "lightning"
    assert (found.step, found.skipped) == (3, ())
    assert {"model", "optimizer", "scheduler", "loops", "callbacks"} <= set(found)
    assert found["hyper_parameters"]["width"] == 2
    assert plain(found["model"]) == expected["model"]
    assert plain(found["optimizer"]) == expected["optimizer"]
    path = found.save(tmp_path / "run").path
    for file in path.rglob("*"):
        assert file.is_dir() or str(written).encode() not in file.read_bytes(), file


def test_an_option_of_a_class_of_the_users_is_left_out_and_named(
    written: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = import_checkpoint(written / "lightning-option.ckpt")

    assert found["hyper_parameters"] == {"width": 2}
    assert found.skipped == ("['hyper_parameters']['option'] (__main__.Option)",)
    assert "trust_pickle=True" in caplog.text
    assert plain(found["model"]) == facts(written, "lightning-option")["model"]


def trained() -> Any:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.rand(4, 2)).sum().backward()
    optimizer.step()
    return model, optimizer


def test_a_state_dict_alone(tmp_path: pathlib.Path) -> None:
    model, _ = trained()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    safetensors.torch.save_file(model.state_dict(), str(tmp_path / "model.safetensors"))

    for name in ("model.pt", "model.safetensors"):
        found = import_checkpoint(tmp_path / name)
        assert list(found) == ["model"]
        assert plain(found["model"]) == plain(model.state_dict())


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_what_people_write_by_hand(tmp_path: pathlib.Path, zipped: bool) -> None:
    model, optimizer = trained()
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    content = {
        "model_state_dict": nn.DataParallel(model).state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "epoch": 3,
        "iter_num": 900,
        "best_val_loss": 0.5,
        "config": {"width": 3},
        "args": argparse.Namespace(lr=0.1),
        "metadata": {"a": 1},
        "history": np.arange(3.0),
        "best": np.float64(0.25),
    }
    torch.save(content, tmp_path / "old.pt", _use_new_zipfile_serialization=zipped)
    found = import_checkpoint(tmp_path / "old.pt")

    assert (found.step, found.epoch) == (900, 3)
    assert found.kinds == {
        "model": "model",
        "optimizer": "optimizer",
        "scheduler": "stateful",
        "config": "mapping",
        "metadata_": "mapping",
        "extra": "mapping",
    }
    assert list(found["model"]) == list(model.state_dict())
    assert found["extra"]["history"].tolist() == [0, 1, 2]
    assert found["extra"]["best"] == 0.25
    assert found["extra"]["best_val_loss"] == 0.5
    assert found.skipped == ("['args'] (argparse.Namespace)",)
    found.save(tmp_path / "run")
    target, its_optimizer = trained()
    CheckpointManager(tmp_path / "run").resume(model=target, optimizer=its_optimizer)
    assert plain(target.state_dict()) == plain(model.state_dict())
    assert plain(its_optimizer.state_dict()) == plain(optimizer.state_dict())


def test_a_whole_module_needs_trust(tmp_path: pathlib.Path) -> None:
    model, _ = trained()
    torch.save(model, tmp_path / "whole.pt")

    with pytest.raises(UntrustedPickleError, match="Sequential"):
        import_checkpoint(tmp_path / "whole.pt")
    found = import_checkpoint(tmp_path / "whole.pt", trust_pickle=True)
    assert plain(found["model"]) == plain(model.state_dict())


def test_what_only_trust_can_read_and_no_checkpoint_can_hold_is_named(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.save({"a": {"x": argparse.Namespace(lr=1)}, "step": 1}, tmp_path / "old.pt")
    saved = import_checkpoint(tmp_path / "old.pt", trust_pickle=True).save(tmp_path / "run")

    assert saved.components == ()
    assert "a['x'] is a argparse.Namespace" in caplog.text or "argparse.Namespace" in caplog.text


def test_sharded_weights_and_what_lies_beside_them(tmp_path: pathlib.Path) -> None:
    model, _ = trained()
    state = model.state_dict()
    for suffix, save in ((".safetensors", safetensors.torch.save_file), (".bin", torch.save)):
        folder = tmp_path / suffix[1:]
        folder.mkdir()
        stem = "model" if suffix == ".safetensors" else "pytorch_model"
        names = [f"{stem}-0000{n}-of-00002{suffix}" for n in (1, 2)]
        keys = [[key for key in state if key.startswith(str(n))] for n in (0, 1)]
        for name, own in zip(names, keys):
            save({key: state[key] for key in own}, str(folder / name))
        index = {"weight_map": {key: name for name, own in zip(names, keys) for key in own}}
        (folder / f"{stem}{suffix}.index.json").write_text(json.dumps(index))
        (folder / "config.json").write_text('{"width": 3, "_name_or_path": "/home/alice/x"}')
        found = import_checkpoint(folder)
        assert plain(found["model"]) == plain(state)
        assert json.loads(found.files["config.json"]) == {"width": 3}
        (folder / names[1]).unlink()
        with pytest.raises(CheckpointDamagedError, match="00002-of-00002.*not there"):
            import_checkpoint(folder)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "secret").write_text("private")
    folder = tmp_path / "models--org--m" / "snapshots" / "abc"
    blobs = tmp_path / "models--org--m" / "blobs"
    folder.mkdir(parents=True)
    blobs.mkdir()
    safetensors.torch.save_file({"w": torch.ones(1)}, str(blobs / "1"))
    (blobs / "2").write_text('{"width": 1}')
    (folder / "model.safetensors").symlink_to(blobs / "1")
    (folder / "config.json").symlink_to(blobs / "2")
    (folder / "tokenizer.model").symlink_to(tmp_path / "secret")
    found = import_checkpoint(folder)

    assert list(found.files) == ["config.json"]
    assert plain(found["model"]) == {"w": [1]}


def test_an_adapter_in_a_trainer_checkpoint(tmp_path: pathlib.Path) -> None:
    (tmp_path / "trainer_state.json").write_text('{"global_step": 7, "epoch": 0.5}')
    safetensors.torch.save_file(
        {"a.lora_A.weight": torch.ones(1)}, str(tmp_path / "adapter_model.safetensors")
    )
    found = import_checkpoint(tmp_path)

    assert (found.step, found.epoch) == (7, 0)
    assert plain(found["adapter"]) == {"a.lora_A.weight": [1]}


def test_the_states_of_several_processes(tmp_path: pathlib.Path) -> None:
    for rank in (0, 1):
        torch.save({"cpu": torch.tensor([rank])}, tmp_path / f"rng_state_{rank}.pth")
    (tmp_path / "trainer_state.json").write_text("{}")
    found = import_checkpoint(tmp_path)

    assert plain(found["random_states_1"]) == {"cpu": [1]}
    assert found.step is None


BAD_FILES: Dict[str, Any] = {
    "trainer_state.json": b"[]",
    "optimizer.pt": b"no file of torch",
    "model.safetensors": b"short",
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_damaged_file_is_named(tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / "trainer_state.json").write_text('{"global_step": 1}')
    (tmp_path / name).write_bytes(BAD_FILES[name])

    with pytest.raises((CheckpointDamagedError, UntrustedPickleError), match=name) as caught:
        import_checkpoint(tmp_path)
    assert caught.value.hint


def test_what_is_not_there_and_what_is_no_checkpoint(tmp_path: pathlib.Path) -> None:
    with pytest.raises(NotFoundError):
        import_checkpoint(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="no checkpoint that is understood"):
        import_checkpoint(tmp_path)
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ConfigError, match="of type list, not states"):
        import_checkpoint(tmp_path / "list.pt")
    with CheckpointManager(tmp_path / "run", background=False) as checkpoints:
        path = checkpoints.save(1, a={"x": 1}).path  # type: ignore[union-attr]  # there is one
    with pytest.raises(ConfigError, match="already"):
        import_checkpoint(path)


def test_an_import_does_not_mix_with_a_run(tmp_path: pathlib.Path) -> None:
    torch.save({"step": 1, "a": {"x": 1}}, tmp_path / "old.pt")
    found = import_checkpoint(tmp_path / "old.pt")
    found.save(tmp_path / "run")

    with pytest.raises(ConflictError, match="holds checkpoints already"):
        found.save(tmp_path / "run")


@pytest.mark.parametrize("generation", ["numpy.core", "numpy._core"])
def test_arrays_of_any_release_of_numpy(tmp_path: pathlib.Path, generation: str) -> None:
    array = np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3))
    torch.save({"a": {"array": array, "text": b"\xff"}}, tmp_path / "theirs.pt")
    with zipfile.ZipFile(tmp_path / "theirs.pt") as source, zipfile.ZipFile(
        tmp_path / "old.pt", "w"
    ) as target:
        for item in source.namelist():
            data = source.read(item)
            for name in (b"numpy._core.multiarray", b"numpy.core.multiarray"):
                data = data.replace(name, generation.encode() + b".multiarray")
            target.writestr(item, data)
    found = import_checkpoint(tmp_path / "old.pt")["a"]

    assert found["array"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["array"].dtype == np.dtype(">i2")
    assert found["text"] == b"\xff"


def test_what_numpy_itself_would_unpickle_is_left_out(tmp_path: pathlib.Path) -> None:
    content = {
        "a": {
            "objects": np.array([{"x": 1}, None], dtype=object),
            "records": np.zeros(1, dtype=[("x", "i4")]),
            "ordered": collections.OrderedDict(x=collections.defaultdict(int, {"y": 2})),
        }
    }
    torch.save(content, tmp_path / "old.pt")
    try:
        found = import_checkpoint(tmp_path / "old.pt")
    except UntrustedPickleError:
        return
    assert "records" not in found["a"]
    assert "objects" not in found["a"]
    assert found["a"]["ordered"] == {"x": {"y": 2}}


class Evil:
    def __init__(self, how: str, marker: pathlib.Path) -> None:
        self.how, self.marker = how, str(marker)

    def __reduce__(self) -> Any:
        call = f"open({self.marker!r}, 'w').close()"
        return {
            "os.system": (os.system, (f"touch {self.marker}",)),
            "eval": (eval, (call,)),
            "exec": (exec, (call,)),
            "Popen": (subprocess.Popen, (["touch", self.marker],)),
            "getattr": (getattr, (pathlib.Path(self.marker), "touch")),
        }[self.how]


EVILS = ["os.system", "eval", "exec", "Popen", "getattr"]


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("how", EVILS)
def test_a_hostile_file_runs_nothing_and_is_named(
    tmp_path: pathlib.Path, how: str, zipped: bool
) -> None:
    marker = tmp_path / "executed"
    content = {"model": {"w": torch.ones(1)}, "step": 1, "a": {"evil": Evil(how, marker), "x": 1}}
    torch.save(content, tmp_path / "evil.pt", _use_new_zipfile_serialization=zipped)
    try:
        found = import_checkpoint(tmp_path / "evil.pt")
    except UntrustedPickleError:
        pass
    else:
        assert plain(found["model"]) == {"w": [1]}
        assert found["a"] == {"x": 1}
        assert "evil" in found.skipped[0]
    assert not marker.exists()


HOSTILE_FILES = [
    "optimizer.pt",
    "scheduler.pt",
    "scaler.pt",
    "rng_state.pth",
    "training_args.bin",
    "pytorch_model.bin",
    "optimizer.bin",
    "scheduler.bin",
    "sampler.bin",
    "random_states_0.pkl",
    "custom_checkpoint_0.pkl",
    "pickled.pkl",
]


@pytest.mark.parametrize("name", HOSTILE_FILES)
@pytest.mark.parametrize("how", ["os.system", "eval"])
def test_no_file_of_a_folder_runs_anything(tmp_path: pathlib.Path, name: str, how: str) -> None:
    marker, folder = tmp_path / "executed", tmp_path / "folder"
    folder.mkdir()
    own = name.endswith((".pt", ".pth")) or name in ("training_args.bin", "pytorch_model.bin")
    if own:
        (folder / "trainer_state.json").write_text('{"global_step": 1}')
    else:
        torch.save({}, folder / "random_states_0.pkl")
    if name == "pickled.pkl":
        name = "custom_checkpoint_1.pkl"
        (folder / name).write_bytes(pickle.dumps(Evil(how, marker)))
    else:
        torch.save(Evil(how, marker), folder / name)
    try:
        found = import_checkpoint(folder)
    except UntrustedPickleError as error:
        reported = str(error)
    else:
        reported = " ".join(found.skipped)
    assert name in reported
    assert not marker.exists()


WATCHED = """
    import json, os, sys
    from hfl_checkpoint import import_checkpoint

    seen = []

    def watch(event, arguments):
        if event in ("pickle.find_class", "os.system", "subprocess.Popen", "exec_of_file"):
            seen.append([event, str(arguments)[:80]])

    import_checkpoint(sys.argv[1])  # torch imports parts of itself at the first file
    sys.addaudithook(watch)
    for path in sys.argv[1:]:
        import_checkpoint(path)
    print(json.dumps(seen))
"""


def test_an_audit_hook_sees_no_class_looked_up(
    written: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    torch.save(
        {"a": {"evil": Evil("eval", tmp_path / "executed")}, "step": 1}, tmp_path / "evil.pt"
    )
    paths = [
        written / "trainer" / "checkpoint-4",
        written / "accelerate",
        written / "accelerate-bin",
        written / "lightning-option.ckpt",
        tmp_path / "evil.pt",
    ]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(WATCHED), *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_what_torch_allows_stays_as_it_was(tmp_path: pathlib.Path) -> None:
    class Mine:
        pass

    before = list(torch.serialization.get_safe_globals())
    torch.serialization.add_safe_globals([Mine])
    try:
        torch.save({"a": {"x": argparse.Namespace()}, "step": 1}, tmp_path / "old.pt")
        import_checkpoint(tmp_path / "old.pt")
        assert set(torch.serialization.get_safe_globals()) == {*before, Mine}
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)
