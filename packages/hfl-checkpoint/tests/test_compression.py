"""Compressed tensors come back bit for bit, and damaged or hostile ones do not come back at all."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hfl_checkpoint import CheckpointManager
from hfl_checkpoint._manifest import MANIFEST, read_manifest
from hfl_checkpoint.errors import (
    CheckpointDamagedError,
    CheckpointError,
    CheckpointNotFoundError,
    UnsupportedFormatError,
)
from hfl_core import ConfigError, MissingExtraError, new_digest

HAS_BLOSC2 = importlib.util.find_spec("blosc2") is not None
needs_blosc2 = pytest.mark.skipif(not HAS_BLOSC2, reason="blosc2 has no wheel for this Python")
LEVELS = ("fast", "small")


def bits(tensor: torch.Tensor) -> bytes:
    flat = tensor.detach().contiguous()
    if flat.is_complex():
        flat = torch.view_as_real(flat)
    return bytes(flat.reshape(-1).view(torch.uint8).numpy().tobytes())


def require_same(one: torch.Tensor, other: torch.Tensor) -> None:
    assert (one.dtype, one.shape, one.stride()) == (other.dtype, other.shape, other.stride())
    assert bits(one) == bits(other)


def weights(count: int = 200_000, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
    return (torch.randn(count, generator=torch.Generator().manual_seed(1)) * 0.02).to(dtype)


@needs_blosc2
@pytest.mark.parametrize("level", LEVELS)
def test_weights_get_smaller_and_come_back_bit_for_bit(open_manager: Any, level: str) -> None:
    state = {"w": weights(), "master": weights(dtype=torch.float32), "step": torch.tensor(3)}
    manager = open_manager(compression=level)
    found = manager.save(1, table=state)
    size = (found.path / "state/table.blosc2").stat().st_size
    assert size < {"fast": 0.86, "small": 0.80}[level] * sum(map(len, map(bits, state.values())))
    loaded = manager.load()["table"]
    for key, value in state.items():
        require_same(loaded[key], value)


@needs_blosc2
def test_the_two_levels_are_faster_and_smaller(open_manager: Any) -> None:
    sizes = {}
    for step, level in enumerate(LEVELS):
        found = open_manager(compression=level).save(step, table={"w": weights()})
        sizes[level] = found.size
    assert sizes["small"] < sizes["fast"]


_DTYPES = [
    torch.float32,
    torch.bfloat16,
    torch.float16,
    torch.float64,
    torch.uint8,
    torch.int8,
    torch.int64,
    torch.bool,
    torch.complex64,
    torch.float8_e4m3fn,
    torch.uint16,
]


@needs_blosc2
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_tensors_come_back_bit_for_bit(data: Any) -> None:
    state: Dict[str, torch.Tensor] = {}
    for index in range(data.draw(st.integers(1, 4))):
        dtype = data.draw(st.sampled_from(_DTYPES))
        shape = data.draw(st.lists(st.integers(0, 7), max_size=3))
        count = int(torch.Size(shape).numel()) * torch.empty((), dtype=dtype).element_size()
        pattern = data.draw(st.binary(min_size=1, max_size=9))
        raw = bytearray((pattern * (count // len(pattern) + 1))[:count])
        if dtype is torch.bool:
            raw = bytearray(byte & 1 for byte in raw)
        tensor = (
            torch.frombuffer(raw, dtype=dtype).reshape(shape)
            if count
            else torch.empty(shape, dtype=dtype)
        )
        state[f"t{index}"] = (
            tensor.transpose(0, -1) if data.draw(st.booleans()) and shape else tensor
        )
    state["tied"] = state["t0"]
    with tempfile.TemporaryDirectory() as folder, CheckpointManager(
        folder, background=False, compression=data.draw(st.sampled_from(LEVELS)), max_shard_size=99
    ) as manager:
        manager.save(1, table=state)
        assert manager.verify().ok
        loaded = manager.load()["table"]
    assert list(loaded) == list(state)
    for key, value in state.items():
        assert (loaded[key].dtype, loaded[key].shape) == (value.dtype, value.shape)
        assert bits(loaded[key]) == bits(value)
    if state["t0"].numel():
        assert loaded["tied"].data_ptr() == loaded["t0"].data_ptr()


@needs_blosc2
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("more", [-1, 0, 1, 4096])
def test_tensors_of_many_pieces_come_back(open_manager: Any, level: str, more: int) -> None:
    count = 2 * (4 << 20) + more
    state = {"t": torch.randint(0, 7, (count,), dtype=torch.uint8)}
    manager = open_manager(compression=level, background=True)
    found = manager.save(1, table=state).result()
    document = json.loads((found.path / "state/table.json").read_text())
    (entry,) = document["compressed"]["state/table.blosc2"]["tensors"]
    assert len(entry["chunks"]) == (2 if more <= 0 else 3)
    assert torch.equal(manager.load()["table"]["t"], state["t"])


@needs_blosc2
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.AdamW(p, amsgrad=True),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: torch.optim.LBFGS(p, max_iter=2),
    ],
)
def test_a_compressed_optimizer_goes_on_with_the_same_bits(
    open_manager: Any, level: str, make: Callable[[Any], torch.optim.Optimizer]
) -> None:
    def train(model: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
        for step in range(steps):
            inputs = torch.full((4, 8), step + 1.0)

            def closure(inputs: torch.Tensor = inputs) -> torch.Tensor:
                optimizer.zero_grad()
                loss: torch.Tensor = model(inputs).square().mean()
                loss.backward()
                return loss

            optimizer.step(closure)

    model = torch.nn.Linear(8, 8)
    optimizer = make(model.parameters())
    train(model, optimizer, 3)
    manager = open_manager(compression={"optimizer": level})
    found = manager.save(3, model=model, optimizer=optimizer)
    assert (found.path / "model.safetensors").exists()
    assert (found.path / "state/optimizer.blosc2").exists()
    other = torch.nn.Linear(8, 8)
    again = make(other.parameters())
    open_manager().restore(model=other, optimizer=again)
    train(model, optimizer, 3)
    train(other, again, 3)
    for one, two in zip(model.parameters(), other.parameters()):
        require_same(one, two)


@needs_blosc2
def test_the_manifest_says_what_is_compressed_and_how(open_manager: Any) -> None:
    model = torch.nn.Linear(4, 4)
    found = open_manager(compression={"table": "small", "other": None}).save(
        1, model=model, table={"t": torch.zeros(1000)}, plain={"t": torch.ones(3)}
    )
    manifest = read_manifest(found.path)
    assert {name: entry.compression for name, entry in manifest.components.items()} == {
        "model": None,
        "table": "small",
        "plain": None,
    }
    (entry,) = (item for item in manifest.files if item.path == "state/table.blosc2")
    assert entry.content_size == 4000
    assert entry.size < 200
    document = json.loads((found.path / MANIFEST).read_text())
    assert document["needs"] == ["blosc2"]
    plain = open_manager().save(2, model=model)
    assert "needs" not in json.loads((plain.path / MANIFEST).read_text())


@needs_blosc2
def test_a_compressed_model_lies_where_no_tool_mistakes_it_for_weights(open_manager: Any) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=4, vocab_size=8))
    model.transformer.requires_grad_(False)
    model.transformer.h.requires_grad_(True)
    manager = open_manager(compression="small", max_shard_size=2000)
    found = manager.save(1, model=model)
    assert not list(found.path.rglob("*.safetensors*"))
    assert len(list((found.path / "state").glob("model-*-of-*.blosc2"))) > 2
    with pytest.raises(OSError, match="no file named"):
        GPT2LMHeadModel.from_pretrained(found.path)
    other = GPT2LMHeadModel(model.config)
    open_manager().restore(model=other)
    assert all(map(torch.equal, other.state_dict().values(), model.state_dict().values()))


@needs_blosc2
def test_the_same_tensors_give_the_same_bytes_whatever_the_threads(tmp_path: Path) -> None:
    state = {"w": weights(3 << 20), "v": torch.zeros(5, 5)}
    found = []
    threads = torch.get_num_threads()
    for count in (1, 3):
        torch.set_num_threads(count)
        with CheckpointManager(tmp_path / str(count), compression="small") as manager:
            path = manager.save(count, table=state).result().path
        found.append([(path / f"state/table.{kind}").read_bytes() for kind in ("blosc2", "json")])
    torch.set_num_threads(threads)
    assert found[0] == found[1]


@needs_blosc2
def test_an_unchanged_compressed_file_is_neither_compressed_nor_written_again(
    open_manager: Any,
) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(4, 4))
    model[0].requires_grad_(False)
    manager = open_manager(compression="small", background=True)
    first = manager.save(1, model=model).result()
    with torch.no_grad():
        model[1].weight.add_(1)
    second = manager.save(2, model=model).result()
    frozen, trained = (f"state/model-0000{n}-of-00002.blosc2" for n in (1, 2))
    assert os.path.samefile(first.path / frozen, second.path / frozen)
    assert not os.path.samefile(first.path / trained, second.path / trained)
    assert manager.verify().ok
    assert torch.equal(manager.load()["model"]["1.weight"], model[1].weight)
    # Another level is another content.
    other = open_manager(compression="fast")
    other.restore(model=model)
    third = other.save(3, model=model)
    assert not os.path.samefile(second.path / frozen, third.path / frozen)
    plain = open_manager()
    plain.restore(model=model)
    fourth = plain.save(4, model=model)
    assert (fourth.path / "model-00001-of-00002.safetensors").exists()
    assert torch.equal(plain.load()["model"]["0.weight"], model[0].weight)


@needs_blosc2
def test_training_runs_on_while_tensors_are_compressed() -> None:
    import blosc2

    from hfl_checkpoint._compression import _Workers

    before = blosc2.set_releasegil(False)
    with _Workers():
        assert blosc2.set_releasegil(True), "the interpreter is not given free"
    assert not blosc2.set_releasegil(before), "another's setting was changed"


@needs_blosc2
def test_what_is_compressed_is_loaded_to_a_device(open_manager: Any) -> None:
    manager = open_manager(compression="fast")
    manager.save(1, table={"w": weights(1000)})
    loaded = manager.load(map_location="cpu")["table"]["w"]
    require_same(loaded, weights(1000))
    loaded[0] = 1  # it is in memory of its own


@pytest.mark.parametrize("level", ["best", 3, True, {"model": "zip"}, ""])
def test_an_unknown_level_is_refused(tmp_path: Path, level: Any) -> None:
    with pytest.raises(ConfigError, match="There is no compression") as caught:
        CheckpointManager(tmp_path / "run", compression=level)
    assert "'fast', 'small' or None" in str(caught.value.hint)
    assert not (tmp_path / "run").exists()


@needs_blosc2
def test_a_level_for_a_component_that_is_not_there_is_mentioned(
    open_manager: Any, caplog: Any
) -> None:
    manager = open_manager(compression={"optimzer": "small"})
    for step in range(3):
        manager.save(step, optimizer={"t": torch.zeros(3)})
    assert caplog.text.count("'optimzer' is to be compressed") == 1


@pytest.mark.parametrize("compression", ["fast", {"model": "small"}])
def test_without_the_library_compression_is_refused_at_once(
    tmp_path: Path, monkeypatch: Any, compression: Any
) -> None:
    monkeypatch.setitem(sys.modules, "blosc2", None)
    with pytest.raises(MissingExtraError) as caught:
        CheckpointManager(tmp_path / "run", compression=compression)
    assert "pip install 'hfl-checkpoint[compression]'" in str(caught.value)
    if sys.version_info < (3, 9):
        assert "for Python 3.9 and newer" in str(caught.value)
    CheckpointManager(tmp_path / "run", compression={"model": None}).close()
    CheckpointManager(tmp_path / "run", compression=None).close()


@needs_blosc2
def test_without_the_library_a_compressed_checkpoint_can_be_verified_and_not_loaded(
    open_manager: Any, monkeypatch: Any, live: Any
) -> None:
    manager = open_manager(compression={"counters": None, "model": "fast", "optimizer": "fast"})
    manager.save(1, **live(1).components)
    monkeypatch.setitem(sys.modules, "blosc2", None)
    assert manager.verify().ok
    assert manager.load(only=["counters"])["counters"]["step"] == 1
    state = live(7)
    with pytest.raises(MissingExtraError, match=r"hfl-checkpoint\[compression\]"):
        open_manager().restore(**state.components)
    assert state.stands_at == 7
    assert [item.step for item in open_manager().checkpoints()] == [
        1
    ], "nothing is set aside for it"


@needs_blosc2
def test_reading_a_run_imports_no_compression(open_manager: Any) -> None:
    found = open_manager(compression="fast").save(1, table={"t": torch.zeros(9)})
    program = (
        "import sys\nfrom hfl_checkpoint._catalog import Catalog\n"
        f"assert Catalog({str(found.path.parent)!r}).verify().ok\n"
        "print(sorted({'torch', 'numpy', 'blosc2'} & {*sys.modules}))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, text=True
    )
    assert answer.stdout.strip() == "[]"


# ---- damage and malice ----------------------------------------------------------------------------


def rewrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)


def forge(
    checkpoint: Path,
    *,
    document: Callable[[Any], Any] = lambda _: None,
    data: Callable[[bytearray], Any] = lambda _: None,
    content_size: Any = None,
) -> None:
    """Change a checkpoint as an attacker would: every digest in it is right afterwards."""
    state, file = checkpoint / "state/table.json", checkpoint / "state/table.blosc2"
    parsed = json.loads(state.read_text())
    document(parsed["compressed"]["state/table.blosc2"])
    rewrite(state, json.dumps(parsed).encode())
    content = bytearray(file.read_bytes())
    data(content)
    rewrite(file, bytes(content))
    manifest = read_manifest(checkpoint)
    entries = []
    for entry in manifest.files:
        raw = (checkpoint / entry.path).read_bytes()
        digest = new_digest()
        digest.update(raw)
        changed = dataclasses.replace(entry, size=len(raw), xxh3=digest.hexdigest())
        if entry.content_size is not None and content_size is not None:
            changed = dataclasses.replace(changed, content_size=content_size)
        entries.append(changed)
    rewrite(checkpoint / MANIFEST, dataclasses.replace(manifest, files=tuple(entries)).to_bytes())


@pytest.fixture
def compressed(open_manager: Any) -> Any:
    return open_manager(compression="fast").save(
        1, table={"first": weights(3000), "second": torch.arange(5000)}
    )


@needs_blosc2
@pytest.mark.parametrize(("at", "tensor"), [(-1, "first"), (0, "second"), (60, "second")])
def test_verify_names_the_damaged_tensor(
    open_manager: Any, compressed: Any, at: int, tensor: str
) -> None:
    path = compressed.path / "state/table.blosc2"
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    rewrite(path, bytes(data))
    (problem,) = open_manager().verify().problems
    assert (problem.file, problem.tensor) == ("state/table.blosc2", tensor)
    with pytest.raises(CheckpointDamagedError, match=f"tensor '{tensor}'"):
        open_manager().load()


@needs_blosc2
def test_a_damaged_compressed_checkpoint_is_set_aside(open_manager: Any, compressed: Any) -> None:
    manager = open_manager(compression="fast")
    manager.restore(table={})
    second = manager.save(2, table={"first": weights(3000) + 1})
    path = second.path / "state/table.blosc2"
    rewrite(path, path.read_bytes()[:-1])
    state: Dict[str, Any] = {}
    report = open_manager().restore(table=state)
    assert report.quarantined == ("step-00000002",)
    require_same(state["first"], weights(3000))


def _flip(data: bytearray) -> None:
    data[-3] ^= 0xFF


def _other_size(data: bytearray) -> None:
    data[4:8] = (2**31 - 1).to_bytes(4, "little")  # of the first chunk when it is decompressed


def _all_noise(data: bytearray) -> None:
    data[32:] = bytes(index * 7 % 251 for index in range(len(data) - 32))


@needs_blosc2
@pytest.mark.parametrize("attack", [_flip, _other_size, _all_noise])
def test_chunks_that_are_not_what_was_written_are_damage_that_names_the_tensor(
    open_manager: Any, compressed: Any, attack: Callable[[bytearray], Any]
) -> None:
    forge(compressed.path, data=attack)
    assert open_manager().verify().ok, "only decompressing it tells"
    with pytest.raises(CheckpointDamagedError, match=r"tensor '(first|second)'.*decompressed"):
        open_manager().load()


@needs_blosc2
@pytest.mark.parametrize("attack", [lambda data: data.clear(), lambda data: data.extend(b"more")])
def test_a_file_of_another_size_than_its_chunks_is_damage(
    open_manager: Any, compressed: Any, attack: Callable[[bytearray], Any]
) -> None:
    forge(compressed.path, data=attack)
    with pytest.raises(CheckpointDamagedError, match="another size than its chunks"):
        open_manager().load()


def _tensor(**changes: Any) -> Callable[[Any], None]:
    return lambda packing: packing["tensors"][0].update(changes)


_LIES: List[Callable[[Any], None]] = [
    _tensor(shape=[1 << 40]),
    _tensor(shape=[-5000]),
    _tensor(shape=["x"]),
    _tensor(shape=5000),
    _tensor(dtype="F4096"),
    _tensor(chunks=[]),
    _tensor(chunks=[-1]),
    _tensor(chunks=[1 << 50]),
    _tensor(chunks=[5]),
    _tensor(chunks="many"),
    lambda packing: packing.update(chunk=0),
    lambda packing: packing.update(chunk=8),
    lambda packing: packing.update(method="gzip"),
    lambda packing: packing["tensors"].pop(),
    lambda packing: packing.pop("tensors"),
]


@needs_blosc2
@pytest.mark.parametrize("lie", _LIES)
def test_sizes_that_make_no_sense_are_damage(
    open_manager: Any, compressed: Any, lie: Callable[[Any], None]
) -> None:
    forge(compressed.path, document=lie)
    with pytest.raises(CheckpointDamagedError):
        open_manager().load()


@needs_blosc2
def test_a_bomb_is_refused_before_memory_is_taken(open_manager: Any, compressed: Any) -> None:
    size = (1 << 50) * 8 + 6000

    def swell(packing: Any) -> None:
        packing["tensors"][0]["shape"] = [1 << 50]

    forge(compressed.path, document=swell, content_size=size)
    with pytest.raises(CheckpointError, match="bytes of memory are available") as caught:
        open_manager().load()
    assert f"{size:,} bytes when it is decompressed" in caught.value.message


def test_a_feature_of_a_newer_version_is_refused_and_not_misread(open_manager: Any) -> None:
    manager = open_manager()
    found = manager.save(1, table={"t": torch.zeros(3)})
    document = json.loads((found.path / MANIFEST).read_text())
    document.pop("self_digest")
    from hfl_checkpoint import _canonical

    rewrite(found.path / MANIFEST, _canonical.dump({**document, "needs": ["holograms"]}))
    with pytest.raises(UnsupportedFormatError, match="needs 'holograms', which this version") as it:
        open_manager().restore(table={})
    assert it.value.needs == ("holograms",)
    assert "Upgrade" in str(it.value.hint)
    with pytest.raises((UnsupportedFormatError, CheckpointNotFoundError)):
        open_manager().load(1)
    assert found.path.exists()
