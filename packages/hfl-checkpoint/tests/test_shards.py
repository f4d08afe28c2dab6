"""Models in several files, as transformers writes and reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from hfl_checkpoint import CheckpointManager
from hfl_checkpoint._shards import plan_shards
from hfl_checkpoint._sizes import parse_size
from hfl_checkpoint._tensors import pack
from hfl_core import ConfigError

KIB = 1024


class Backbone(torch.nn.Module):
    """Layers of one KiB each; the first ones are frozen."""

    def __init__(self, frozen: int = 2, trainable: int = 1) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(
            torch.nn.Linear(16, 16, bias=False) for _ in range(frozen + trainable)
        )
        for layer in self.layers[:frozen]:
            layer.requires_grad_(False)


def files(path: Path) -> List[str]:
    return sorted(item.relative_to(path).as_posix() for item in path.rglob("*.safetensors*"))


def weight_map(path: Path) -> Dict[str, str]:
    document = json.loads((path / "model.safetensors.index.json").read_text())
    found: Dict[str, str] = document["weight_map"]
    return found


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (1, 1),
        ("7", 7),
        ("5GB", 5_000_000_000),
        ("5gb", 5_000_000_000),
        ("1.5 GB", 1_500_000_000),
        ("200MB", 200_000_000),
        ("10KB", 10_000),
        ("4KiB", 4096),
        ("1GiB", 1 << 30),
        ("2TB", 2 * 10**12),
        ("12B", 12),
    ],
)
def test_sizes_are_read_as_transformers_reads_them(text: Any, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("size", [0, -1, True, None, 1.5, "", "5 elephants", "-5GB", "0GB", "GB"])
def test_what_is_not_a_size_is_refused(tmp_path: Path, size: Any) -> None:
    with pytest.raises(ConfigError, match="is not a size") as caught:
        CheckpointManager(tmp_path / "run", max_shard_size=size)
    assert "max_shard_size=" in caught.value.message
    assert "'5GB'" in str(caught.value.hint)


def test_a_small_model_that_is_trained_as_a_whole_is_one_file(open_manager: Any) -> None:
    found = open_manager().save(1, model=Backbone(frozen=0, trainable=3))
    assert files(found.path) == ["model.safetensors"]


def test_a_frozen_model_is_one_file(open_manager: Any) -> None:
    found = open_manager().save(1, model=Backbone(frozen=3, trainable=0))
    assert files(found.path) == ["model.safetensors"]


def test_frozen_and_trainable_parameters_lie_in_files_of_their_own(open_manager: Any) -> None:
    model = Backbone()
    found = open_manager().save(1, model=model)
    assert files(found.path) == [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    ]
    assert weight_map(found.path) == {
        "layers.0.weight": "model-00001-of-00002.safetensors",
        "layers.1.weight": "model-00001-of-00002.safetensors",
        "layers.2.weight": "model-00002-of-00002.safetensors",
    }
    frozen = load_file(found.path / "model-00001-of-00002.safetensors")
    assert list(frozen) == ["layers.0.weight", "layers.1.weight"]
    assert torch.equal(frozen["layers.1.weight"], model.layers[1].weight)


def test_the_index_tells_the_size_of_all_tensors(open_manager: Any) -> None:
    found = open_manager().save(1, model=Backbone())
    document = json.loads((found.path / "model.safetensors.index.json").read_text())
    assert document["metadata"] == {"total_size": 3 * KIB}


def test_what_is_larger_than_the_limit_is_spread_over_files(open_manager: Any) -> None:
    model = Backbone(frozen=3, trainable=4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for parameter in model.parameters():
        optimizer.state[parameter]["momentum_buffer"] = torch.ones_like(parameter)
    table = {"a": torch.zeros(200), "b": torch.ones(200), "c": torch.ones(200)}
    manager = open_manager(max_shard_size="2KiB")
    found = manager.save(1, model=model, optimizer=optimizer, table=table)
    assert files(found.path) == [
        "model-00001-of-00004.safetensors",
        "model-00002-of-00004.safetensors",
        "model-00003-of-00004.safetensors",
        "model-00004-of-00004.safetensors",
        "model.safetensors.index.json",
        "state/optimizer-00001-of-00004.safetensors",
        "state/optimizer-00002-of-00004.safetensors",
        "state/optimizer-00003-of-00004.safetensors",
        "state/optimizer-00004-of-00004.safetensors",
        "state/table-00001-of-00002.safetensors",
        "state/table-00002-of-00002.safetensors",
    ]
    assert manager.verify().ok
    other, filled = Backbone(frozen=3, trainable=4), {"a": torch.ones(200)}
    again = torch.optim.SGD(other.parameters(), lr=0.5, momentum=0.9)
    open_manager().restore(model=other, optimizer=again, table=filled)
    assert all(map(torch.equal, other.state_dict().values(), model.state_dict().values()))
    assert all(torch.equal(filled[key], table[key]) for key in table)
    for parameter in other.parameters():
        assert torch.equal(again.state[parameter]["momentum_buffer"], torch.ones(16, 16))


def test_each_rank_has_shards_of_its_own(open_manager: Any) -> None:
    class Rng:
        per_rank = True

        def state_dict(self) -> Dict[str, Any]:
            return {"a": torch.zeros(KIB), "b": torch.ones(KIB)}

        def load_state_dict(self, state: Dict[str, Any]) -> None:
            self.state = state

    found = open_manager(max_shard_size=KIB).save(1, rng=Rng())
    assert files(found.path) == [
        "state/rng-00000-00001-of-00002.safetensors",
        "state/rng-00000-00002-of-00002.safetensors",
    ]
    rng = Rng()
    open_manager().restore(rng=rng)
    assert torch.equal(rng.state["b"], torch.ones(KIB))


def test_several_models_each_have_an_index(open_manager: Any) -> None:
    found = open_manager().save(1, model=Backbone(), teacher=Backbone(frozen=1, trainable=1))
    assert "teacher/model.safetensors.index.json" in files(found.path)
    names = json.loads((found.path / "teacher/model.safetensors.index.json").read_text())
    for key, file in names["weight_map"].items():
        assert key in load_file(found.path / "teacher" / file)


def test_a_tied_weight_of_which_one_end_is_trained_is_not_frozen(open_manager: Any) -> None:
    model = torch.nn.Module()
    model.encoder = torch.nn.Linear(4, 4, bias=False)
    model.decoder = torch.nn.Linear(4, 4, bias=False)
    model.other = torch.nn.Linear(4, 4, bias=False).requires_grad_(False)
    model.encoder.requires_grad_(False)
    # Two parameters, one memory: training the decoder changes the encoder.
    model.decoder.weight = torch.nn.Parameter(model.encoder.weight.data)
    found = open_manager().save(1, model=model)
    assert weight_map(found.path) == {
        "other.weight": "model-00001-of-00002.safetensors",
        "encoder.weight": "model-00002-of-00002.safetensors",
    }


def test_wrapped_and_escaped_names_are_recognised_as_frozen(open_manager: Any) -> None:
    inner = torch.nn.ModuleDict({"a/b": torch.nn.Linear(2, 2), "c~": torch.nn.Linear(2, 2)})
    inner["a/b"].requires_grad_(False)
    model = torch.nn.Module()
    model._orig_mod = inner
    found = open_manager().save(1, model=model)
    frozen = [key for key, file in weight_map(found.path).items() if "00001" in file]
    assert frozen == ["a~1b.bias", "a~1b.weight"]


def test_identical_tensors_give_identical_names_and_bytes(tmp_path: Path, tree: Any) -> None:
    model = Backbone(frozen=3, trainable=3)
    saved = []
    for name in ("one", "two"):
        manager = CheckpointManager(tmp_path / name, background=False, max_shard_size="2KiB")
        saved.append(tree(manager.save(len(saved), model=model).path))
        manager.close()
    for content in saved:
        content.pop("manifest.json")
        content.pop("metadata.json")
    assert saved[0] == saved[1]
    assert len(saved[0]) == 7


@pytest.mark.parametrize(("file", "tensor"), [(1, "layers.0.weight"), (2, "layers.2.weight")])
def test_damage_is_named_by_file_and_tensor(open_manager: Any, file: int, tensor: str) -> None:
    manager = open_manager()
    found = manager.save(1, model=Backbone())
    path = found.path / f"model-0000{file}-of-00002.safetensors"
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[-1025 if file == 1 else -1] ^= 1
    path.write_bytes(bytes(data))
    (problem,) = manager.verify().problems
    assert (problem.file, problem.tensor) == (path.name, tensor)


def test_a_missing_shard_is_damage(open_manager: Any) -> None:
    manager = open_manager()
    found = manager.save(1, model=Backbone())
    (found.path / "model-00002-of-00002.safetensors").unlink()
    (problem,) = manager.verify(level="quick").problems
    assert problem.file == "model-00002-of-00002.safetensors"


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("limit", ["5GB", "8KB"])
def test_transformers_loads_every_layout(
    open_manager: Any, tmp_path: Path, frozen: bool, limit: str
) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(n_layer=2, n_head=2, n_embd=16, vocab_size=64, n_positions=16)
    model = GPT2LMHeadModel(config)
    if frozen:
        model.transformer.requires_grad_(False)
        model.transformer.h[1].requires_grad_(True)
    found = open_manager(max_shard_size=limit).save(1, model=model)
    assert (found.path / "model.safetensors").exists() == (not frozen and limit == "5GB")
    loaded, info = GPT2LMHeadModel.from_pretrained(found.path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    expected = model.state_dict()
    for key, value in loaded.state_dict().items():
        assert torch.equal(value, expected[key]), key
    assert loaded.lm_head.weight is loaded.transformer.wte.weight
    if (found.path / "model.safetensors.index.json").exists():
        for key, file in weight_map(found.path).items():
            assert torch.equal(load_file(found.path / file)[key], expected[key])


@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=12),
    chance=st.randoms(use_true_random=False),
    limit=st.integers(1, 120),
)
@settings(max_examples=60, deadline=None)
def test_every_tensor_is_in_one_file_and_only_large_ones_break_the_limit(
    sizes: List[int], chance: Any, limit: int
) -> None:
    tensors = {f"t{index}": torch.zeros(size) for index, size in enumerate(sizes)}
    frozen = {key for key in tensors if chance.random() < 0.5}
    packed = pack(tensors, name="model")
    shards = plan_shards(packed, frozen, stem="model", suffix=".safetensors", max_size=limit)
    assert sorted(key for shard in shards for key in shard.keys) == sorted(tensors)
    assert len({shard.path for shard in shards}) == len(shards)
    for shard in shards:
        assert shard.keys
        assert {key in frozen for key in shard.keys} == {shard.is_frozen}
        filled = [tensors[key].nbytes for key in shard.keys if tensors[key].nbytes]
        assert sum(filled) <= limit or len(filled) == 1
    assert (len(shards) == 1) == (shards[0].path == "model.safetensors")
