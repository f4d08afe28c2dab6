"""Single checkpoints by their path, Lightning's own files, and the way back to Lightning alone."""

from __future__ import annotations

import json

import pytest

SCORES = [0.5, 0.3, 0.4]
PLAIN = {"plain": True, "shuffle": False, "scores": SCORES}


def test_a_checkpoint_by_path_is_complete_and_is_replaced_by_the_next(run, tmp_path) -> None:
    first = run(plugin=True, save_to="first", **PLAIN)
    assert (tmp_path / "first" / "run.json").is_file()
    [folder] = (tmp_path / "first").glob("step-*")
    assert (folder / "model.safetensors").is_file()
    assert not list(tmp_path.rglob("*.ckpt"))
    again = run(
        plugin=True, resume="first", save_to="first", **{**PLAIN, "trainer": {"max_epochs": 4}}
    )
    assert again["steps"] == 7
    assert [item.name for item in (tmp_path / "first").glob("step-*")] == ["step-00000028"]
    tested = run(plugin=True, resume="first", test="first", **PLAIN, trainer={"max_epochs": 4})
    assert tested["tested"] == again["model"] != first["model"]


def test_the_plugin_serves_lightnings_own_model_checkpoint(run, tmp_path) -> None:
    stock = {"dirpath": "stock", "monitor": "score", "save_last": True}
    first = run(plugin=True, stock=stock, test="best", **PLAIN)
    names = sorted(path.name for path in (tmp_path / "stock").iterdir())
    assert names == ["epoch=1-step=14.ckpt", "last.ckpt"]
    assert all((tmp_path / "stock" / name / "run.json").is_file() for name in names)
    assert first["tested"] != first["model"]
    on = run(plugin=True, stock=stock, resume="last", **{**PLAIN, "trainer": {"max_epochs": 5}})
    assert on["step"] == 35


def test_the_plugin_refuses_what_it_cannot_do(run, tmp_path) -> None:
    (tmp_path / "taken").write_text("mine")
    found = run(plugin=True, save_to="taken", fails=True, **PLAIN)
    assert found["error"]["type"] == "ConflictError"
    assert (tmp_path / "taken").read_text() == "mine"
    found = run(plugin=True, save_to="s3://bucket/x", fails=True, **PLAIN)
    assert "not on a local file system" in found["error"]["text"]


def test_a_file_of_lightnings_is_resumed_from_and_saving_goes_on_in_our_form(run, tmp_path) -> None:
    run(stock={"dirpath": "stock"}, **PLAIN)
    [file] = (tmp_path / "stock").iterdir()
    on = run(directory="ours", resume=str(file), **{**PLAIN, "trainer": {"max_epochs": 4}})
    assert (on["steps"], on["step"]) == (7, 28)
    assert on["checkpoints"][-1]["step"] == 28


def test_the_last_of_a_model_checkpoint_that_was_there_before_is_found(run) -> None:
    run(stock={"dirpath": "runs", "save_last": True}, **PLAIN)
    on = run(directory="runs", resume="last", **{**PLAIN, "trainer": {"max_epochs": 4}})
    assert on["steps"] == 7


def test_an_exported_file_is_one_of_lightnings_own(run, tmp_path) -> None:
    whole = run(
        directory="ours",
        callback={"monitor": "score", "save_last": True},
        then=[
            "from hfl_integrations.lightning import export_for_lightning, load_lightning_model",
            "export_for_lightning(ours.manager.latest(), 'out/last.ckpt')",
            "report['loaded'] = digest(load_lightning_model(Lit, ours.last_model_path, wanted=wanted).state_dict())",
        ],
        **PLAIN,
    )
    assert whole["loaded"] == whole["model"]
    file = str(tmp_path / "out" / "last.ckpt")
    stock = run(
        stock={"dirpath": "ours", "monitor": "score"},
        resume=file,
        then=[
            f"report['loaded'] = digest(Lit.load_from_checkpoint({file!r}, wanted=wanted).state_dict())"
        ],
        **{**PLAIN, "trainer": {"max_epochs": 4}},
    )
    assert stock["steps"] == 7
    assert stock["loaded"] == whole["model"]
    alone = run(**{**PLAIN, "trainer": {"max_epochs": 4}})
    assert stock["model"] == alone["model"]
    found = run(
        directory="ours",
        resume="last",
        then=[
            "from hfl_integrations.lightning import export_for_lightning",
            f"export_for_lightning(ours.manager.latest(), {file!r})",
        ],
        fails=True,
        **PLAIN,
    )
    assert found["error"]["type"] == "ConflictError"


def test_an_imported_file_of_lightnings_becomes_a_checkpoint(run, tmp_path) -> None:
    from hfl_checkpoint import import_checkpoint

    run(stock={"dirpath": "stock"}, **PLAIN)
    [file] = (tmp_path / "stock").iterdir()
    imported = import_checkpoint(file)
    assert (imported.source, imported.step) == ("lightning", 21)


def test_a_damaged_newest_checkpoint_is_set_aside_and_the_run_ends_the_same(run, tmp_path) -> None:
    settings = {"callback": {"every_n_train_steps": 3, "save_top_k": -1}}
    whole = run(directory="run", **settings)
    newest = tmp_path / "run" / whole["checkpoints"][-1]["name"] / "model.safetensors"
    newest.chmod(0o644)
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(bytes(content))
    resumed = run(directory="run", resume="last", **settings)
    assert resumed["model"] == whole["model"]
    assert resumed["steps"] == 3
    assert "model.safetensors" in str(resumed["messages"])


def test_a_checkpoint_holds_no_pickle_and_loads_with_safetensors(run, tmp_path) -> None:
    from safetensors.torch import load_file

    run(directory="run", **PLAIN)
    [folder] = [path for path in (tmp_path / "run").iterdir() if (path / "manifest.json").is_file()]
    suffixes = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert suffixes == {".json", ".safetensors"}
    assert "net.0.weight" in load_file(folder / "model.safetensors")
    assert json.loads((folder / "manifest.json").read_bytes())["step"] == 21


def test_hooks_that_take_tensors_out_of_a_checkpoint_are_respected(run) -> None:
    settings = {"callback": {"every_n_train_steps": 3, "save_top_k": -1}, "drops": "net.3"}
    first = run(directory="run", **settings)
    again = run(directory="run", resume="last", **{**settings, "trainer": {"max_epochs": 4}})
    assert again["steps"] == 7
    assert first["step"] == 21


@pytest.mark.parametrize("name", ["last", "last.ckpt"])
def test_the_path_of_last_stands_for_the_newest(run, tmp_path, name) -> None:
    run(directory="run", **PLAIN)
    resume = name if name == "last" else str(tmp_path / "run" / name)
    on = run(directory="run", resume=resume, **{**PLAIN, "trainer": {"max_epochs": 4}})
    assert on["steps"] == 7


@pytest.mark.parametrize("patience", [1])
def test_early_stopping_stops_at_the_same_step_and_a_stopped_run_stays_stopped(
    run, patience
) -> None:
    settings = {
        "scores": [0.5, 0.4, 0.45, 0.46, 0.1],
        "patience": patience,
        "callback": {"every_n_train_steps": 4, "save_top_k": -1, "save_last": True},
        "trainer": {"max_epochs": 9},
    }
    whole = run(directory="whole", **settings)
    assert whole["step"] == 21
    import signal

    run(directory="killed", signal_at=(18, "SIGKILL"), expect=signal.SIGKILL, **settings)
    resumed = run(directory="killed", resume="last", **settings)
    assert (resumed["step"], resumed["model"]) == (21, whole["model"])
    again = run(directory="killed", resume="last", **settings)
    assert (again["steps"], again["model"]) == (0, whole["model"])
    assert "early stopping ended this run" in str(again["messages"])
