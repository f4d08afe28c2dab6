"""Metrics of any kind: recorded as numbers where they are some, and never a reason for a save to fail."""

from __future__ import annotations

import decimal
import fractions
import logging
import math
import pathlib
from typing import Any, Set

import numpy as np
import pytest
import torch

from hfl_checkpoint import CheckpointManager
from hfl_checkpoint._metrics import as_numbers


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1.0),
        (0.5, 0.5),
        (True, 1.0),
        (fractions.Fraction(1, 4), 0.25),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3.0),
        (np.array(0.5), 0.5),
        (np.array([0.5]), 0.5),
        (torch.tensor(0.5), 0.5),
        (torch.tensor([0.5], dtype=torch.bfloat16, requires_grad=True), 0.5),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
    ],
    ids=repr,
)
def test_a_number_of_any_type_is_recorded(value: Any, expected: float) -> None:
    found = as_numbers({"loss": value}, set())["loss"]

    assert type(found) is float
    assert found == expected


class Broken:
    def item(self) -> float:
        raise ArithmeticError("broken")


@pytest.mark.parametrize(
    "value",
    [
        "0.5",
        [0.5],
        {},
        1 + 2j,
        decimal.Decimal("0.5"),
        10**400,
        torch.ones(2),
        np.ones(2),
        torch.tensor(1j),
        torch.empty((), device="meta"),
        Broken(),
        object,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_number_is_left_out_with_one_warning(
    value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    warned: Set[str] = set()
    with caplog.at_level(logging.WARNING, logger="hfl_checkpoint"):
        for _ in range(3):
            assert as_numbers({"odd": value, "loss": 0.5}, warned) == {"loss": 0.5}

    assert [record.getMessage() for record in caplog.records] != []
    assert len(caplog.records) == 1
    assert "'odd'" in caplog.records[0].getMessage()


def test_a_metric_that_was_not_measured_is_left_out_in_silence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert as_numbers({"loss": None}, set()) == {}
    assert not caplog.records


def test_nan_and_infinities_are_recorded_and_mentioned_once(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 1e-300}
    with caplog.at_level(logging.WARNING, logger="hfl_checkpoint"), CheckpointManager(
        tmp_path, background=False
    ) as checkpoints:
        checkpoints.save(1, metrics=metrics, counters={})
        checkpoints.save(2, metrics=metrics, counters={})
        found = checkpoints.latest().metrics  # type: ignore[union-attr]  # there is one

    assert math.isnan(found["a"])
    assert (found["b"], found["c"], found["d"]) == (math.inf, -math.inf, 1e-300)
    assert sum("'a'" in record.getMessage() for record in caplog.records) == 1
    assert not any("'d'" in record.getMessage() for record in caplog.records)


def test_names_that_are_no_text_become_text(tmp_path: pathlib.Path) -> None:
    checkpoints = CheckpointManager(tmp_path, background=False)

    checkpoints.save(1, metrics={1: 0.5, "b": 0.25}, counters={})  # type: ignore[dict-item]  # a careless caller

    assert checkpoints.latest().metrics == {"1": 0.5, "b": 0.25}  # type: ignore[union-attr]  # there is one


@pytest.mark.parametrize(
    "value", ["text", torch.ones(3), Broken(), 10**400], ids=lambda value: type(value).__name__
)
def test_no_metric_makes_a_save_fail(tmp_path: pathlib.Path, value: Any) -> None:
    with CheckpointManager(tmp_path) as checkpoints:
        pending = checkpoints.save(1, metrics={"odd": value, "loss": 1}, counters={})

        assert pending.result().metrics == {"loss": 1.0}  # type: ignore[union-attr]  # there is one
