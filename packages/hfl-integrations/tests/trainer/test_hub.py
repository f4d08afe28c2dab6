"""Publishing, and going on from there on an empty machine: over real HTTP, to a Hub on this machine."""

from __future__ import annotations

import shutil


def test_a_run_goes_on_from_the_hub_on_an_empty_machine(run, tmp_path) -> None:
    common = {
        "options": {"save": "EverySteps(4)", "hub": "ann/run"},
        "args": {"max_steps": 8},
    }
    first = run(directory="run", **common)
    assert first["checkpoints"][-1]["step"] == 8
    shutil.rmtree(str(tmp_path / "run"))
    longer = {**common, "args": {"max_steps": 11}}
    resumed = run(directory="elsewhere", **longer, resume=True)
    assert resumed["steps"] == 3
    shutil.rmtree(str(tmp_path / "elsewhere"))
    again = run(directory="third", **longer, resume="hf://ann/run")
    assert again["steps"] == 0
    assert again["model"] == resumed["model"]


def test_pushing_every_save_gives_way_to_publishing(run, token, tmp_path) -> None:
    report = run(
        directory="run",
        options={"save": "EverySteps(2)", "hub": "ann/published"},
        args={"max_steps": 4, "push_to_hub": True, "hub_model_id": "ann/model", "hub_token": token},
    )
    warnings = [
        text for text in report["messages"] if text.startswith("WARNING: LifecycleCallback")
    ]
    assert len(warnings) == 1
    assert "hub_strategy='every_save' gives way" in warnings[0]
    assert "hub='ann/published' publishes them" in warnings[0]
    assert token not in "".join(report["messages"])
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if token.encode() in path.read_bytes()]
