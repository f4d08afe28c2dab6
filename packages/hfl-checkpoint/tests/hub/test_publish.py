"""What is published, what is not, and what the Hub holds afterwards."""

from __future__ import annotations

import json
import logging
import os

import pytest
import torch

from hfl_checkpoint import CheckpointManager, KeepAll, KeepBest, KeepLast
from hfl_core import ConfigError, PermissionDeniedError, ValidationError
from hfl_repo import VisibilityMismatchError

from .conftest import pending


def test_the_newest_two_stay_and_what_is_retired_goes_in_the_same_commit(train, remote) -> None:
    train(1, 2, 3, 4, hub_keep=KeepLast(2))
    assert remote.names == ["step-00000003", "step-00000004"]
    listed = [item["name"] for item in remote.latest["checkpoints"]]
    assert listed == remote.names


def test_the_policy_for_the_hub_may_be_a_text(train, remote, run_path, name) -> None:
    train(1, 2, 3, hub_keep="last:1 | every:2")
    assert remote.names == ["step-00000002", "step-00000003"]
    with pytest.raises(ConfigError, match="last:x"):
        CheckpointManager(run_path, hub=name, hub_keep="last:x")


def test_the_best_stays_on_the_hub_whatever_is_newer(train, remote) -> None:
    train(1, 2, 3, hub_keep=KeepLast(1) | KeepBest("loss", mode="max"))
    assert remote.names == ["step-00000001", "step-00000003"]


def test_pinned_ones_are_not_retired(run_path, name, live, remote) -> None:
    with CheckpointManager(run_path, hub=name, hub_keep=KeepLast(1), hub_wait=30) as manager:
        for step in (1, 2, 3):
            manager.save(step, **live(step).components)
            manager.wait()
            if step == 1:
                manager.pin(1, label="first")
    assert remote.names == ["step-00000001", "step-00000003"]
    entry = remote.latest["checkpoints"][0]
    assert (entry["pinned"], entry["labels"]) == (True, ["first"])


def test_what_waits_is_not_deleted_here(hub, train, run_path, queue, remote) -> None:
    train(1, 2, 3, hub_keep=KeepAll(), keep=KeepLast(1), hub_wait=0, broken=503)
    assert pending(queue()) == ["step-00000001", "step-00000002", "step-00000003"]
    assert {path.name for path in run_path.glob("step-*")} == set(pending(queue()))
    hub.faults.clear()
    train(4, hub_keep=KeepAll(), keep=KeepLast(1))
    assert len(remote.names) == 4
    with CheckpointManager(run_path, keep=KeepLast(1)) as manager:
        manager.clean(dry_run=False)
        assert [item.step for item in manager.checkpoints()] == [4]


def test_saves_that_outrun_the_network_are_coalesced_and_said(
    hub, train, queue, remote, name, live, run_path
) -> None:
    train(1, 2, 3, 4, 5, keep=KeepLast(2) | KeepBest("loss", mode="max"), hub_wait=0, broken=503)
    document = queue()
    assert pending(document) == ["step-00000001", "step-00000004", "step-00000005"]
    assert [item["name"] for item in document["skipped"]] == ["step-00000002", "step-00000003"]
    hub.faults.clear()
    with CheckpointManager(run_path, hub=name) as manager:
        report = manager.push()
    assert report.published == ("step-00000001", "step-00000004", "step-00000005")
    assert set(report.skipped) == {"step-00000002", "step-00000003"}
    assert remote.names == ["step-00000001", "step-00000004", "step-00000005"]
    assert remote.titles[-1].count("step-") == 3  # one commit for all


def test_a_checkpoint_that_was_asked_for_goes_there_against_the_policy(
    train, run_path, name, remote
) -> None:
    train(1, 2, 3, hub_keep=KeepLast(1))
    with CheckpointManager(run_path, hub=name, hub_keep=KeepLast(1)) as manager:
        manager.resume(counters={})
        assert manager.push(1).published == ("step-00000001",)
    assert remote.names == ["step-00000001", "step-00000003"]


class Frozen(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.arange(30_000.0), requires_grad=False)


def test_an_equal_file_is_neither_sent_nor_hashed_again(
    hub, run_path, name, remote, tmp_path
) -> None:
    backbone, head = Frozen(), torch.nn.Linear(2, 2)
    with CheckpointManager(run_path, hub=name, hub_wait=30) as manager:
        manager.save(1, backbone=backbone, head=head)
        manager.wait()
        first = manager.push()
        assert first.bytes_sent == 0 or first.published  # the worker or the push sent it
        hub.requests.clear()
        torch.nn.init.ones_(head.weight)
        manager.save(2, backbone=backbone, head=head)
        report = manager.push()
    size = (run_path / "step-00000002" / "head" / "model.safetensors").stat().st_size
    sent = hub.requests.bytes_in("PUT", "*/_lfs/*")
    assert sent == size
    assert remote.names == ["step-00000001", "step-00000002"]
    if report.published:  # it was this call that published it
        assert report.bytes_hashed < 120_000
        assert report.bytes_copied >= 120_000


def test_two_runs_on_one_branch_do_not_touch_each_other(
    train, remote, tmp_path, name, live
) -> None:
    train(1, 2, directory=tmp_path / "a", hub_keep=KeepLast(1))
    with CheckpointManager(tmp_path / "b", hub=name, hub_keep=KeepLast(1), hub_wait=30) as other:
        run_id = None
        for step in (1, 2):
            run_id = other.save(step, **live(step).components).result().run_id
            other.push()
    assert remote.names == ["step-00000002", f"step-00000002-{run_id[:6]}"]
    assert remote.latest["latest"] == f"step-00000002-{run_id[:6]}"


def test_the_repository_is_private_and_the_branch_begins_empty(train, repo, remote) -> None:
    repo.create(private=True)
    repo.commit({"weights.bin": bytes(1000)}, message="People's own")
    train(1)
    assert repo.info().is_private
    assert "weights.bin" not in remote.files
    assert "weights.bin" in repo.tree().files


def test_a_public_repository_where_private_was_meant_gets_nothing(
    hub, train, repo, queue, caplog
) -> None:
    repo.create(private=False)
    hub.requests.clear()
    train(1)
    assert pending(queue()) == ["step-00000001"]
    assert "public" in caplog.text
    assert [r for r in hub.requests if r.method not in ("GET", "HEAD")] == []
    assert [branch.name for branch in repo.list_branches()] == ["main"]


def test_pushing_says_what_is_wrong_with_the_place(run_path, repo, name, live) -> None:
    repo.create(private=False)
    with CheckpointManager(run_path, hub=name, hub_wait=0) as manager:
        manager.save(1, **live(1).components)
        with pytest.raises(VisibilityMismatchError):
            manager.push()
    with CheckpointManager(run_path, hub=name, hub_private=None, hub_wait=0) as manager:
        assert manager.push().published == ("step-00000001",)


def test_a_token_for_reading_changes_nothing(hub, run_path, name, live, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.create_user("ann", role="read"))
    hub.requests.clear()
    with CheckpointManager(run_path, hub=name, hub_wait=0) as manager:
        manager.save(1, **live(1).components)
        with pytest.raises(PermissionDeniedError, match="reading only"):
            manager.push()
    assert [r for r in hub.requests if r.method not in ("GET", "HEAD")] == []


def test_a_name_that_is_none_is_refused_at_once(run_path) -> None:
    with pytest.raises(ValidationError):
        CheckpointManager(run_path, hub="datasets/ann/run")
    with pytest.raises(ConfigError, match="hub_keep"):
        CheckpointManager(run_path, hub="ann/run", hub_keep=KeepLast)  # type: ignore[arg-type]  # refused when it runs
    with pytest.raises(ConfigError, match="no repository"):
        CheckpointManager(run_path, hub_keep=KeepLast(1))
    with pytest.raises(ConfigError, match="hub_wait"):
        CheckpointManager(run_path, hub="ann/run", hub_wait=-1)
    with pytest.raises(ConfigError, match="branch"):
        CheckpointManager(run_path, hub="ann/run", revision="")
    with pytest.raises(ConfigError, match="without a repository"):
        CheckpointManager(run_path).push()
    assert not run_path.exists()


def test_a_secret_stays_here_and_does_not_hold_up_the_others(
    run_path, name, queue, remote, caplog
) -> None:
    secret = "hf_" + "A1b2C3d4" * 4 + "xy"
    with CheckpointManager(run_path, hub=name, hub_wait=30) as manager:
        manager.save(1, notes={"password": secret})
        manager.wait()
        manager.save(2, notes={"password": None})
        manager.wait()
    assert remote.names == ["step-00000002"]
    refused = [item for item in queue()["pending"] if item["refused"]]
    assert [item["name"] for item in refused] == ["step-00000001"]
    assert "secret" in refused[0]["refused"]
    assert secret not in caplog.text
    assert secret not in json.dumps(queue())


def test_refused_ones_do_not_fill_the_disk(run_path, name, queue) -> None:
    secret = "hf_" + "A1b2C3d4" * 4 + "xy"
    options = {"hub": name, "keep": KeepLast(2), "hub_keep": KeepLast(2), "hub_wait": 30}
    with CheckpointManager(run_path, **options) as manager:
        for step in range(1, 7):
            manager.save(step, notes={"password": secret})
    with CheckpointManager(run_path, **options) as manager:
        manager.save(7, notes={"password": secret})
        manager.wait()
    assert len(list(run_path.glob("step-*"))) <= 4


def test_a_model_without_its_elements_is_refused(run_path, name, queue, remote) -> None:
    model = torch.nn.Module()  # nothing says what its parameters' shapes should be
    model.weight = torch.nn.Parameter(torch.empty(0))
    with CheckpointManager(run_path, hub=name, hub_wait=30) as manager:
        manager.save(1, model=model)
    assert "without elements" in queue()["pending"][0]["refused"]


def test_a_state_may_hold_tensors_without_elements(run_path, name, remote) -> None:
    with CheckpointManager(run_path, hub=name, hub_wait=30) as manager:
        manager.save(1, buffers={"none": torch.empty(0)}, place={"data_dir": "/mnt/data/images"})
    assert remote.names == ["step-00000001"]


def test_a_checkpoint_that_was_damaged_here_is_never_published(
    hub, train, run_path, queue, name, remote
) -> None:
    train(1, 2, hub_wait=0, broken=503)
    hub.faults.clear()
    file = run_path / "step-00000001" / "model.safetensors"
    file.chmod(0o644)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with CheckpointManager(run_path, hub=name) as manager:
        report = manager.push("latest")
    assert report.published == ("step-00000002",)
    assert "model.safetensors" in report.refused["step-00000001"]
    assert remote.names == ["step-00000002"]


def test_a_deleted_one_is_skipped_and_said(hub, train, run_path, queue, name) -> None:
    import shutil

    train(1, 2, hub_wait=0, broken=503)
    hub.faults.clear()
    shutil.rmtree(run_path / "step-00000001")
    with CheckpointManager(run_path, hub=name) as manager:
        report = manager.push()
    assert report.published == ("step-00000002",)
    assert "deleted" in report.skipped["step-00000001"]


def test_a_broken_queue_file_is_made_anew(hub, train, run_path, remote) -> None:
    train(1)
    (run_path / ".uploads" / "queue.json").write_text("{broken")
    train(2)
    assert remote.names == ["step-00000001", "step-00000002"]
    assert remote.titles[-1] == "Publish step-00000002"


def test_a_checkpoint_committed_in_the_moment_of_death_is_taken_up(
    train, run_path, remote, name
) -> None:
    train(1)
    train(2, hub=None)  # committed, and never put into the queue
    train(3)
    assert remote.names == ["step-00000001", "step-00000002", "step-00000003"]


def test_a_closed_manager_says_what_is_left_and_how_to_finish_it(hub, train, caplog) -> None:
    place = train(1, hub_wait=0, broken=503)
    assert f"hfl checkpoint push {place}" in caplog.text
    assert "step-00000001" in caplog.text


def test_the_training_is_told_nothing_when_the_hub_fails(hub, train, queue, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        train(1, 2, 3, hub_wait=0, broken=500)
    assert len(pending(queue())) == 3


@pytest.mark.skipif(os.name != "posix", reason="elsewhere users are found in another way")
def test_a_user_without_a_home_publishes(train, monkeypatch, remote) -> None:
    import pwd

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)  # a container that runs as a bare number
    train(1)
    assert remote.names == ["step-00000001"]
