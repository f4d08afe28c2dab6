"""Hooks, signals, accelerate's own checkpoints, damage, and the Hub."""

from __future__ import annotations

import json
import signal

TWO = {"save_at": [4, 8]}


def test_a_signal_saves_at_the_end_of_the_step_and_the_loop_ends(
    run, uninterrupted, continues
) -> None:
    common = {"due": True, "options": {"save": "EverySteps(6) | OnSignal()"}}
    whole = uninterrupted(**common)
    stopped = run(directory="run", signal_at=(9, "SIGTERM"), **common)
    assert stopped["is_preempted"]
    assert stopped["total"] == 10
    assert [item["reason"] for item in stopped["checkpoints"]] == ["interval", "preemption"]
    resumed = run(directory="run", **common)
    assert not resumed["is_preempted"]
    continues(resumed, whole)


def test_hooks_get_what_accelerate_gives_them(run, uninterrupted, continues) -> None:
    whole = uninterrupted(hooks=True, **TWO)
    assert "model" not in whole["checkpoints"][0]["components"]
    run(directory="run", hooks=True, signal_at=(9, "SIGKILL"), expect=signal.SIGKILL, **TWO)
    resumed = run(directory="run", hooks=True, **TWO)
    assert resumed["note"] == "hello"
    continues(resumed, whole)


def test_a_checkpoint_of_hooks_without_the_hooks_is_refused(run) -> None:
    run(directory="run", hooks=True, **TWO)
    report = run(directory="run", fails=True, **TWO)
    assert report["error"]["type"] == "MissingComponentError"
    assert "'model'" in report["error"]["text"]


def test_nothing_in_a_checkpoint_is_a_pickle(run, tmp_path) -> None:
    run(directory="run", **TWO)
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".json", ".safetensors", ""}
    for path in files:
        assert path.suffix != ".json" or str(tmp_path) not in path.read_text()


def test_what_accelerate_saved_is_gone_on_from(run) -> None:
    first = run(save_stock="stock", epochs=1)
    whole = run(stock="stock", epochs=1, seed=9)
    ours = run(directory="run", load="stock", epochs=1, seed=9, save_epochs=True)
    assert ours["loaded"][0] == "stock"
    assert "hold no data position" in "".join(ours["loaded"][2])
    assert ours["step"] == 14
    assert ours["total"] == whole["total"] == 2 * first["total"]
    assert ours["scheduler"] == whole["scheduler"]
    assert ours["checkpoints"][0]["step"] == 14


def test_what_accelerate_saved_with_other_objects_is_refused(run) -> None:
    run(save_stock="stock", epochs=1, two_models=True)
    report = run(directory="run", load="stock", fails=True)
    assert report["error"]["type"] == "IncompatibleStateError"
    assert "model_1" in report["error"]["text"]


def test_accelerate_loads_what_is_exported(run, tmp_path) -> None:
    ours = run(
        directory="run", epochs=1, save_epochs=True, export="stock", scaler=True, optimizer="SGD"
    )
    alone = run(stock="stock", epochs=0, scaler=True, optimizer="SGD")
    for name in ("model", "optimizer", "scheduler", "scaler", "rng", "total"):
        assert alone[name] == ours[name], name
    report = run(
        directory="run", export="stock", epochs=1, scaler=True, optimizer="SGD", fails=True
    )
    assert report["error"]["type"] == "ConflictError"


def test_an_export_with_hooks_has_their_files(run) -> None:
    ours = run(directory="run", epochs=1, save_epochs=True, export="stock", hooks=True)
    alone = run(stock="stock", epochs=0, hooks=True)
    assert alone["note"] == "hello"
    assert alone["model"] == ours["model"]


def test_accelerates_own_automatic_checkpoints_are_not_forgotten(run, tmp_path) -> None:
    project = {"project_dir": str(tmp_path), "automatic_checkpoint_naming": True}
    run(save_stock="unused", epochs=1, project=project)
    assert (tmp_path / "checkpoints" / "checkpoint_0").is_dir()
    report = run(directory="run", project=project, fails=True)
    assert report["error"]["type"] == "ConfigError"
    assert "checkpoint_0" in report["error"]["hint"]


def test_a_damaged_newest_checkpoint_is_set_aside(run, uninterrupted, continues, tmp_path) -> None:
    whole = uninterrupted(**TWO)
    run(directory="run", stop_at=9, **TWO)
    path = next((tmp_path / "run" / "step-00000008").glob("*.safetensors"))
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    resumed = run(directory="run", **TWO)
    assert resumed["loaded"][1] == 4
    continues(resumed, whole)


def test_a_checkpoint_by_path_name_or_metric_is_found(run, tmp_path) -> None:
    run(directory="run", epochs=2, **TWO)
    for which, step in (("run/step-00000004", 4), ("latest", 8)):
        again = run(directory="run", load=which, epochs=0)
        assert again["loaded"][:2] == [f"step-{step:08d}", step]
    other = run(directory="other", load="run/step-00000004", epochs=1, save_epochs=True)
    assert [item["step"] for item in other["checkpoints"]] == [7]
    (tmp_path / "nothing").mkdir()
    report = run(directory="other", load="nothing", fails=True)
    assert report["error"]["type"] in ("CheckpointNotFoundError", "ConfigError")


def test_random_states_that_cannot_be_restored_are_no_silence(run, tmp_path) -> None:
    run(directory="run", **TWO)
    for step in (4, 8):
        path = tmp_path / "run" / f"step-{step:08d}" / "state" / "rng-00000.json"
        path.chmod(0o600)
        document = path.read_text().replace('"python"', '"snake"')
        path.write_text(document)
        json.loads(document)
    report = run(directory="run", fails=True, **TWO)
    assert report["error"]["type"] == "CheckpointDamagedError"
    assert report["seen"] == []


def test_what_cannot_go_on_within_an_epoch_goes_on_between_two(run) -> None:
    common = {"sampler": "generator", "epochs": 1}
    whole = run(directory="run", save_epochs=True, **common)
    assert any("can be saved between two loops" in text for text in whole["messages"])
    again = run(directory="run", **common)
    assert again["model"] == whole["model"]
    report = run(directory="other", save_at=[2], fails=True, **common)
    assert "is in the middle of an epoch" in report["error"]["text"]
