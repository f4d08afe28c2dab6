"""Two processes with DDP: one joint checkpoint, and the same bits after a resume."""

from __future__ import annotations

import signal

import pytest

SETTINGS = {"ranks": 2, "rows": 52, "callback": {"every_n_train_steps": 3, "save_top_k": -1}}
SAME = ("model", "optimizer", "metrics", "logged_step", "step", "epoch", "counted")


@pytest.mark.parametrize(
    "more", [{}, {"joins": True}, {"private_disks": True, "workers": 1}], ids=str
)
def test_two_processes_that_are_killed_end_with_the_bits_of_two_that_were_not(run, more) -> None:
    settings = {**SETTINGS, **more}
    whole = run(directory="whole", **settings)
    assert whole[0]["model"] == whole[1]["model"]
    assert set(whole[0]["ids"]) | set(whole[1]["ids"]) == set(range(52))
    killed = {"directory": "killed", "resume": "last", "expect": signal.SIGKILL, **settings}
    run(signal_at=(5, "SIGKILL"), **killed)
    run(signal_at=(11, "SIGKILL"), **killed)
    resumed = run(directory="killed", resume="last", **settings)
    for rank in (0, 1):
        for name in SAME:
            assert resumed[rank][name] == whole[rank][name], name
        assert resumed[rank]["ids"] == whole[rank]["ids"][-len(resumed[rank]["ids"]) :]
        assert len(resumed[rank]["ids"]) < len(whole[rank]["ids"])


@pytest.mark.parametrize("joins", [False, True])
def test_a_run_whose_rank_0_moved_to_an_empty_machine_does_not_begin_anew(run, joins) -> None:
    settings = {**SETTINGS, "private_disks": True, "joins": joins, "trainer": {"max_steps": 3}}
    run(directory="run", **settings)
    for found in run(directory="run", resume="last", moved=True, fails=True, **settings):
        assert "to begin anew would lose what was trained" in found["error"]["text"]
