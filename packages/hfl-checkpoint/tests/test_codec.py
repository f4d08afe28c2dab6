"""The codec: every value comes back with its exact type, or is refused by name before anything is written."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime
import enum
import fractions
import json
import math
import pathlib
import sys
import threading
import types
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hfl_checkpoint import (
    CheckpointDamagedError,
    CheckpointManager,
    UnknownTypeError,
    register_codec,
)
from hfl_checkpoint._codec import encode
from hfl_checkpoint._decode import decode

# How long an example takes says nothing here, and the first one pays for imports.
relaxed = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 3


class Access(enum.Flag):
    READ = 1
    WRITE = 2
    EXECUTE = 4


class Holder:
    class Mode(str, enum.Enum):
        TRAIN = "train"


class Point(NamedTuple):
    x: int
    y: int


class Fancy(torch.Tensor):
    pass


# Registered for the whole module: a decoder that is there may be asked with anything.
register_codec(
    fractions.Fraction,
    lambda value: [value.numerator, value.denominator],
    lambda pair: fractions.Fraction(*pair),
)


def through_json(value: Any) -> Any:
    encoded = encode(value)
    tree = json.loads(json.dumps(encoded.tree, allow_nan=False))
    return decode(tree, encoded.tensors)


def assert_same(found: Any, expected: Any) -> None:
    """Equal, of the same type all the way down, NaN equal to NaN and -0.0 not to 0.0."""
    assert type(found) is type(expected)
    for types_, compare in COMPARISONS:
        if isinstance(expected, types_):
            compare(found, expected)
            return
    assert found == expected


def same_float(found: float, expected: float) -> None:
    if math.isnan(expected):
        assert math.isnan(found)
    else:
        assert (found, math.copysign(1, found)) == (expected, math.copysign(1, expected))


def same_complex(found: complex, expected: complex) -> None:
    same_float(found.real, expected.real)
    same_float(found.imag, expected.imag)


def same_tensor(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert torch.equal(found, expected)


def same_array(found: Any, expected: Any) -> None:
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    if expected.dtype == np.longdouble:  # has bytes that mean nothing
        assert np.array_equal(found, expected)
    else:
        assert found.tobytes() == expected.tobytes()


def same_mapping(found: Any, expected: Any) -> None:
    same_sequence(list(found.items()), list(expected.items()))
    if isinstance(expected, collections.defaultdict):
        assert found.default_factory is expected.default_factory


def same_sequence(found: Any, expected: Any) -> None:
    assert len(found) == len(expected)
    for found_item, item in zip(found, expected):
        assert_same(found_item, item)
    if isinstance(expected, collections.deque):
        assert found.maxlen == expected.maxlen


def same_set(found: Any, expected: Any) -> None:
    assert found == expected
    assert sorted(map(str, map(type, found))) == sorted(map(str, map(type, expected)))


COMPARISONS: Any = [
    ((np.ndarray, np.generic), same_array),
    (float, same_float),
    (complex, same_complex),
    (torch.Tensor, same_tensor),
    (dict, same_mapping),
    ((list, tuple, collections.deque), same_sequence),
    ((set, frozenset), same_set),
]


timezones = st.builds(
    datetime.timezone, st.timedeltas(datetime.timedelta(hours=-23), datetime.timedelta(hours=23))
)
any_text = st.text(st.characters(blacklist_categories=()), max_size=8)  # lone surrogates as well
hashables = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**53 - 2).map(lambda value: -value),
    st.floats(allow_nan=False),
    any_text,
    st.just("$"),
    st.binary(max_size=8),
    st.sampled_from([*Colour, *Level, *Access, Access.READ | Access.EXECUTE, Holder.Mode.TRAIN]),
    st.datetimes(timezones=st.none() | timezones),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.sampled_from([torch.float32, torch.bfloat16, torch.complex64, torch.bool]),
    st.sampled_from([torch.device("cpu"), torch.device("cuda", 1), pathlib.Path("a/b.c")]),
)
keys = hashables | st.tuples(hashables, hashables) | st.frozensets(hashables, max_size=2)
leaves = st.one_of(
    hashables,
    st.floats(),
    st.complex_numbers(),
    st.binary(max_size=8).map(bytearray),
    st.builds(range, st.integers(), st.integers(), st.integers(1, 2**60)),
    st.builds(slice, st.none() | st.integers(), st.none() | st.integers(), st.none()),
    st.lists(st.integers(0, 9), max_size=3).map(torch.Size),
    hnp.arrays(
        hnp.scalar_dtypes()
        | hnp.byte_string_dtypes(max_len=4)
        | hnp.unicode_string_dtypes(max_len=4),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    ),
    hnp.scalar_dtypes().flatmap(lambda dtype: hnp.arrays(dtype, 1)).map(lambda array: array[0]),
    st.lists(st.floats(width=32, allow_nan=False), max_size=4).map(torch.tensor),
)
states = st.recursive(
    leaves,
    lambda children: st.one_of(
        st.lists(children, max_size=3),
        st.tuples(children, children),
        st.sets(keys, max_size=3),
        st.frozensets(keys, max_size=3),
        st.dictionaries(any_text, children, max_size=3),
        st.dictionaries(keys, children, max_size=3),
        st.dictionaries(keys, children, max_size=3).map(collections.OrderedDict),
        st.dictionaries(keys, children, max_size=3).map(
            lambda items: collections.defaultdict(list, items)
        ),
        st.lists(children, max_size=3).map(lambda items: collections.deque(items, maxlen=7)),
    ),
    max_leaves=8,
)


@relaxed
@given(states)
def test_any_nested_state_comes_back_with_its_exact_types(state: Any) -> None:
    assert_same(through_json(state), state)


@settings(relaxed, max_examples=15)
@given(st.dictionaries(any_text, st.just(torch.arange(3.0)) | states, max_size=4))
def test_any_nested_state_survives_the_disk(
    tmp_path_factory: pytest.TempPathFactory, state: Any
) -> None:
    checkpoints = CheckpointManager(tmp_path_factory.mktemp("run"), background=False)

    checkpoints.save(1, things=state)

    assert_same(checkpoints.load()["things"], state)


@pytest.mark.parametrize(
    "key",
    ["", "$", "a/b", "~", "~0", "a~memory", "__metadata__", "\ud800", "\x00", "value", 1, (1, "a")],
    ids=repr,
)
def test_tensors_under_any_key_survive_the_disk(tmp_path: pathlib.Path, key: Any) -> None:
    state = {key: torch.arange(3.0), "other": torch.ones(2), "1": torch.zeros(1), "a": [1]}
    checkpoints = CheckpointManager(tmp_path, background=False)

    checkpoints.save(1, things=state)

    assert_same(checkpoints.load()["things"], state)


def test_keys_that_read_alike_keep_their_own_tensors() -> None:
    state = {
        1: torch.tensor(1),
        "1": torch.tensor(2),
        1.5: torch.tensor(3),
        "1.5": torch.tensor(4),
        "a/b": torch.tensor(5),
        "a": {"b": torch.tensor(6)},
        "": torch.tensor(7),
        "value": torch.tensor(8),
    }

    assert_same(through_json(state), state)


STRUCTURED = np.array(
    [(1, [2.0, 3.0], ("x", 4)), (5, [6.0, 7.0], ("y", 8))],
    dtype=[("a", "<i4"), ("b", ">f8", (2,)), ("c", [("name", "<U3"), ("n", "<u2")])],
)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24).reshape(2, 3, 4),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12).reshape(3, 4)[:, ::2],
        np.arange(5)[::-1],
        np.broadcast_to(np.arange(3), (2, 3)),
        np.array(3.5),
        np.array(7, dtype=">i8"),
        np.arange(4, dtype=">f4"),
        np.zeros((0, 3)),
        np.zeros((2, 0), dtype="U5"),
        np.zeros(2, dtype="V3"),
        np.array(["", ""]),
        np.array(["é", "\U0001f600"]),
        np.array([b"a", b"bc"]),
        np.array(["2020-01-01", "NaT"], dtype="datetime64[ns]"),
        np.array([1, 2], dtype="timedelta64[ms]"),
        np.array([True, False]),
        np.array([1 + 2j], dtype=np.complex64),
        np.array([np.nan, -0.0, np.inf], dtype=np.float16),
        np.array([1], dtype=np.longdouble),
        STRUCTURED,
        STRUCTURED[1:],
        np.zeros(2, dtype=np.dtype([("a", "u1"), ("b", "f8")], align=True)),
        np.zeros(2, dtype=np.dtype([(("title", "a"), "f4")])),
    ],
    ids=lambda array: f"{array.dtype.str}-{array.shape}",
)
def test_numpy_arrays_keep_bytes_type_and_order(array: np.ndarray) -> None:
    found = through_json({"array": array})["array"]

    assert_same(found, array)
    assert found.flags.writeable
    assert found.flags.f_contiguous >= array.flags.f_contiguous
    assert not np.shares_memory(found, array)


@pytest.mark.parametrize(
    "scalar",
    [
        np.float64(0.1),
        np.float32(-0.0),
        np.bool_(True),
        np.int8(-1),
        np.uint64(2**64 - 1),
        np.complex128(1 - 2j),
        np.str_("text"),
        np.str_(""),
        np.bytes_(b"raw"),
        np.bytes_(b""),
        np.datetime64("2020-01-01T00:00:00", "ms"),
        np.timedelta64(3, "D"),
        np.longdouble(3),
        STRUCTURED[0],
    ],
    ids=lambda scalar: repr(scalar)[:30],
)
def test_numpy_scalars_stay_scalars_of_their_type(scalar: np.generic) -> None:
    assert_same(through_json([scalar])[0], scalar)


@pytest.mark.parametrize("digits", [16, 400, 5000])
def test_integers_of_any_length_are_exact(digits: int) -> None:
    for value in (10**digits + 7, -(10**digits) - 7):
        assert through_json(value) == value


def test_numbers_are_json_that_other_readers_understand() -> None:
    text = json.dumps(encode([2**53 + 1, math.inf, math.nan, range(2**60)]).tree, allow_nan=False)

    assert all(abs(value) <= 2**53 for value in integers_in(json.loads(text)))


def integers_in(node: Any) -> list[int]:
    if isinstance(node, dict):
        return integers_in(list(node.values()))
    if isinstance(node, list):
        return [value for item in node for value in integers_in(item)]
    return [node] if isinstance(node, int) else []


def test_a_time_zone_keeps_the_instant_and_the_offset() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=45), "Kathmandu")
    moment = datetime.datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=zone)

    found = through_json(moment)

    assert found == moment
    assert found.utcoffset() == moment.utcoffset()


def test_a_combination_of_flags_comes_back() -> None:
    assert through_json(Access.READ | Access.WRITE) is Access.READ | Access.WRITE
    assert through_json(Access(0)) is Access(0)


def test_equal_sets_are_equal_text() -> None:
    words = [f"word{index}" for index in range(50)]

    grown = set()
    for word in sorted(words, reverse=True):  # the order of insertion shows where hashes collide
        grown.add(word)

    assert json.dumps(encode(set(words)).tree) == json.dumps(encode(grown).tree)


def test_a_registered_type_may_hold_tensors_and_registered_types() -> None:
    class Pair:
        def __init__(self, first: Any, second: Any) -> None:
            self.first, self.second = first, second

    register_codec(
        Pair, lambda pair: {"first": pair.first, "second": pair.second}, lambda d: Pair(**d)
    )
    third = fractions.Fraction(1, 3)

    found = through_json({"pair": Pair(torch.arange(2), Pair(third, None))})["pair"]

    assert torch.equal(found.first, torch.arange(2))
    assert found.second.first == third
    assert type(found.second) is Pair


@pytest.mark.parametrize("known", [int, dict, torch.Tensor, Colour, np.ndarray, torch.nn.Parameter])
def test_a_type_that_the_codec_knows_cannot_be_registered(known: type) -> None:
    with pytest.raises(ValueError, match="knows"):
        register_codec(known, lambda value: value, lambda value: value)


def test_a_registered_type_that_is_not_registered_at_load_time_is_named() -> None:
    with pytest.raises(UnknownTypeError, match=r"missing\.Type.*\n*.*") as caught:
        decode({"$": "custom", "type": "missing.Type", "v": 1}, {})

    assert "register_codec" in str(caught.value.hint)


def test_the_place_of_an_unregistered_type_is_named(tmp_path: pathlib.Path) -> None:
    tree = {
        "a": [1, {"$": "dict", "v": [[3, {"$": "tuple", "v": [{"$": "custom", "type": "x.Y"}]}]]}]
    }
    with pytest.raises(
        UnknownTypeError, match=r"^things\['a'\]\[1\]\[3\]\[0\] is a x\.Y that no codec"
    ):
        decode(tree, {}, name="things")
    with pytest.raises(UnknownTypeError, match=r"^things\['e'\] is an enum Z of not\.there"):
        decode({"e": {"$": "enum", "type": "not.there:Z", "v": "A"}}, {}, name="things")


@dataclasses.dataclass(frozen=True)
class Settings:
    rate: float
    weights: Any
    total: int = dataclasses.field(init=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", 1)


@dataclasses.dataclass
class Unregistered:
    x: int = 1


def test_a_dataclass_is_registered_by_itself(tmp_path: pathlib.Path) -> None:
    register_codec(Settings)
    value = Settings(0.5, torch.ones(2))
    object.__setattr__(value, "total", 41)
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, things={"settings": value})
        found = checkpoints.load()["things"]["settings"]

    assert type(found) is Settings
    assert (found.rate, found.total) == (0.5, 41)
    assert torch.equal(found.weights, torch.ones(2))


def test_a_dataclass_that_is_not_registered_says_how() -> None:
    with pytest.raises(UnknownTypeError) as caught:
        encode({"a": Unregistered()})

    assert "register_codec(Unregistered)" in str(caught.value.hint)


def test_half_a_codec_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a function"):
        register_codec(Unregistered, lambda value: value.x)
    with pytest.raises(ValueError, match="only a dataclass"):
        register_codec(threading.Thread)


@pytest.mark.parametrize("kind", ["MT19937", "PCG64", "Philox", "SFC64"])
def test_the_states_of_numpy_generators_go_on_with_the_same_numbers(
    tmp_path: pathlib.Path, kind: str
) -> None:
    generator = np.random.Generator(getattr(np.random, kind)(3))
    generator.random(5)
    other = np.random.Generator(getattr(np.random, kind)(0))
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, random={"numpy": generator.bit_generator.state})
        other.bit_generator.state = checkpoints.load()["random"]["numpy"]

    assert other.random(4).tolist() == generator.random(4).tolist()


def local_enum() -> Any:
    class Local(enum.Enum):
        ONE = 1

    return Local.ONE


def containing_itself() -> list[Any]:
    items: list[Any] = [1]
    items.append({"again": items})
    return items


def nested(depth: int) -> list[Any]:
    items: list[Any] = []
    for _ in range(depth):
        items = [items]
    return items


REFUSED = {
    "lambda": (lambda: (lambda: 0), "function"),
    "module": (lambda: math, "module"),
    "generator": (lambda: (i for i in ()), "generator"),
    "object": (threading.Lock, "lock"),
    "class": (lambda: Colour, "EnumMeta|EnumType"),
    "namedtuple": (lambda: Point(1, 2), "Point"),
    "mapping proxy": (lambda: types.MappingProxyType({}), "mappingproxy"),
    "memoryview": (lambda: memoryview(b""), "memoryview"),
    "object array": (lambda: np.array([None]), "Python objects"),
    "object field": (lambda: np.zeros(1, [("a", "O")]), "Python objects"),
    "overlapping fields": (
        lambda: np.zeros(1, {"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [0, 2]}),
        "no description",
    ),
    "masked array": (lambda: np.ma.masked_array([1], [True]), "MaskedArray"),
    "record array": (lambda: np.rec.array([(1,)], dtype=[("a", "i4")]), "recarray"),
    "tensor subclass": (lambda: torch.ones(1).as_subclass(Fancy), "Fancy"),
    "meta tensor": (lambda: torch.empty(1, device="meta"), "meta"),
    "sparse tensor": (lambda: torch.eye(2).to_sparse(), "sparse"),
    "nested tensor": (
        lambda: torch._nested_tensor_from_tensor_list([torch.ones(1), torch.ones(2)]),
        "nested",
    ),
    "quantised tensor": (
        lambda: torch.quantize_per_tensor(torch.ones(1), 0.1, 0, torch.quint8),
        "layout|quant",
    ),
    "self-containing": (containing_itself, "contains itself"),
    "deep": (lambda: nested(2000), "nested too deeply"),
    "default factory": (lambda: collections.defaultdict(lambda: 0), "factory"),
    "local enum": (local_enum, "Local"),
}
if hasattr(np, "dtypes") and hasattr(np.dtypes, "StringDType"):
    REFUSED["string dtype"] = (lambda: np.array(["a"], np.dtypes.StringDType()), "NumPy")


@pytest.mark.filterwarnings("ignore:.*(nested tensors|Sparse|quantiz|TypedStorage).*")
@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_written_is_named_before_anything_is_written(
    tmp_path: pathlib.Path, kind: str, background: bool
) -> None:
    make, found = REFUSED[kind]
    run = tmp_path / "run"
    state = {"fine": torch.ones(1), "inner": [0, {(1, "a"): make()}]}

    with CheckpointManager(run, background=background) as checkpoints:
        with pytest.raises(UnknownTypeError, match=found) as caught:
            checkpoints.save(1, things=state)

        assert caught.value.path.startswith("things['inner'][1][(1, 'a')]")
        assert not run.exists()
        checkpoints.save(2, fine={"a": 1})
        checkpoints.wait()
        before = sorted(run.rglob("*"))
        with pytest.raises(UnknownTypeError):
            checkpoints.save(3, things=state)
        checkpoints.wait()
        assert sorted(run.rglob("*")) == before


def test_an_open_file_is_refused(tmp_path: pathlib.Path) -> None:
    with (tmp_path / "file").open("w") as file, pytest.raises(UnknownTypeError, match="TextIO"):
        encode({"log": file})


def test_a_state_as_deep_as_it_can_be_written_can_be_read(tmp_path: pathlib.Path) -> None:
    depth = 1
    while True:
        try:
            encode({"a": nested(depth * 2)})
        except UnknownTypeError:
            break
        depth *= 2
    state = {"a": nested(depth // 2)}
    with CheckpointManager(tmp_path) as checkpoints:
        checkpoints.save(1, things=state)
        assert checkpoints.load()["things"] == state


HOSTILE = {
    "unknown tag": {"$": "pickle", "v": ""},
    "unhashable tag": {"$": ["tuple"]},
    "no content": {"$": "tuple"},
    "missing tensor": {"$": "tensor", "key": "nowhere"},
    "bad base64": {"$": "bytes", "v": "###"},
    "unhashable key": {"$": "dict", "v": [[[1], 2]]},
    "odd pair": {"$": "dict", "v": [[1, 2, 3]]},
    "unhashable member": {"$": "set", "v": [[]]},
    "foreign factory": {"$": "defaultdict", "factory": "os.system", "v": []},
    "far timedelta": {"$": "timedelta", "v": [10**12, 0, 0]},
    "long deque": {"$": "deque", "maxlen": 2**70, "v": []},
    "no device": {"$": "torch.device", "v": "nowhere:0"},
    "not a dtype": {"$": "torch.dtype", "v": "nn"},
    "private dtype": {"$": "torch.dtype", "v": "_dynamo"},
    "no scalar": {"$": "npscalar", "dtype": "<f8", "v": ""},
    "long scalar": {"$": "npscalar", "dtype": "<f8", "v": "AAAA" * 8},
    "object scalar": {"$": "npscalar", "dtype": "|O", "v": "AAAAAAAAAAA="},
    "bad descr": {"$": "npscalar", "dtype": "(1", "v": ""},
    "object array": {"$": "ndarray", "dtype": "|O", "shape": [1], "order": "C", "v": "raw"},
    "wrong shape": {"$": "ndarray", "dtype": "|u1", "shape": [3], "order": "C", "v": "raw"},
    "wrong order": {"$": "ndarray", "dtype": "|u1", "shape": [8], "order": "Z", "v": "raw"},
    "no size": {"$": "torch.Size", "v": ["a"]},
    "zero step": {"$": "range", "v": [0, 1, 0]},
    "custom refuses": {"$": "custom", "type": "fractions.Fraction", "v": [1, 0]},
    "no such member": {"$": "enum", "type": f"{__name__}:Colour", "v": "GREEN"},
    "not an enum": {"$": "enum", "type": "subprocess:Popen", "v": "x"},
    "deep": None,  # made in the test: as a parameter it would be part of pytest's own recursion
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_json_is_damage_and_nothing_else(kind: str) -> None:
    tree = HOSTILE[kind]
    if kind == "deep":
        tree = nested(5000)

    with pytest.raises((CheckpointDamagedError, UnknownTypeError)):
        decode({"a": tree}, {"raw": torch.zeros(8, dtype=torch.uint8)})


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | st.sampled_from(["raw", "<f8", "|O", "float32", "C", "QUJD", "int", "os:system"]),
    lambda children: st.lists(children, max_size=3)
    | st.dictionaries(
        st.sampled_from(["$", "v", "key", "type", "dtype", "shape", "order", "factory", "maxlen"]),
        children,
        max_size=5,
    ),
    max_leaves=8,
)
tags = st.sampled_from(
    sorted(
        [
            "int",
            "float",
            "complex",
            "bytes",
            "bytearray",
            "tuple",
            "set",
            "frozenset",
            "dict",
            "OrderedDict",
            "defaultdict",
            "deque",
            "range",
            "slice",
            "path",
            "datetime",
            "date",
            "time",
            "timedelta",
            "ndarray",
            "npscalar",
            "enum",
            "flag",
            "custom",
            "tensor",
            "torch.Size",
            "torch.dtype",
            "torch.device",
        ]
    )
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # NumPy's, for odd type descriptions
@relaxed
@given(tags, json_values, json_values)
def test_fuzzed_json_is_a_state_or_damage(tag: str, node: Any, value: Any) -> None:
    content = {"v": value, **(node if isinstance(node, dict) else {"x": node}), "$": tag}
    raw = {"raw": torch.zeros(8, dtype=torch.uint8)}

    with contextlib.suppress(CheckpointDamagedError, UnknownTypeError):
        decode([content], raw)


@pytest.mark.parametrize(
    "node",
    [
        {"$": "enum", "type": "this:Colour", "v": "RED"},
        {"$": "enum", "type": "lazy_package_for_test:Thing", "v": "RED"},
        {"$": "torch.dtype", "v": "onnx"},
        {"$": "custom", "type": "this.Thing", "v": None},
    ],
    ids=lambda node: node.get("type", node["v"]),
)
def test_a_checkpoint_does_not_decide_what_is_imported(
    node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lazy = types.ModuleType("lazy_package_for_test")
    lazy.__getattr__ = lambda name: pytest.fail(f"{name} was imported lazily")  # type: ignore[method-assign]  # a module, for the test
    monkeypatch.setitem(sys.modules, "lazy_package_for_test", lazy)
    before = set(sys.modules)

    with pytest.raises((CheckpointDamagedError, UnknownTypeError)):
        decode(node, {})

    assert set(sys.modules) == before


def test_a_counter_comes_back_as_one() -> None:
    # The milestones of torch's MultiStepLR are one.
    found = through_json({"milestones": collections.Counter({3: 1, 5: 2})})["milestones"]
    assert type(found) is collections.Counter
    assert found == {3: 1, 5: 2}
    assert found[4] == 0
