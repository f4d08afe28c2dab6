"""The way back: from the Hub into an empty folder, and nothing that is half there or damaged."""

from __future__ import annotations

import json
import shutil

import pytest

from hfl_checkpoint import (
    CheckpointDamagedError,
    CheckpointManager,
    CheckpointNotFoundError,
    UnsupportedFormatError,
    _canonical,
)
from hfl_core import ConfigError, NetworkError, NotFoundError


@pytest.fixture
def elsewhere(tmp_path, name):
    """Managers on another machine."""
    opened = []

    def make(**options):
        manager = CheckpointManager(
            tmp_path / "elsewhere", **{"hub": name, "hub_wait": 0, **options}
        )
        opened.append(manager)
        return manager

    yield make
    for manager in opened:
        manager.close()


def test_a_fresh_run_resumes_nothing(elsewhere, live, repo) -> None:
    assert elsewhere().resume(**live().components) is None
    repo.create(private=True)
    assert elsewhere().resume(**live().components) is None


def test_what_is_newer_there_is_fetched_and_gone_on_with(train, elsewhere, live, remote) -> None:
    train(1, 2)
    other = elsewhere(hub_wait=30)
    state = live()
    assert other.resume(**state.components).checkpoint.step == 2
    other.save(3, **state.move_to(3).components)
    other.close()
    back = live()
    train()  # the first machine comes back, resumes and saves nothing
    with elsewhere() as again:
        assert again.resume(**back.components).checkpoint.step == 3
    assert remote.names == ["step-00000001", "step-00000002", "step-00000003"]
    runs = {item["run_id"] for item in remote.latest["checkpoints"]}
    assert len(runs) == 1
    assert [item["sequence"] for item in remote.latest["checkpoints"]] == [1, 2, 3]


def test_the_first_machine_takes_what_the_other_one_did(
    train, elsewhere, live, run_path, name
) -> None:
    train(1)
    state = live()
    with elsewhere(hub_wait=30) as other:
        other.resume(**state.components)
        other.save(2, **state.move_to(2).components)
    with CheckpointManager(run_path, hub=name) as first:
        assert first.resume(**state.components).checkpoint.step == 2


def test_what_is_newer_here_is_not_replaced(hub, train, run_path, name, live) -> None:
    train(1)
    train(2, 3, broken=503, hub_wait=0)
    hub.faults.clear()
    hub.requests.clear()
    with CheckpointManager(run_path, hub=name, hub_wait=0) as manager:
        assert manager.resume(**live().components).checkpoint.step == 3
    assert hub.requests.count("GET", "*/resolve/*step-*") == 0


def test_without_a_network_what_is_here_is_taken_and_said(hub, train, run_path, name, live) -> None:
    train(1)
    hub.faults.answer(503, times=None)
    with CheckpointManager(run_path, hub=name, hub_wait=0) as manager:
        report = manager.resume(**live().components)
    assert report.checkpoint.step == 1
    assert "on this disk" in report.warnings[0]


def test_without_a_network_an_empty_machine_does_not_begin_anew(
    hub, train, elsewhere, live
) -> None:
    train(1)
    hub.faults.answer(503, times=None)
    with pytest.raises(NetworkError):
        elsewhere().resume(**live().components)


def test_one_that_is_damaged_here_is_fetched_again(train, run_path, name, live) -> None:
    train(1, 2)
    (run_path / "step-00000002" / "model.safetensors").unlink()
    state = live()
    with CheckpointManager(run_path, hub=name, hub_wait=0) as manager:
        report = manager.resume(**state.components)
    assert (report.checkpoint.name, report.quarantined) == ("step-00000002", ("step-00000002",))
    assert state.stands_at == 2


def test_one_whose_byte_flipped_here_is_fetched_again(train, run_path, name, live) -> None:
    train(1, 2, 3)
    for damaged in ("step-00000002", "step-00000003"):
        file = run_path / damaged / "model.safetensors"
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.chmod(0o644)
        file.write_bytes(data)
    state = live()
    with CheckpointManager(run_path, hub=name, hub_wait=0) as manager:
        report = manager.resume(**state.components)
    assert (report.checkpoint.name, report.quarantined) == ("step-00000003", ("step-00000003",))
    assert state.stands_at == 3


def test_one_that_is_damaged_on_both_sides_gives_way_to_the_one_before(
    train, run_path, name, live, repo
) -> None:
    train(1, 2)
    (run_path / "step-00000002" / "model.safetensors").unlink()
    repo.commit(
        delete=["checkpoints/step-00000002/model.safetensors"],
        message="Tidy up",
        revision="checkpoints",
    )
    state = live()
    with CheckpointManager(run_path, hub=name, hub_wait=0) as manager:
        report = manager.resume(**state.components)
    assert (report.checkpoint.step, state.stands_at) == (1, 1)


def test_one_that_is_damaged_here_and_was_never_published_gives_way(
    train, run_path, name, live
) -> None:
    train(1)
    train(2, hub=None)
    (run_path / "step-00000002" / "model.safetensors").unlink()
    state = live()
    with CheckpointManager(run_path, hub=name, hub_wait=0) as manager:
        report = manager.resume(**state.components)
    assert (report.checkpoint.step, report.quarantined) == (1, ("step-00000002",))


def test_addresses_name_a_run_a_branch_and_a_checkpoint(train, tmp_path, name, live) -> None:
    train(1, 2, revision="experiments/a")
    for number, (address, step) in enumerate(
        {
            f"hf://{name}@experiments/a": 2,
            f"hf://{name}@experiments/a/step-00000001": 1,
            f"hf://{name}@experiments%2Fa": 2,
            f"hf://{name}@experiments/a/best:loss": 2,
            f"hf://{name}@experiments/a/best:loss:max": 1,
            f"hf://{name}@experiments/a/1": 1,
        }.items()
    ):
        state = live()
        with CheckpointManager(tmp_path / f"place{number}") as manager:
            assert manager.restore(address, **state.components).checkpoint.step == step
        assert state.stands_at == step
    with CheckpointManager(tmp_path / "place") as manager:
        loaded = manager.load(f"hf://{name}@experiments/a", only=["counters"])
    assert loaded["counters"]["step"] == 2


def test_addresses_that_name_nothing_say_so(train, tmp_path, name, live) -> None:
    train(1)
    with CheckpointManager(tmp_path / "place") as manager:
        with pytest.raises(NotFoundError, match="nothing"):
            manager.pull("hf://ann/nothing")
        with pytest.raises(NotFoundError, match="other"):
            manager.pull(f"hf://{name}@other")
        with pytest.raises(CheckpointNotFoundError, match="step-00000001"):
            manager.pull(f"hf://{name}@checkpoints/step-00000009")
        for bad in ("hf://", "hf://ann", "hf:///x@y"):
            with pytest.raises(ConfigError, match="address"):
                manager.pull(bad)
    assert not (tmp_path / "place").exists()


def test_a_run_of_another_repository_is_gone_on_with(train, tmp_path, name, live) -> None:
    train(1, 2)
    state = live()
    place = tmp_path / "fork"
    with CheckpointManager(place, hub=f"{name}-fork", hub_wait=30) as manager:
        manager.restore(f"hf://{name}", **state.components)
        manager.save(3, **state.move_to(3).components)
    with CheckpointManager(tmp_path / "new", hub=f"{name}-fork", hub_wait=0) as manager:
        assert [item.step for item in manager.remote_checkpoints()] == [2, 3]
        assert [item.step for item in manager.remote_checkpoints(f"hf://{name}")] == [1, 2]


def test_pulling_the_same_twice_fetches_it_once(hub, train, elsewhere) -> None:
    train(1)
    manager = elsewhere()
    first = manager.pull()
    hub.requests.clear()
    assert manager.pull() == first
    assert hub.requests.count("GET", "*/resolve/*step-*") == 0


def test_listing_reads_the_index_and_nothing_else(hub, train, elsewhere) -> None:
    train(*range(1, 9))
    hub.requests.clear()
    assert len(elsewhere().remote_checkpoints()) == 8
    assert len(list(hub.requests)) <= 4


def test_a_manifest_edited_by_hand_is_passed_over_and_named(
    train, elsewhere, live, remote, repo
) -> None:
    train(1, 2)
    manifest = json.loads(remote.read("step-00000002/manifest.json"))
    manifest["metrics"]["loss"] = 0.0
    repo.commit(
        {"checkpoints/step-00000002/manifest.json": json.dumps(manifest).encode()},
        message="Improve",
        revision="checkpoints",
    )
    manager = elsewhere()
    state = live()
    report = manager.resume(**state.components)
    assert (report.checkpoint.step, state.stands_at) == (1, 1)
    with pytest.raises(CheckpointDamagedError, match="changed"):
        manager.pull("step-00000002")


def test_when_all_manifests_are_damaged_nothing_begins_anew(
    train, elsewhere, live, repo, tmp_path
) -> None:
    train(1)
    repo.commit(
        {"checkpoints/step-00000001/manifest.json": b"{}"}, message="Oh", revision="checkpoints"
    )
    with pytest.raises(CheckpointDamagedError):
        elsewhere().resume(**live().components)
    assert list((tmp_path / "elsewhere").glob("step-*")) == []


def test_a_format_of_the_future_is_refused(train, elsewhere, live, remote, repo) -> None:
    train(1)
    manifest = json.loads(remote.read("step-00000001/manifest.json"))
    del manifest["self_digest"]
    data = _canonical.dump({**manifest, "format": 99})
    path = "checkpoints/step-00000001/manifest.json"
    repo.commit({path: data}, message="From the future", revision="checkpoints")
    with pytest.raises(UnsupportedFormatError):
        elsewhere().resume(**live().components)
    index = json.loads(remote.read("latest.json"))
    del index["self_digest"]
    data = _canonical.dump({**index, "format": 99})
    repo.commit({"checkpoints/latest.json": data}, message="Too", revision="checkpoints")
    with pytest.raises(UnsupportedFormatError):
        elsewhere().resume(**live().components)


@pytest.mark.parametrize("content", [b"{broken", b"[]", b'{"format": 1}', None])
def test_a_broken_index_costs_requests_and_nothing_else(
    train, elsewhere, live, repo, content
) -> None:
    train(1, 2)
    path = "checkpoints/latest.json"
    files = {} if content is None else {path: content}
    repo.commit(
        files, delete=[path] if content is None else [], message="Edit", revision="checkpoints"
    )
    assert elsewhere().resume(**live().components).checkpoint.step == 2


@pytest.mark.parametrize(
    "lies", [{"sequence": 99}, {"step": 3}, {"run_id": "0" * 32}, {"metrics": {"loss": 0.0}}]
)
def test_an_index_that_was_edited_and_signed_does_not_decide(
    train, elsewhere, live, repo, remote, lies
) -> None:
    train(1, 2)
    index = remote.latest
    del index["self_digest"]
    (entry,) = (item for item in index["checkpoints"] if item["step"] == 1)
    entry.update(lies)
    data = _canonical.dump({**index, "latest": entry["name"]})
    repo.commit({"checkpoints/latest.json": data}, message="Edit", revision="checkpoints")
    if "metrics" in lies:
        promoted = elsewhere().promote("best:loss", dry_run=True)
        assert promoted.checkpoint == "step-00000002"
    state = live()
    report = elsewhere().resume(**state.components)
    assert (report.checkpoint.step, state.stands_at) == (2, 2)
    best = elsewhere().pull("best:loss")
    assert (best.step, best.metrics) == (2, {"loss": 1 / 3})


def test_a_weight_that_was_replaced_on_the_hub_is_noticed(
    train, elsewhere, live, repo, remote
) -> None:
    train(1, 2)
    wrong = repo.tree("checkpoints").files["checkpoints/step-00000001/model.safetensors"]
    repo.commit(
        copies={"checkpoints/step-00000002/model.safetensors": wrong},
        message="Swap",
        revision="checkpoints",
    )
    state = live()
    report = elsewhere().resume(**state.components)
    assert (report.checkpoint.step, state.stands_at) == (1, 1)
    assert "step-00000002" in report.warnings[0]


def test_a_file_that_is_missing_on_the_hub_is_noticed(train, elsewhere, live, repo) -> None:
    train(1, 2)
    repo.commit(
        delete=["checkpoints/step-00000002/model.safetensors"],
        message="Tidy up",
        revision="checkpoints",
    )
    assert elsewhere().resume(**live().components).checkpoint.step == 1


def test_a_byte_that_flips_on_the_way_is_fetched_again(hub, train, elsewhere, live) -> None:
    train(1)
    fault = hub.faults.corrupt(100, path="*model.safetensors", method="GET")
    state = live()
    assert elsewhere().resume(**state.components).checkpoint.step == 1
    assert fault.hits == 1
    assert state.stands_at == 1


def test_bytes_that_always_flip_are_never_used(hub, train, elsewhere, live, tmp_path) -> None:
    train(1)
    hub.faults.corrupt(100, path="*model.safetensors", method="GET", times=None)
    state = live(7)
    with pytest.raises(CheckpointDamagedError):
        elsewhere().resume(**state.components)
    assert state.stands_at == 7
    assert list((tmp_path / "elsewhere").glob("step-*")) == []


def test_a_fetch_that_breaks_off_leaves_nothing_half(hub, train, elsewhere, live, tmp_path) -> None:
    train(1)
    hub.faults.drop(50, path="*model.safetensors", method="GET", times=None)
    with pytest.raises((NetworkError, CheckpointDamagedError)):
        elsewhere().resume(**live().components)
    assert list((tmp_path / "elsewhere").glob("step-*")) == []
    hub.faults.clear()
    assert elsewhere().resume(**live().components).checkpoint.step == 1


def test_a_name_that_is_taken_here_by_another_run_is_no_obstacle(
    train, tmp_path, live, name
) -> None:
    train(1)
    place = tmp_path / "mixed"
    with CheckpointManager(place) as manager:
        manager.save(1, **live(1).components)
    state = live()
    with CheckpointManager(place) as manager:
        report = manager.restore(f"hf://{name}", **state.components)
        assert report.checkpoint.name == "step-00000001-2"
        assert [item.name for item in manager.checkpoints()] == ["step-00000001-2"]


def test_a_fetched_checkpoint_survives_the_loss_of_the_cache(
    train, elsewhere, live, tmp_path
) -> None:
    train(1)
    elsewhere().pull()
    shutil.rmtree(tmp_path / "HF_HOME", ignore_errors=True)
    assert elsewhere().verify("latest").ok


def test_what_the_manifest_does_not_list_is_not_fetched(train, tmp_path, name, repo, live) -> None:
    train(1)
    extra = {"checkpoints/step-00000001/pytorch_model.bin": b"a pickle of somebody else"}
    repo.commit(extra, message="Add weights", revision="checkpoints")
    with CheckpointManager(tmp_path / "elsewhere", hub=name, hub_wait=0) as manager:
        found = manager.resume(**live().components).checkpoint
    assert (found.path / "model.safetensors").is_file()
    assert not (found.path / "pytorch_model.bin").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"name": ".staging"},
        {"name": "x" * 250},
        {"file": "../escaped"},
        {"file": "/tmp/escaped"},
        {"file": "manifest.json"},
        {"file": "state"},
        {"size": 10**18},
    ],
    ids=str,
)
def test_a_hostile_checkpoint_is_passed_over_and_nothing_is_written_elsewhere(
    train, run_path, tmp_path, name, live, repo, change, tree
) -> None:
    train(1, 2)
    folder = run_path / "step-00000002"
    document = json.loads((folder / "manifest.json").read_text())
    del document["self_digest"]
    document["sequence"] = 50  # as if it were the newest
    if "file" in change:
        entry = {"path": change["file"], "size": 0, "xxh3-128": "00", "sha256": None}
        document["files"].append(entry)
    if "size" in change:
        document["files"][0]["size"] = change["size"]
    files = {
        f"checkpoints/{change.get('name', 'evil')}/{path.relative_to(folder).as_posix()}": path
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    files[f"checkpoints/{change.get('name', 'evil')}/manifest.json"] = _canonical.dump(document)
    repo.commit(files, message="Evil", revision="checkpoints", allow=["*"])
    place = tmp_path / "victim"
    place.mkdir()
    state = live()
    with CheckpointManager(place / "run", hub=name, hub_wait=0) as manager:
        assert manager.resume(**state.components).checkpoint.name == "step-00000002"
    assert state.stands_at == 2
    outside = {path.split("/")[0] for path in tree(place)} | {path.name for path in place.iterdir()}
    assert outside == {"run"}
    assert [path.name for path in (place / "run").iterdir() if not path.name.startswith(".")] in (
        ["run.json", "step-00000002"],
        ["step-00000002", "run.json"],
    )
