"""Going on from a Hub on an empty machine: over real HTTP, to one on this machine."""

from __future__ import annotations

import contextlib

from hfl_localhub import LocalHub


def test_an_empty_machine_goes_on_from_the_hub(new_zygote, continues, tmp_path) -> None:
    with LocalHub(tmp_path / "hub") as hub, contextlib.closing(
        new_zygote(hub.settings(hub.create_user("ann")))
    ) as zygote:
        run = zygote.runner(tmp_path)
        common = {"save_at": [4, 8], "epochs": 2}
        whole = run(directory="whole", **common)
        run(directory="here", stop_at=9, options={"hub": "ann/run"}, **common)
        there = run(directory="there", options={"hub": "ann/run"}, **common)
        assert there["loaded"][1] == 8
        continues(there, whole)
