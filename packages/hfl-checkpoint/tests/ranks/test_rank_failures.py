"""What goes wrong on one process is raised on all, and nothing is committed or changed."""

from __future__ import annotations

import os
import signal
import time
import warnings
from pathlib import Path
from typing import Any, List

import psutil
import pytest

from hfl_checkpoint import CheckpointManager, EverySteps, RankLostError
from hfl_core import ConfigError, HflError

MEBIBYTE = 1 << 20


def wait_for(path: Path) -> str:
    while not path.exists() or not path.read_text():
        time.sleep(0.005)
    return path.read_text()


def tell(path: Path, text: str) -> None:
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").replace(path)


def test_a_rank_that_is_killed_during_a_save_stops_the_commit(
    ranks: Any, training: Any, opened: Any, visible: Any, tmp_path: Path
) -> None:
    pid, begun = tmp_path / "pid", tmp_path / "begun"

    def until_it_is_dead(operation: str, path: Path) -> None:
        if operation == "create" and path.name == "model.safetensors" and begun.exists():
            tell(begun, "die")
            other = psutil.Process(int(wait_for(pid)))
            while other.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.005)

    def work(rank: int) -> Any:
        state = training(rank)
        with opened(observer=until_it_is_dead if rank == 0 else None) as manager:
            state.advance()
            manager.save(1, **state.components()).result()
            state.advance()
            if rank == 1:
                tell(pid, str(os.getpid()))
            begun.touch()
            pending = manager.save(2, **state.components())
            if rank == 1:
                wait_for(begun)
                os.kill(os.getpid(), signal.SIGKILL)
            with pytest.raises(RankLostError, match="another one has ended"):
                pending.result()
            with pytest.raises(RankLostError):
                manager.save(3, **state.components())
            return visible()

    assert ranks.run(work) == [["step-00000001"], None]

    def resume(rank: int) -> Any:
        state = training(rank)
        with opened() as manager:
            report = manager.resume(state)
            return report.checkpoint.step, state.step, state.stream.drawn

    assert ranks.run(resume) == [(1, 1, 2)] * 2


@pytest.mark.parametrize("count", [2, 4])
def test_when_rank_0_is_killed_during_a_save_the_others_hear_of_it(
    ranks: Any, training: Any, opened: Any, visible: Any, count: int
) -> None:
    def die(operation: str, path: Path) -> None:
        if operation == "write" and path.name == "model.safetensors":
            os.kill(os.getpid(), signal.SIGKILL)

    def work(rank: int) -> Any:
        state = training(rank)
        state.advance()
        with opened(observer=die if rank == 0 else None) as manager:
            pending = manager.save(1, **state.components())
            try:
                pending.result()
            except RankLostError as error:
                return error.exit_code
        return None

    assert ranks.run(work, count) == [None, *[7] * (count - 1)]
    assert visible() != []
    assert "step-00000001" not in visible(), "staged, and not committed"

    def save(rank: int) -> Any:
        state = training(rank)
        with opened() as manager:
            assert manager.resume(state) is None
            state.advance()
            manager.save(1, **state.components()).result()
            return visible()

    assert ranks.run(save, count) == [["step-00000001"]] * count, "what it left was swept"


def test_a_rank_that_never_comes_is_waited_for_no_longer_than_the_group_s_timeout(
    ranks: Any, training: Any, opened: Any, tmp_path: Path
) -> None:
    done = tmp_path / "done"

    def work(rank: int) -> Any:
        state = training(rank)
        with opened() as manager:
            manager.save(1, **state.components()).result()
            if rank == 1:
                wait_for(done)
                return None
            try:
                manager.save(2, **state.components())
            except RankLostError as error:
                return error.seconds
            finally:
                tell(done, "done")

    assert ranks.run(work, seconds=2.0) == [2.0, None]


def test_a_rank_that_ends_with_an_error_of_its_own_leaves_nobody_waiting(
    ranks: Any, training: Any, opened: Any
) -> None:
    def work(rank: int) -> Any:
        state = training(rank)
        try:
            with opened() as manager:
                manager.save(1, **state.components())
                if rank == 1:
                    rank / 0
                manager.save(2, **state.components())
        except (ZeroDivisionError, RankLostError) as error:
            return type(error).__name__, [item.step for item in manager.checkpoints()]

    assert ranks.run(work) == [("RankLostError", [1]), ("ZeroDivisionError", [1])]


def test_a_write_that_takes_longer_than_the_timeout_is_no_failure(
    ranks: Any, training: Any, opened: Any
) -> None:
    def slowly(operation: str, path: Path) -> None:
        if operation == "create" and path.name == "model.safetensors":
            time.sleep(1.5)

    def work(rank: int) -> Any:
        state = training(rank)
        with opened(observer=slowly if rank == 0 else None) as manager:
            return manager.save(1, **state.components()).result().step

    assert ranks.run(work, seconds=1.0) == [1, 1]


class Unwilling:
    """A state that cannot be read, or is not taken, on one of the ranks."""

    per_rank = True

    def __init__(self, *, reads: bool = True, takes: bool = True) -> None:
        self.reads, self.takes = reads, takes
        self.value: Any = "live"

    def state_dict(self) -> Any:
        if not self.reads:
            raise KeyError("the queue is gone")
        return {"value": self.value}

    def load_state_dict(self, state: Any) -> None:
        if not self.takes:
            raise ValueError("not today")
        self.value = state["value"]


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize("background", [True, False])
def test_a_state_that_cannot_be_read_on_one_rank_fails_the_save_on_all(
    ranks: Any,
    training: Any,
    opened: Any,
    outcome: Any,
    run_path: Path,
    failing: int,
    background: bool,
) -> None:
    def work(rank: int) -> Any:
        state = training(rank)
        queue = Unwilling(reads=rank != failing)
        with opened(background=background) as manager:
            first = outcome(manager.save, 1, queue=queue, **state.components())
            nothing = not run_path.exists()
            queue.reads = True
            manager.save(1, queue=queue, **state.components())
            manager.wait()
            return first["error"], first["text"], nothing, manager.latest().step

    first, second = ranks.run(work)
    assert first == second
    assert first[0] == "RankFailedError"
    assert f"On rank {failing}: KeyError('the queue is gone')." in first[1]
    assert first[2:] == (True, 1)


def test_a_full_disk_is_the_same_error_on_all_ranks(
    ranks: Any, training: Any, opened: Any, outcome: Any, small_disk: Any
) -> None:
    import torch

    run = small_disk(8) / "run"

    def work(rank: int) -> Any:
        state = training(rank)
        with opened(run) as manager:
            manager.save(1, **state.components()).result()
            large = torch.nn.Linear(1, 9 * MEBIBYTE // 8)
            failed = outcome(manager.save(2, large=large, **state.components()).result)
            again = outcome(manager.wait)
            manager.save(3, **state.components()).result()
            return (
                failed["error"],
                failed["required"],
                failed["hint"],
                again["error"],
                [item.step for item in manager.checkpoints()],
            )

    first, second = ranks.run(work)
    assert first == second
    assert first[0] == first[3] == "DiskSpaceError"
    assert first[4] == [1, 3]


def test_the_error_of_a_background_save_comes_up_at_the_same_step_on_all_ranks(
    ranks: Any, training: Any, opened: Any
) -> None:
    def fail(operation: str, path: Path) -> None:
        if operation == "create" and path.name == "model.safetensors":
            raise OSError(28, "No space left on device")

    def work(rank: int) -> Any:
        state = training(rank)
        with opened(observer=fail if rank == 0 else None, save=EverySteps(3)) as manager:
            try:
                while state.step < 20:
                    state.advance()
                    manager.step(state)
            except HflError as error:
                return type(error).__name__, state.step

    assert ranks.run(work) == [("DiskSpaceError", 6)] * 2


def test_ranks_that_are_not_at_the_same_point_are_told_so(
    ranks: Any, training: Any, opened: Any, outcome: Any, run_path: Path
) -> None:
    def work(rank: int) -> List[str]:
        state = training(rank)
        components = state.components()
        with opened() as manager:
            steps = outcome(manager.save, 5 + rank, **components)
            if rank == 1:
                components.pop("counters")
            names = outcome(manager.save, 5, **components)
            wrong = outcome(manager.save, 5 if rank == 0 else -1, **components)
            return [item["error"] + " " + item["text"] for item in (steps, names, wrong)]

    first, second = ranks.run(work)
    assert first == second
    assert (
        "ConfigError The processes of this run do not agree on step: it is 5 on rank 0, and 6"
        in first[0]
    )
    assert (
        "on components: it is counters, model, optimizer, stream on rank 0, and model" in first[1]
    )
    assert not run_path.exists()


def test_what_several_processes_cannot_save_is_refused_with_the_reason(
    ranks: Any, training: Any, opened: Any, outcome: Any
) -> None:
    def work(rank: int) -> Any:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

        state = training(rank)
        with opened(when_busy="coalesce") as manager:
            coalesce = outcome(manager.save, 1, **state.components())
        mesh = init_device_mesh("cpu", (2,))
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of random operators, which are not used
            sharded = parallelize_module(torch.nn.Linear(4, 4), mesh, ColwiseParallel())
        with opened() as manager:
            shards = outcome(manager.save, 1, model=sharded)
        return coalesce["text"], shards["text"]

    first, second = ranks.run(work)
    assert first == second
    assert "when_busy='coalesce' is for one process" in first[0]
    assert "'model' is sharded over the processes" in first[1]


def test_one_process_alone_may_coalesce(training: Any, run_path: Path) -> None:
    with CheckpointManager(run_path, when_busy="coalesce") as manager:
        manager.save(1, **training(0).components())
    with pytest.raises(ConfigError):
        manager.save(2, **training(0).components())


# Restoring


def test_a_state_that_does_not_fit_on_one_rank_changes_nothing_on_any(
    ranks: Any, training: Any, opened: Any, outcome: Any
) -> None:
    import torch

    def work(rank: int) -> Any:
        state = training(rank)
        state.advance()
        queue = Unwilling()
        with opened() as manager:
            manager.save(1, queue=queue, **state.components())
            state.advance()
            before = state.bits
            live = state.components()
            if rank == 1:
                live["model"] = torch.nn.Linear(2, 2)
            queue.value = "changed"
            other = outcome(manager.restore, queue=queue, **live)
            untouched = before == state.bits and queue.value == "changed"
            queue.takes = rank == 0
            late = outcome(manager.restore, queue=queue, **state.components())
            untouched = untouched and before == state.bits and queue.value == "changed"
            queue.takes = True
            manager.restore(queue=queue, **state.components())
            return other["error"], other["text"], late["error"], late["text"], untouched, state.step

    first, second = ranks.run(work)
    assert first == second
    assert first[0] == first[2] == "StateMismatchError"
    assert first[1].startswith("On rank 1: The saved 'model' does not fit the live one")
    assert first[3].startswith("On rank 1: The saved 'queue' does not fit the live one: it refuses")
    assert first[4:] == (True, 1)


def test_all_ranks_fall_back_to_the_same_checkpoint_when_the_newest_is_damaged(
    ranks: Any, training: Any, opened: Any, run_path: Path
) -> None:
    def save(rank: int) -> Any:
        state = training(rank)
        with opened() as manager:
            for step in (1, 2):
                state.advance()
                manager.save(step, **state.components())

    ranks.run(save)
    # A file that only rank 1 would read.
    file = run_path / "step-00000002" / "state" / "stream-00001.json"
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b" ")

    def resume(rank: int) -> Any:
        state = training(rank)
        with opened() as manager:
            report = manager.resume(state)
            return report.checkpoint.step, report.quarantined, state.step, state.stream.drawn

    assert ranks.run(resume) == [(1, ("step-00000002",), 1, 2)] * 2


def test_what_rank_0_does_not_find_nobody_finds(
    ranks: Any, training: Any, opened: Any, outcome: Any
) -> None:
    def work(rank: int) -> Any:
        state = training(rank)
        with opened() as manager:
            fresh = manager.resume(state)
            manager.save(1, **state.components())
            missing = outcome(manager.restore, 7, **state.components())
            absent = outcome(manager.load, only=["ema"])
            return fresh, missing["error"], absent["error"], absent["text"]

    first, second = ranks.run(work)
    assert first == second
    assert first[:3] == (None, "CheckpointNotFoundError", "MissingComponentError")
    assert "Checkpoint 'step-00000001' has no 'ema'" in first[3]


class Adaptable:
    """It says itself what it makes of another number of processes."""

    per_rank = True

    def __init__(self, rank: int) -> None:
        self.state: Any = {"of": rank}

    def state_dict(self) -> Any:
        return self.state

    def check(self, saved: Any) -> List[str]:
        return []

    def load_state_dict(self, state: Any) -> None:
        self.state = state


@pytest.mark.parametrize("count", [1, 4])
def test_another_number_of_processes_is_refused_with_both_numbers_and_the_way_out(
    ranks: Any, training: Any, opened: Any, outcome: Any, count: int
) -> None:
    def save(rank: int) -> Any:
        state = training(rank)
        state.advance()
        with opened() as manager:
            manager.save(1, share=Adaptable(rank), **state.components())

    ranks.run(save)

    def resume(rank: int) -> Any:
        state, share = training(rank), Adaptable(rank)
        before = state.bits
        with opened() as manager:
            refused = outcome(manager.resume, state, share=share)
            untouched = before == state.bits
            report = manager.restore(allow_missing={"stream"}, share=share, **state.components())
            state.advance()
            manager.save(2, share=share, **state.components()).result()
            manager.restore(share=share, **state.components())
            return refused, untouched, report.missing, report.restored, share.state, state.step

    for rank, (refused, untouched, missing, restored, share, step) in enumerate(
        ranks.run(resume, count)
    ):
        assert refused["error"] == "WorldSizeError"
        assert (refused["saved"], refused["found"], refused["component"]) == (2, count, "stream")
        assert "it was saved by 2 processes, and there" in refused["text"]
        assert "allow_missing=" in refused["text"]
        assert "on_change='override'" in refused["text"]
        assert untouched
        assert missing == ("stream",)
        assert restored == ("share", "counters", "optimizer", "model")
        assert share == {"of": 0}, f"rank {rank} goes on from what rank 0 had"
        assert step == 2
