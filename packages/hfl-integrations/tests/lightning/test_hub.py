"""Publishing, and going on from there on an empty machine: over real HTTP, to a Hub on this machine."""

from __future__ import annotations

import shutil

SETTINGS = {"plain": True, "shuffle": False, "scores": [0.5, 0.1, 0.3, 0.4]}


def test_a_run_goes_on_from_the_hub_on_an_empty_machine_and_knows_its_best(run, tmp_path) -> None:
    options = {"hub": "ann/lightning", "monitor": "score", "save_last": True}
    close = ["ours.manager.close()"]
    first = run(directory="run", callback=options, then=close, **SETTINGS)
    # The first one stays while it is being published, which a slow machine may still be doing.
    assert [item["step"] for item in first["checkpoints"]][-2:] == [14, 21]
    shutil.rmtree(str(tmp_path / "run"))
    longer = {**SETTINGS, "trainer": {"max_epochs": 4}}
    resumed = run(directory="elsewhere", callback=options, resume="last", then=close, **longer)
    assert (resumed["steps"], resumed["step"]) == (7, 28)
    assert resumed["model"] == run(**longer)["model"]
    assert resumed["best"] == first["best"] == "epoch=1-step=14.ckpt"
    whole = run(**longer)
    done = {**longer, "callback": options, "directory": "elsewhere", "resume": "last"}
    tested = run(test="best", **done)
    assert tested["tested"] != tested["model"]
    shutil.rmtree(str(tmp_path / "elsewhere"))
    again = run(directory="third", callback=options, resume="hf://ann/lightning", **longer)
    assert (again["steps"], again["step"]) == (0, 28)
    assert again["model"] == whole["model"]
