"""``hfl checkpoint push|upload|download|promote``, and ``list`` on the Hub."""

from __future__ import annotations

import json
import logging
import sys

import pytest
import torch

from hfl_checkpoint import CheckpointManager


@pytest.fixture
def cli(capsys, monkeypatch):
    """Run the command; return exit code, stdout and stderr."""

    def run(*arguments):
        from hfl_checkpoint.cli import main

        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["hfl-checkpoint", *map(str, arguments)])
            with pytest.raises(SystemExit) as ended:
                main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    yield run
    root = logging.getLogger("hfl")
    for handler in [each for each in root.handlers if getattr(each, "is_hfl", False)]:
        root.removeHandler(handler)
    root.setLevel(logging.NOTSET)


def states(out):
    return [(row["name"], row["state"]) for row in json.loads(out)]


def test_push_finishes_the_queue(hub, train, run_path, cli, remote) -> None:
    train(1, 2, broken=503, hub_wait=0)
    code, out, _ = cli("push", run_path, "--dry-run", "--format", "json")
    assert (code, states(out)) == (
        0,
        [("step-00000001", "waiting"), ("step-00000002", "waiting")],
    )
    code, _, err = cli("push", run_path)
    assert code == 7
    hub.faults.clear()
    assert remote.repo.exists() is False
    code, out, err = cli("push", run_path, "--format", "json")
    assert (code, states(out)) == (
        0,
        [("step-00000001", "published"), ("step-00000002", "published")],
    )
    assert remote.names == ["step-00000001", "step-00000002"]
    code, out, err = cli("push", run_path)
    assert (code, out) == (0, "")
    assert "Nothing waits" in err


def test_push_says_what_is_refused_and_lets_it_through_by_name(run_path, name, cli, remote) -> None:
    secret = "hf_" + "A1b2C3d4" * 4 + "xy"
    with CheckpointManager(run_path, hub=name, hub_wait=30) as manager:
        manager.save(1, notes={"password": secret})
    code, out, _ = cli("push", run_path, "--format", "json")
    assert code == 9
    assert states(out) == [("step-00000001", "refused")]
    assert secret not in out
    code, out, _ = cli("push", run_path, "--allow", "state/notes.json:secret")
    assert code == 0
    assert remote.names == ["step-00000001"]


def test_push_needs_a_run_that_was_to_be_published(tmp_path, run_path, live, cli) -> None:
    assert cli("push", tmp_path / "none")[0] == 4
    with CheckpointManager(run_path, background=False) as manager:
        manager.save(1, **live(1).components)
    code, _, err = cli("push", run_path)
    assert code == 4
    assert "upload" in err


@pytest.fixture
def local(run_path, live):
    with CheckpointManager(run_path, background=False) as manager:
        for step in (1, 2, 10, 20):
            manager.save(step, metrics={"loss": step}, **live(step).components)
    return run_path


@pytest.mark.parametrize(
    ("which", "steps"),
    [
        (["latest"], [20]),
        (["2..10"], [2, 10]),
        (["step-2..step-10"], [2, 10]),
        (["10.."], [10, 20]),
        (["step-0000000*"], [1, 2]),
        (["best:loss", "20"], [1, 20]),
    ],
)
def test_upload_takes_names_patterns_and_ranges(local, name, cli, remote, which, steps) -> None:
    code, out, _ = cli("upload", local, *which, "--to", name, "--dry-run", "--format", "json")
    assert code == 0
    assert [row["name"] for row in json.loads(out)] == [f"step-{step:08d}" for step in steps]
    code, out, _ = cli("upload", local, *which, "--to", name, "--format", "json")
    assert code == 0
    assert remote.names == [f"step-{step:08d}" for step in steps]
    assert len([title for title in remote.titles if title.startswith("Publish")]) == 1


def test_upload_again_finds_it_there(local, name, cli) -> None:
    cli("upload", local, "latest", "--to", name)
    code, out, _ = cli("upload", local, "latest", "--to", name, "--format", "json")
    assert (code, states(out)) == (0, [("step-00000020", "was there already")])


def test_upload_needs_a_place_and_a_checkpoint(local, name, cli) -> None:
    assert cli("upload", local, "latest")[0] == 2 or cli("upload", local, "latest")[0] == 1
    assert cli("upload", local, "99", "--to", name)[0] == 4
    assert cli("upload", local, "nothing*", "--to", name)[0] == 4
    assert cli("upload", local, "--to", name)[0] == 2


def test_download_brings_one_or_many(local, name, cli, tmp_path) -> None:
    cli("upload", local, "step-*", "--to", name, "--revision", "experiments/a")
    there = f"hf://{name}@experiments/a"
    code, out, _ = cli("download", there, "--to", tmp_path / "one", "--dry-run", "--format", "json")
    assert (code, [row["name"] for row in json.loads(out)]) == (0, ["step-00000020"])
    assert not (tmp_path / "one").exists()
    code, out, _ = cli("download", there, "2..10", "--to", tmp_path / "two", "--format", "json")
    assert code == 0
    with CheckpointManager(tmp_path / "two", background=False) as manager:
        assert [item.step for item in manager.checkpoints()] == [2, 10]
    code, _, _ = cli("download", f"{there}/step-00000001", "--to", tmp_path / "three")
    assert code == 0
    assert (tmp_path / "three" / "step-00000001" / "manifest.json").is_file()
    assert cli("download", f"{there}/99", "--to", tmp_path / "x")[0] == 4
    assert cli("download", "hf://ann/none", "--to", tmp_path / "x")[0] == 4


def test_list_lists_the_hub(local, name, cli, hub) -> None:
    cli("upload", local, "step-*", "--to", name)
    hub.requests.clear()
    code, out, _ = cli("list", f"hf://{name}", "--format", "json")
    assert code == 0
    assert [row["step"] for row in json.loads(out)] == [1, 2, 10, 20]
    assert len(list(hub.requests)) <= 4


def test_list_goes_to_the_hub_that_it_is_told(local, name, cli, hub, monkeypatch) -> None:
    cli("upload", local, "latest", "--to", name, "--public")  # the token is for the other Hub
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    code, out, _ = cli("list", f"hf://{name}", "--endpoint", hub.endpoint, "--format", "json")
    assert code == 0
    assert [row["step"] for row in json.loads(out)] == [20]
    assert cli("list", f"hf://{name}")[0] == 7


def test_promote_says_what_it_did(run_path, name, cli, repo) -> None:
    with CheckpointManager(run_path, hub=name, hub_wait=30) as manager:
        manager.save(1, model=torch.nn.Linear(2, 1))
    code, out, _ = cli("promote", run_path, "--tag", "v1", "--format", "json")
    found = json.loads(out)
    assert (code, found["tag"], found["files"]) == (0, "v1", ["model.safetensors"])
    assert found["commit"] == repo.tree().commit
    code, out, _ = cli("promote", run_path, "99")
    assert code == 4


def test_promote_needs_a_place(local, name, cli, repo) -> None:
    assert cli("promote", local)[0] != 0
    code, out, err = cli("promote", local, "--to", name, "--dry-run")
    assert code == 0
    assert "Commit" not in out  # there is none
    assert "Nothing was changed" in err
    assert cli("promote", local, "--to", name)[0] == 0
    assert "model.safetensors" in repo.tree().files
