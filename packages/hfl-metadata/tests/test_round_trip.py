"""What is written comes back, as JSON and as YAML, whatever is in it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import hfl_metadata
from hfl_core import ValidationError
from hfl_metadata import DurationInfo, RunMetadata, capture

RECORDS = Path(__file__).with_name("records")

settings.register_profile("hfl", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hfl")

# Every character that there is, halves of characters included: file names hold them.
TEXT = st.text(st.integers(0, 0x10FFFF).map(chr), max_size=12) | st.sampled_from(
    ["no", "on", "~", "null", "1e5", "1_000", "0o17", "0x1f", "1:30", "2024-01-01", "-", "? ", "a: b", "#",
     "=", "<<", " x ", "x\n y\n\n", "\t", "\x85\u2028", "\x00", "'\"", "&a *b", "!!int 3", ".5", "1.e+3", "+.inf"]
)  # fmt: skip
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    PLAIN | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types: True is no 1, and 1 no 1.0."""
    return repr(one) == repr(other)


@settings(max_examples=60)
@given(st.dictionaries(TEXT, VALUES, max_size=5), VALUES, TEXT)
@example({"\ud83d\ude00": "\ud83d\ude00"}, "\udcff", "x" * 200)
def test_what_is_captured_is_read_back_equal(hyperparameters, data, note):
    captured = capture(hyperparameters=hyperparameters, data=data, note=note)
    metadata = dataclasses.replace(
        captured, packages={"torch": "2.4.0"}, origins={}
    )  # hundreds take time
    text = metadata.to_json()
    assert text.isascii()
    assert same(RunMetadata.from_json(text), metadata)
    written = metadata.to_yaml()
    assert written.isascii()
    assert same(RunMetadata.from_yaml(written), metadata)
    assert same(RunMetadata.from_yaml(written.encode()), metadata)
    assert metadata.diff(RunMetadata.from_yaml(written), everything=True).changes == ()


# Halves that belong together are one character once they went through JSON; capture joins them.
HALVES = st.text(
    st.integers(0, 0x10FFFF).filter(lambda code: not 0xD800 <= code < 0xDC00).map(chr), max_size=8
)
OPTIONAL = st.none() | HALVES
COUNT = st.none() | st.integers()


def facts(kind: Any, **fields: Any) -> st.SearchStrategy[Any]:
    """Fill a part of a record with anything that its fields can hold."""
    found = {}
    for field in dataclasses.fields(kind):
        if field.name in fields:
            found[field.name] = fields[field.name]
            continue
        kind_of = str(field.type)
        found[field.name] = (
            st.dictionaries(HALVES, HALVES, max_size=2) if kind_of == "dict[str, str]"
            else st.dictionaries(HALVES, st.integers(), max_size=2) if kind_of == "dict[str, int]"
            else st.dictionaries(HALVES, PLAIN, max_size=2) if kind_of.startswith("dict[")
            else st.lists(HALVES, max_size=2) if kind_of == "list[str]"
            else st.none() | st.lists(st.integers(), max_size=2) if kind_of.startswith("list[int]")
            else st.booleans() if kind_of.startswith("bool")
            else st.floats(allow_nan=False, allow_infinity=False) if kind_of.startswith("float")
            else COUNT if kind_of.startswith("int")
            else OPTIONAL
        )  # fmt: skip
    return st.builds(kind, **found)


m = hfl_metadata
MANY: Any = lambda kind: st.lists(facts(kind), max_size=2)  # noqa: E731  # a name for a table below
ANY_RECORD = st.builds(
    RunMetadata,
    captured_at=HALVES,
    git=facts(m.GitInfo, submodules=MANY(m.SubmoduleInfo)),
    python=facts(m.PythonInfo),
    packages=st.dictionaries(HALVES, HALVES, max_size=3),
    platform=facts(m.PlatformInfo),
    cpu=facts(m.CpuInfo),
    memory=facts(m.MemoryInfo),
    gpus=MANY(m.GpuInfo),
    command=st.lists(HALVES, max_size=3),
    model=st.none() | facts(m.ModelInfo, modules=MANY(m.ModuleInfo)),
    omissions=MANY(m.Omission),
    origins=st.dictionaries(HALVES, facts(m.PackageOrigin), max_size=2),
    lock_files=MANY(m.LockFileInfo),
    backends=facts(m.BackendInfo),
    launcher=facts(m.LauncherInfo),
    durations=st.none() | facts(m.DurationInfo),
    problems=st.dictionaries(HALVES, HALVES, max_size=2),
)


@settings(max_examples=30)
@given(ANY_RECORD, ANY_RECORD)
def test_any_record_is_read_back_equal_and_compares_with_any_other(one, other):
    assert same(RunMetadata.from_json(one.to_json()), one)
    assert same(RunMetadata.from_yaml(one.to_yaml()), one)
    assert not one.diff(one, everything=True)
    found = one.diff(other, everything=True)
    assert bool(found) is not same(one, other)
    back = other.diff(one, everything=True)
    assert {change.path for change in found} == {change.path for change in back}
    assert str(found)


def test_a_person_s_yaml_is_understood():
    text = capture(hyperparameters={"lr": 0.5, "date": "x"}).to_yaml()
    written = text.replace("lr: 0.5", "lr: 1e-5  # less").replace("date: x", "date: 2024-05-01")
    assert RunMetadata.from_yaml(written).hyperparameters == {"lr": 1e-5, "date": "2024-05-01"}


def test_other_readers_of_yaml_understand_the_same():
    metadata = capture(
        hyperparameters={"a": "1e5", "b": "no", "c": "2024-01-01", "d": "0o7", "e": 1e-7}
    )
    assert yaml.safe_load(metadata.to_yaml()) == json.loads(metadata.to_json())


@pytest.mark.parametrize(
    "text",
    ["{", "a: [1", "\x00", "!!python/object:os.system x", "a: *b", "[" * 1500, b"\xff\xfe\xff"],
)
def test_what_is_no_yaml_is_refused(text):
    with pytest.raises(ValidationError, match="not YAML"):
        RunMetadata.from_yaml(text)


@pytest.mark.parametrize("text", ["", "- 1", "3", "schema: 0", "schema: true", "schema: '2'"])
def test_what_is_yaml_and_no_record_is_refused(text):
    with pytest.raises(ValidationError, match="not the metadata of a run"):
        RunMetadata.from_yaml(text)


def test_json_that_nests_without_end_is_refused():
    with pytest.raises(ValidationError, match="not JSON"):
        RunMetadata.from_json("[" * 100_000)


@pytest.mark.parametrize("write", ["to_json", "to_yaml"])
def test_a_record_that_was_filled_with_what_none_can_hold_is_not_written(write):
    metadata = dataclasses.replace(capture(), durations=DurationInfo(wall=float("nan")))
    with pytest.raises(ValueError, match=r"nan|NaN|JSON"):
        getattr(metadata, write)()


def test_a_record_of_the_first_schema_is_read():
    text = (RECORDS / "schema-1.json").read_text()
    metadata = RunMetadata.from_json(text)
    assert metadata.git.commit == "243b791854ac6e05506f2d3df39f0a4f9e7246e1"
    assert metadata.git.submodules == []
    assert metadata.model.parameters == 23
    assert metadata.model.frozen_parameters is None
    assert metadata.cpu.limit is None
    assert metadata.extra == {"note": "baseline"}
    assert metadata.durations is None
    assert metadata.schema == 2
    assert RunMetadata.from_json(metadata.to_json()) == metadata
    assert "NVIDIA H100 80GB HBM3 80 GiB, driver 550.54" in str(metadata)
    assert {change.path for change in metadata.diff(capture(note="other"))} > {"extra.note"}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("packages", [], "packages is not an object"),
        ("command", "x", "command is not a list"),
        ("captured_at", 7, "captured_at is not a text"),
        ("gpus", {}, "gpus is not a list"),
        ("origins", {"x": 1}, r"origins\.x is missing or not an object"),
        ("git", {"submodules": [1]}, r"git\.submodules\[0\] is missing or not an object"),
        ("launcher", {"details": []}, r"launcher\.details is not an object"),
        ("model", {"type": "x"}, "model lacks parameters, trainable_parameters, bytes, dtypes"),
        ("python", None, "python is missing or not an object"),
    ],
)
def test_a_damaged_record_is_refused_by_the_name_of_the_part(name, value, message):
    values = {**capture().to_dict(), name: value}
    with pytest.raises(ValidationError, match=message):
        RunMetadata.from_dict(values)
