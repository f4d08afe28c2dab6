"""A run that is killed and resumed ends with the bits of one that was not."""

from __future__ import annotations

import signal
from importlib.metadata import version

import pytest

IS_NEW = int(version("transformers").split(".")[0]) >= 5
GROUPED = {"train_sampling_strategy": "group_by_length"} if IS_NEW else {"group_by_length": True}
EVERY_3 = {"save": "EverySteps(3)", "keep": "KeepLast(2)"}

CASES = {
    "text": ("text", {}),
    "text, accumulation, two workers": (
        "text",
        {"gradient_accumulation_steps": 2, "dataloader_num_workers": 2, "num_train_epochs": 6},
    ),
    "text, persistent workers, evaluation in each epoch": (
        "text",
        {
            "dataloader_num_workers": 1,
            "dataloader_persistent_workers": True,
            "eval_strategy": "epoch",
        },
    ),
    "digits, evaluation at steps": ("digits", {"eval_strategy": "steps", "eval_steps": 3}),
    "adapter": ("adapter", {"gradient_accumulation_steps": 2, "num_train_epochs": 6}),
    # The order is drawn from the global streams when an epoch begins.
    "classifier, grouped by length, persistent workers": (
        "classifier",
        {**GROUPED, "dataloader_num_workers": 1, "dataloader_persistent_workers": True},
    ),
    "classifier, evaluation before the start, bf16": (
        "classifier",
        {"eval_on_start": True, "eval_strategy": "steps", "eval_steps": 4, "bf16": True},
    ),
    "a stream without a length": ("stream", {"max_steps": 17}),
    "translation": ("translation", {"lr_scheduler_type": "cosine", "warmup_steps": 3}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_is_killed_twice_ends_with_the_bits_of_one_that_was_not(run, case) -> None:
    kind, args = CASES[case]
    if kind == "stream" and not IS_NEW:
        pytest.skip("this version refuses it; see test_bad_input")
    rows = 24 if "gradient_accumulation_steps" in args else 26
    common = {"args": args, "rows": rows}
    alone = run(
        kind, output="alone", **common
    )  # no callback of ours: training itself is not changed
    whole = run(kind, directory="whole", options=EVERY_3, **common)
    killed = {"directory": "killed", "options": EVERY_3, "resume": True, "expect": signal.SIGKILL}
    assert run(kind, signal_at=(5, "SIGKILL"), **killed, **common) is None
    assert run(kind, signal_at=(11, "SIGKILL"), **killed, **common) is None
    resumed = run(kind, directory="killed", options=EVERY_3, resume=True, **common)
    assert resumed["steps"] == whole["steps"] - 9  # the last save was at step 9
    for name in ("model", "optimizer", "history"):
        assert resumed[name] == whole[name] == alone[name], name
    assert resumed["counted"] == whole["steps"]


def test_a_save_at_the_end_of_an_epoch_comes_after_the_evaluation_there(run) -> None:
    args = {"eval_strategy": "epoch", "num_train_epochs": 2}
    options = {"save": "EverySteps(7)"}
    whole = run("text", directory="whole", args=args, options=options)
    first = whole["checkpoints"][0]
    assert first["step"] == 7
    assert first["epoch"] == 1
    assert "eval_loss" in first["metrics"]
    run(
        "text",
        directory="killed",
        args=args,
        options=options,
        signal_at=(9, "SIGKILL"),
        expect=signal.SIGKILL,
    )
    resumed = run("text", directory="killed", args=args, options=options, resume=True)
    for name in ("model", "optimizer", "history"):
        assert resumed[name] == whole[name]


def test_a_run_that_is_over_takes_no_further_step(run) -> None:
    args = {"max_steps": 10, "logging_steps": 2}
    whole = run("text", directory="run", args=args, options=EVERY_3)
    again = run("text", directory="run", args=args, options=EVERY_3, resume=True)
    assert again["steps"] == 0
    assert again["step"] == 10
    assert again["model"] == whole["model"]
    assert again["saves"] == []
    longer = run(
        "text", directory="run", args={**args, "max_steps": 12}, options=EVERY_3, resume=True
    )
    assert longer["steps"] == 2
    assert any("number of steps to train was 10 and is 12" in text for text in longer["messages"])


def test_a_damaged_newest_checkpoint_is_set_aside_and_the_run_ends_the_same(run, tmp_path) -> None:
    whole = run("text", directory="run", options=EVERY_3)
    newest = tmp_path / "run" / whole["checkpoints"][-1]["name"] / "model.safetensors"
    newest.chmod(0o644)
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(bytes(content))
    resumed = run("text", directory="run", options=EVERY_3, resume=True)
    assert resumed["model"] == whole["model"]
    assert resumed["steps"] == 3
    assert any("model.safetensors" in text for text in resumed["messages"])
