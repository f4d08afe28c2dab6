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
            if step == 7:
                repo.create_branch("kept", "checkpoints")
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
        for revision in ("checkpoints", "paper", "kept")
        for file in repo.tree(revision).files.values()
        if file.sha256
    }
    assert {file.sha256 for file in repo.storage().files} == shown
    assert remote.names == ["step-00000019", "step-00000020"]
    assert len(shown) == 2 * 2 + 2 * 2 + 2 * 2  # a model and an optimizer, two of them, three times

    with CheckpointManager(run_path, **options) as manager:  # and the run goes on
        manager.resume(**state.components)
        manager.save(21, **state.move_to(21).components)
    assert remote.names == ["step-00000020", "step-00000021"]
