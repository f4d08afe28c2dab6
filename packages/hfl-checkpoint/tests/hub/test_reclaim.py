"""Storage on the Hub: what is retired is freed, and nothing else."""

from __future__ import annotations

import pytest

from hfl_checkpoint import CheckpointManager, KeepLast
from hfl_core import PermissionDeniedError


def test_twenty_pushes_leave_the_objects_of_two_checkpoints_and_of_tagged_ones(
    run_path, name, live, repo, remote
) -> None:
    options = {"hub": name, "hub_keep": KeepLast(2), "keep": KeepLast(2), "hub_wait": 60}
    with CheckpointManager(run_path, **options) as manager:
        state = live()
        for step in range(1, 21):
            manager.save(step, **state.move_to(step).components)
            manager.push()
            if step == 5:
                repo.create_tag("paper", "checkpoints")
        plan = manager.reclaim()
        assert not plan.is_done
        with pytest.raises(PermissionDeniedError):
            manager.reclaim(plan_only=False)
        assert len(repo.storage().files) > 30
        done = manager.reclaim(plan_only=False, confirm=name)
    assert done.is_done
    assert {item.sha256 for item in done.delete} == {item.sha256 for item in plan.delete}
    shown = {
        file.sha256
        for revision in ("checkpoints", "paper")
        for file in repo.tree(revision).files.values()
        if file.sha256
    }
    assert {file.sha256 for file in repo.storage().files} == shown
    assert remote.names == ["step-00000019", "step-00000020"]
    assert len(shown) == 2 * (2 + 2)  # a model and an optimizer; two of them, and two tagged ones

    with CheckpointManager(run_path, **options) as manager:  # and the run goes on
        manager.resume(**state.components)
        manager.save(21, **state.move_to(21).components)
    assert remote.names == ["step-00000020", "step-00000021"]


def test_what_another_branch_has_in_its_history_stays(train, run_path, name, repo, remote) -> None:
    train(1, 2, hub_keep=KeepLast(1))
    repo.create_branch("experiments/b", "checkpoints")
    train(3, hub_keep=KeepLast(1))
    with CheckpointManager(run_path, hub=name, hub_wait=0) as manager:
        done = manager.reclaim(plan_only=False, confirm=name)
    stored = {file.sha256 for file in repo.storage().files}
    for revision in ("checkpoints", "experiments/b"):
        shown = {file.sha256 for file in repo.tree(revision).files.values() if file.sha256}
        assert shown <= stored
    assert done.delete == ()
