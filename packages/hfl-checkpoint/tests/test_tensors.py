"""Tensors on disk: every data type, every layout, shared memory once, the same bytes for the same tensors."""

from __future__ import annotations

import itertools
import json
import pathlib
import warnings
from typing import Any, Dict, Mapping

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfl_checkpoint import CheckpointDamagedError, CheckpointManager, UnknownTypeError
from hfl_checkpoint._manifest import ComponentEntry
from hfl_checkpoint._reader import _read
from hfl_checkpoint._tensors import pack, read_tensors, unpack, write_tensors
from hfl_core import Files, new_digest

DTYPES = sorted(
    {
        value
        for value in vars(torch).values()
        if isinstance(value, torch.dtype) and not str(value).startswith("torch.q")
    },
    key=str,
)


def written(path: pathlib.Path, tensors: Mapping[str, torch.Tensor]) -> Dict[str, torch.Tensor]:
    """Write tensors to a file and rebuild them from it."""
    packed = pack(tensors, name="things")
    with Files().create(path) as writer:
        write_tensors(writer, packed.stored, new_digest())
    return unpack(read_tensors(path), packed.layout)


def bits(tensor: torch.Tensor) -> bytes:
    """The elements in order, for types that have no comparison of their own."""
    flat = tensor.contiguous().as_strided((tensor.numel(),), (1,))
    return b"" if flat.numel() == 0 else flat.view(torch.uint8).numpy().tobytes()


def assert_same(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    assert set(found) == set(expected)
    for key, tensor in expected.items():
        assert found[key].dtype == tensor.dtype, key
        assert found[key].shape == tensor.shape, key
        assert bits(found[key]) == bits(tensor), key


def random_of(dtype: torch.dtype, shape: Any) -> torch.Tensor:
    """Random bits of a data type; bool has only two of them."""
    tensor = torch.empty(shape, dtype=dtype)
    if dtype == torch.bool:
        return torch.randint(0, 2, shape, dtype=dtype)
    raw = torch.from_numpy(np.frombuffer(np.random.bytes(tensor.nbytes), np.uint8).copy())
    return raw.view(dtype).reshape(shape) if tensor.numel() else tensor


# What torch itself cannot copy is nothing that a state can hold.
def is_usable(dtype: torch.dtype) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            bits(random_of(dtype, (2,)).clone())
    except (RuntimeError, TypeError):
        return False
    return True


@pytest.mark.filterwarnings("ignore:.*Complex.* support is experimental")
@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if is_usable(dtype)], ids=str)
def test_every_data_type_comes_back_bit_for_bit(
    tmp_path: pathlib.Path, dtype: torch.dtype, background: bool
) -> None:
    state = {
        "pad": torch.ones(1, dtype=torch.uint8),  # shifts what comes after it in the file
        "word": torch.ones(1),
        "double": torch.ones(1, dtype=torch.float64),
        "matrix": random_of(dtype, (3, 5)),
        "scalar": random_of(dtype, (1,)).reshape(()),
        "empty": torch.empty((0, 4), dtype=dtype),
        "slice": random_of(dtype, (4, 6))[:, 1::2],
        "turned": random_of(dtype, (3, 4)).t(),
    }
    with CheckpointManager(tmp_path, background=background) as checkpoints:
        checkpoints.save(1, things=state)

        assert_same(checkpoints.load()["things"], state)


def test_the_data_types_of_training_are_all_there() -> None:
    usable = {str(dtype).split(".")[-1] for dtype in DTYPES if is_usable(dtype)}

    assert usable >= {
        "float64",
        "float32",
        "float16",
        "bfloat16",
        "float8_e4m3fn",
        "float8_e5m2",
        "float8_e4m3fnuz",
        "float8_e5m2fnuz",
        "complex64",
        "complex128",
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
    }


@pytest.mark.parametrize("position", range(3))
def test_complex_numbers_survive_any_position_in_the_file(
    tmp_path: pathlib.Path, position: int
) -> None:
    tensors = {f"a{index}": torch.ones(1, dtype=torch.float64) for index in range(position)}
    tensors.update({f"b{index}": torch.ones(1) for index in range(position)})
    tensors["c64"] = torch.tensor([1 + 2j, 3 - 4j], dtype=torch.complex64)
    tensors["c128"] = torch.tensor([1 + 2j, 3 - 4j], dtype=torch.complex128)

    assert_same(written(tmp_path / "t.safetensors", tensors), tensors)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
        torch.rand(2, 3, 2, 4, 5).to(memory_format=torch.channels_last_3d),
        torch.rand(3, 4).t(),
        torch.rand(2, 3, 4).permute(2, 0, 1),
        torch.rand(3, 1).expand(3, 4),
        torch.rand(()).expand(2, 3),
        torch.rand(4)[::3].unsqueeze(1).expand(2, 2),
        torch.rand(6).unfold(0, 3, 1),
        torch.rand(3, 4, dtype=torch.complex64).t(),
        torch.rand(3, 1, dtype=torch.complex64).expand(3, 2),
        torch.arange(12, dtype=torch.int32).reshape(3, 4).t(),
        torch.ones(3, 4).to(torch.float8_e5m2).t(),
    ],
    ids=lambda tensor: f"{tensor.dtype}-{tuple(tensor.shape)}-{tensor.stride()}",
)
def test_strides_that_say_how_a_tensor_is_used_are_restored(
    tmp_path: pathlib.Path, tensor: torch.Tensor
) -> None:
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, things={"tensor": tensor})
        found = checkpoints.load()["things"]["tensor"]

    assert found.stride() == tensor.stride()
    assert_same({"tensor": found}, {"tensor": tensor})


@pytest.mark.parametrize(
    "view",
    [
        lambda huge: huge[10:20],
        lambda huge: huge[:, 3],
        lambda huge: huge[::100, ::100],
        lambda huge: huge[5, 5],
        lambda huge: huge[0:1].expand(3, 1000),
    ],
)
def test_a_small_view_of_a_huge_storage_is_written_compactly(
    tmp_path: pathlib.Path, view: Any
) -> None:
    huge = torch.rand(1000, 1000)
    with CheckpointManager(tmp_path) as checkpoints:
        pending = checkpoints.save(1, things={"view": view(huge)})

        assert pending.result().size < 60_000
        assert torch.equal(checkpoints.load()["things"]["view"], view(huge))
        held = checkpoints._arenas[0].size
        assert held < 60_000


def test_two_distant_slices_of_a_storage_do_not_write_what_is_between(
    tmp_path: pathlib.Path,
) -> None:
    huge = torch.rand(1_000_000)
    state = {"head": huge[:10], "tail": huge[-10:]}

    assert_same(written(tmp_path / "t.safetensors", state), state)
    assert (tmp_path / "t.safetensors").stat().st_size < 1000


def test_tied_weights_are_written_once_and_come_back_tied(tmp_path: pathlib.Path) -> None:
    weight = torch.rand(100, 10)
    state = {"embed": weight, "head": weight, "flat": weight.view(-1), "row": weight[3]}

    found = written(tmp_path / "t.safetensors", state)

    assert (tmp_path / "t.safetensors").stat().st_size < weight.nbytes + 500
    assert_same(found, state)
    found["embed"].mul_(2)
    assert_same(found, {key: value * 2 for key, value in state.items()})
    assert found["embed"].data_ptr() == found["head"].data_ptr() == found["flat"].data_ptr()


@pytest.mark.parametrize("turn", [lambda t: t.t(), lambda t: t, lambda t: t.permute(1, 0)])
def test_a_tied_tensor_of_any_layout_is_stored_under_its_first_name(
    tmp_path: pathlib.Path, turn: Any
) -> None:
    weight = turn(torch.rand(4, 6))

    found = written(tmp_path / "t.safetensors", {"first": weight, "second": weight})

    assert list(read_tensors(tmp_path / "t.safetensors")) == ["first"]
    assert_same(found, {"first": weight, "second": weight})
    assert found["first"].data_ptr() == found["second"].data_ptr()
    assert found["first"].stride() == found["second"].stride() == weight.stride()


def test_a_transposed_tie_stays_a_transposed_tie(tmp_path: pathlib.Path) -> None:
    weight = torch.rand(4, 6)
    found = written(tmp_path / "t.safetensors", {"encoder": weight, "decoder": weight.t()})

    found["encoder"][1, 2] = 7

    assert found["decoder"][2, 1] == 7
    assert list(read_tensors(tmp_path / "t.safetensors")) == ["encoder"]


def test_overlapping_slices_share_memory_again(tmp_path: pathlib.Path) -> None:
    base = torch.arange(10.0)
    state = {"left": base[0:6], "right": base[4:10], "even": base[::2]}
    found = written(tmp_path / "t.safetensors", state)

    found["left"][4] = -1

    base[4] = -1
    assert_same(found, state)
    assert (tmp_path / "t.safetensors").stat().st_size < 200


def test_shared_memory_is_shared_within_the_whole_state(tmp_path: pathlib.Path) -> None:
    moment = torch.rand(5)
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, things={"a": [moment], "b": {"c": moment[1:3]}})
        found = checkpoints.load()["things"]

    found["a"][0][2] = 9

    assert found["b"]["c"][1] == 9


@pytest.mark.parametrize("background", [False, True])
def test_memory_seen_as_two_data_types_is_refused_by_name(
    tmp_path: pathlib.Path, background: bool
) -> None:
    word = torch.ones(4)
    checkpoints = CheckpointManager(tmp_path / "run", background=background)

    with pytest.raises(UnknownTypeError, match="'word'") as caught:
        checkpoints.save(1, things={"word": word, "raw": word.view(torch.int32)[1:]})

    assert caught.value.path == "things['raw']"
    assert not (tmp_path / "run").exists()
    checkpoints.close()


def test_storages_that_overlap_outside_torch_keep_their_values(tmp_path: pathlib.Path) -> None:
    memory = np.arange(12, dtype=np.float32)
    state = {
        "short": torch.from_numpy(memory[:4]),
        "spread": torch.from_numpy(memory[::3]),
        "tail": torch.from_numpy(memory[2:]),
    }
    try:
        found = written(tmp_path / "t.safetensors", state)
    except UnknownTypeError as error:
        assert "short" in str(error) or "spread" in str(error)  # noqa: PT017  # either is right
    else:
        assert_same(found, state)


def test_the_same_memory_through_numpy_twice_is_tied(tmp_path: pathlib.Path) -> None:
    memory = np.arange(12, dtype=np.float32)
    state = {"part": torch.from_numpy(memory[2:5]), "all": torch.from_numpy(memory)}

    found = written(tmp_path / "t.safetensors", state)

    assert_same(found, state)
    found["all"][2] = 77
    assert found["part"][0] == 77


def test_neighbours_in_memory_are_not_taken_for_one(tmp_path: pathlib.Path) -> None:
    memory = np.arange(8, dtype=np.float32)
    state = {
        "a": torch.from_numpy(memory[:4]),
        "b": torch.from_numpy(memory[4:].view(np.int32)),
    }

    assert_same(written(tmp_path / "t.safetensors", state), state)


def test_identical_tensors_give_identical_bytes_in_any_order(tmp_path: pathlib.Path) -> None:
    tensors = {
        "b": torch.arange(3.0),
        "a": torch.arange(3, dtype=torch.uint8),
        "d": torch.zeros(2, dtype=torch.float64),
        "c": torch.ones(2, 2).t(),
        "e": torch.ones(1, dtype=torch.uint16),
    }
    copies = {key: tensors[key].clone() for key in sorted(tensors)}

    written(tmp_path / "one", tensors)
    written(tmp_path / "two", copies)

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_nothing_volatile_is_in_a_tensor_file(tmp_path: pathlib.Path) -> None:
    model = torch.nn.Linear(3, 2)
    with CheckpointManager(tmp_path) as checkpoints:
        first = checkpoints.save(1, epoch=1, metrics={"loss": 1.0}, model=model).result()
        second = checkpoints.save(7, epoch=2, metrics={"loss": 0.5}, model=model).result()

    for file in ("model.safetensors", "state/model.json"):
        assert (first.path / file).read_bytes() == (second.path / file).read_bytes()


def test_a_file_opens_with_safetensors_alone(tmp_path: pathlib.Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).to(torch.bfloat16)
    with CheckpointManager(tmp_path) as checkpoints:
        path = checkpoints.save(1, model=model).result().path

    found = safetensors.torch.load_file(str(path / "model.safetensors"))

    assert_same(found, dict(model.state_dict()))


def test_a_conjugated_tensor_is_written_as_its_value(tmp_path: pathlib.Path) -> None:
    value = torch.tensor([1 + 2j, 3 + 4j])
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, things={"c": value.conj(), "n": value.conj().imag})
        found = checkpoints.load()["things"]

    assert torch.equal(found["c"], value.conj())
    assert torch.equal(found["n"], -value.imag)


def test_a_background_save_holds_the_values_of_the_call(tmp_path: pathlib.Path) -> None:
    tensor, channels = torch.zeros(3), torch.zeros(1, 2, 2, 2).to(memory_format=torch.channels_last)
    with CheckpointManager(tmp_path) as checkpoints:
        for step in (1, 2, 3):
            tensor += 1
            channels += 1
            checkpoints.save(step, things={"t": tensor, "c": channels, "v": tensor[1:]})
            tensor += 100
            channels += 100
            found = checkpoints.load(step)["things"]
            tensor -= 100
            channels -= 100
            assert_same(found, {"t": tensor, "c": channels, "v": tensor[1:]})


def test_the_memory_of_a_background_save_is_reused_and_given_back(tmp_path: pathlib.Path) -> None:
    checkpoints = CheckpointManager(tmp_path)
    for step in range(4):
        checkpoints.save(step, things={"same": torch.ones(100), f"only{step}": torch.ones(50)})
    checkpoints.wait()

    (arena,) = checkpoints._arenas
    assert 600 <= arena.size < 1000
    checkpoints.close()
    assert arena.size == 0


def test_writing_to_a_loaded_tensor_does_not_reach_the_file(tmp_path: pathlib.Path) -> None:
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, things={"t": torch.ones(3)})
        checkpoints.load()["things"]["t"].fill_(5)

        assert checkpoints.verify().ok
        assert torch.equal(checkpoints.load()["things"]["t"], torch.ones(3))


def test_map_location_copies_the_tensors_to_the_device(tmp_path: pathlib.Path) -> None:
    weight = torch.ones(3)
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, things={"t": weight, "tied": weight})
        found = checkpoints.load(map_location="meta")["things"]

    assert found["t"].device.type == "meta"
    assert found["t"] is found["tied"]


relaxed = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


numbers = itertools.count()


@st.composite
def views(draw: st.DrawFn, size: int) -> tuple:
    """The shape, stride and offset of any view of a storage of a number of elements."""
    dimensions = draw(st.integers(0, 3))
    offset = draw(st.integers(0, size - 1))
    room = size - 1 - offset
    shape, stride = [], []
    for _ in range(dimensions):
        step = draw(st.integers(0, 5))
        length = draw(st.integers(0, 4))
        if length > 1 and (length - 1) * step > room:
            length = 1
        room -= max(length - 1, 0) * step
        shape.append(length)
        stride.append(step)
    return shape, stride, offset


@relaxed
@given(
    st.lists(views(24), min_size=1, max_size=4),
    st.sampled_from([torch.float32, torch.bfloat16, torch.uint16, torch.complex64]),
)
def test_any_views_of_one_storage_come_back_sharing_it(
    tmp_path: pathlib.Path, shapes: Any, dtype: torch.dtype
) -> None:
    base = torch.arange(24).to(torch.float32).to(dtype) if dtype != torch.uint16 else None
    base = torch.arange(24, dtype=torch.int16).view(dtype) if base is None else base
    state = {f"v{index}": base.as_strided(*shape) for index, shape in enumerate(shapes)}
    path = tmp_path / str(next(numbers))

    found = written(path, state)

    assert_same(found, state)
    assert path.stat().st_size < base.nbytes * len(state) + 600
    for left, right in itertools.combinations(state, 2):  # what shared an element does so again
        assert shares(found[left], found[right]) == shares(state[left], state[right])


def shares(left: torch.Tensor, right: torch.Tensor) -> bool:
    return bool(addresses(left) & addresses(right))


def addresses(tensor: torch.Tensor) -> set:
    places = {tensor.data_ptr()} if tensor.numel() else set()
    for length, stride in zip(tensor.shape, tensor.stride()):
        places = {
            place + index * stride * tensor.element_size()
            for place in places
            for index in range(length)
        }
    return places


@pytest.mark.parametrize(
    "layout",
    [
        {"a": {"dtype": "nn"}},
        {"a": {"dtype": "no_such"}},
        {"a": {"dtype": "_dynamo"}},
        {"a": {"dtype": 3}},
        {"a": {"stride": [1, 2, 3]}},
        {"a": {"stride": [-1]}},
        {"a": {"stride": "x"}},
        {"b": {"of": "nowhere"}},
        {"b": {"of": "a", "shape": [2]}},
        {"b": {"of": "a", "shape": [1000], "stride": [1000], "offset": 0}},
        {"b": {"of": "a", "shape": [2], "stride": [1], "offset": -1000}},
        {"b": 5},
        [1],
        None,
    ],
    ids=str,
)
def test_a_layout_that_makes_no_sense_is_damage(tmp_path: pathlib.Path, layout: Any) -> None:
    (tmp_path / "state").mkdir()
    safetensors.torch.save_file({"a": torch.ones(4)}, str(tmp_path / "state/t.safetensors"))
    document = {"state": {"x": {"$": "tensor", "key": "a"}}, "layout": layout}
    (tmp_path / "state/t.json").write_text(json.dumps(document))
    entry = ComponentEntry("mapping", "dict", ("state/t.safetensors", "state/t.json"))

    with pytest.raises(CheckpointDamagedError, match=r"'t'|t:"):
        _read(tmp_path, "t", entry, None)
