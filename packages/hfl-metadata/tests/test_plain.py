"""Conversion to plain JSON values, and the names of what does not fit."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import json
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import torch

from hfl_metadata import Omission
from hfl_metadata._plain import Plain


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Options:
    lr: float
    path: Path


Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (0.5, 0.5),
        ("text", "text"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Path("a/b"), "a/b"),
        (dt.date(2024, 5, 1), "2024-05-01"),
        (Options(lr=0.1, path=Path("x")), {"lr": 0.1, "path": "x"}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (Point(1, 2), {"x": 1, "y": 2}),
        ((1, [2, (3,)]), [1, [2, [3]]]),
        ({"b", "a"}, ["a", "b"]),
        ({1: "one"}, {"1": "one"}),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.array(2), 2),
        (torch.bfloat16, "torch.bfloat16"),
        (torch.device("cpu"), "cpu"),
    ],
)
def test_values_become_plain(value, expected):
    plain = Plain()
    converted = plain.convert(value, "value")
    assert converted == expected
    assert type(converted) is type(expected)
    assert plain.omissions == []
    json.dumps(converted, allow_nan=False)


def test_what_does_not_fit_is_named_and_the_rest_is_kept():
    plain = Plain()
    converted = plain.convert({"lr": 0.1, "f": len, "list": [1, object(), 3]}, "hyperparameters")
    assert converted == {"lr": 0.1, "list": [1, None, 3]}
    assert plain.omissions == [
        Omission("hyperparameters.f", "builtin_function_or_method", None),
        Omission("hyperparameters.list[1]", "object", None),
    ]


def test_a_number_that_json_lacks_is_kept_as_text_and_named():
    plain = Plain()
    assert plain.convert([float("inf"), float("nan")], "x") == ["inf", "nan"]
    assert plain.omissions == [Omission("x[0]", "float", "inf"), Omission("x[1]", "float", "nan")]


def test_a_class_is_kept_by_name():
    plain = Plain()
    assert plain.convert(Path, "x").endswith(".Path")
    assert [omission.path for omission in plain.omissions] == ["x"]


def test_a_tensor_is_not_data_for_a_record():
    plain = Plain()
    assert plain.convert(torch.zeros(3), "x") is None
    assert plain.omissions == [Omission("x", "torch.Tensor", None)]


def test_two_keys_that_json_cannot_tell_apart_are_not_merged_silently():
    plain = Plain()
    assert plain.convert({1: "a", "1": "b"}, "x") == {"1": "a"}
    assert plain.omissions == [Omission("x.1", "str", None)]


def test_a_value_that_contains_itself_ends():
    plain = Plain()
    endless: list = []
    endless.append(endless)
    json.dumps(plain.convert(endless, "x"))
    assert len(plain.omissions) == 1


def test_secrets_and_homes_inside_values_are_removed():
    plain = Plain()
    token = "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ01234567"
    text = json.dumps(
        plain.convert({"a": [token], "password": "hunter2", "base": "/home/alice/x"}, "x")
    )
    assert token not in text
    assert "hunter2" not in text
    assert "alice" not in text
