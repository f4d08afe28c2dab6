"""What a repository holds after a publication."""

from __future__ import annotations

import json

import pytest
import torch

from hfl_core.errors import ConfigError, IntegrityError, NotFoundError
from hfl_registry import ModelValidationError
from hfl_repo import (
    RefExistsError,
    RepoManager,
    RevisionNotFoundError,
    UnsafeUploadError,
    VisibilityMismatchError,
)


@pytest.fixture
def tiny(registry):
    from one_file import TinyConfig, TinyForCausalLM

    registry.register(TinyForCausalLM, TinyConfig)
    return TinyForCausalLM(TinyConfig())


@pytest.fixture
def publish(registry, name):
    def run(model, **options):
        return registry.publish(model, name, **{"validate": False, **options})

    return run


def test_a_really_fresh_process_is_asked_first(registry, name, tiny) -> None:
    done = registry.publish(tiny, name)
    assert done.validation.ok
    assert [check.name for check in done.validation.checks] == [
        "config",
        "trust",
        "load",
        "outputs",
        "usage",
    ]
    assert done.validation.difference == 0.0


def test_what_is_not_fit_leaves_no_repository(registry, name, tiny) -> None:
    tiny.mix.weight = torch.nn.Parameter(torch.empty(8, 8, device="meta"))
    with pytest.raises(ModelValidationError, match=r"mix\.weight"):
        registry.publish(tiny, name)
    assert not RepoManager(name).exists()


def test_publishing_again_changes_nothing(publish, tiny) -> None:
    first = publish(tiny, license="mit")
    second = publish(tiny, license="mit")
    assert second.commit == first.commit
    assert second.bytes_sent == 0


def test_files_of_an_earlier_model_go_and_those_of_people_stay(publish, name, tiny) -> None:
    from plain_sample import Tied

    publish(tiny)
    repo = RepoManager(name)
    repo.commit({"notes.md": b"by hand"}, message="Add notes")
    done = publish(Tied(12, 6), max_shard_size="100KB")
    assert "one_file.py" in done.removed
    files = set(repo.tree().files)
    assert "notes.md" in files
    assert "one_file.py" not in files
    assert "plain_sample.py" in files


def test_what_people_wrote_into_the_card_stays(publish, name, tiny) -> None:
    publish(tiny, license="mit")
    repo = RepoManager(name)
    text = repo.card().text.replace("# model", "# A better title: model")
    repo.commit({"README.md": text.encode()}, message="Better")
    publish(tiny, license="apache-2.0")
    assert "# A better title" in repo.card().body
    assert repo.card().metadata["license"] == "apache-2.0"


def test_a_tag_marks_the_commit_and_is_not_moved(publish, name, tiny) -> None:
    done = publish(tiny, tag="v1")
    assert [(ref.name, ref.commit) for ref in RepoManager(name).list_tags()] == [
        ("v1", done.commit)
    ]
    assert publish(tiny, tag="v1").commit == done.commit
    with torch.no_grad():
        tiny.mix.weight += 1
    with pytest.raises(RefExistsError):
        publish(tiny, tag="v1")
    assert RepoManager(name).tree().commit == done.commit


def test_a_branch_of_its_own(publish, registry, name, tiny) -> None:
    RepoManager(name).create()
    with pytest.raises(RevisionNotFoundError):
        publish(tiny, revision="trial")
    publish(tiny, revision="trial", create_branch=True)
    assert "config.json" not in RepoManager(name).tree().files
    assert type(registry.load(name, revision="trial")).__name__ == "TinyForCausalLM"


def test_weights_in_several_files_load(publish, registry, name, tiny) -> None:
    done = publish(tiny, max_shard_size="1KB")
    assert "model.safetensors.index.json" in done.files
    found = registry.load(name)
    for key, value in tiny.state_dict().items():
        torch.testing.assert_close(found.state_dict()[key], value)


def test_a_plain_module_in_several_files_loads(publish, registry, name) -> None:
    from plain_sample import Tied

    model = Tied(300, 4)
    done = publish(model, max_shard_size="3KB")
    assert "model.safetensors.index.json" not in done.files  # one tensor is larger than a file
    found = registry.load(name, trust_remote_code=True)
    ids = torch.arange(5)[None]
    torch.testing.assert_close(found(ids), model(ids))


def test_a_dry_run_sends_nothing(publish, name, tiny) -> None:
    repo = RepoManager(name)
    repo.create()
    before = repo.tree().commit
    done = publish(tiny, dry_run=True, tag="v1")
    assert done.is_dry_run
    assert repo.tree().commit == before
    assert repo.list_tags() == ()


def test_a_public_repository_is_refused_where_private_is_meant(publish, name, tiny) -> None:
    RepoManager(name).create(private=False)
    with pytest.raises(VisibilityMismatchError):
        publish(tiny, private=True)
    assert "config.json" not in RepoManager(name).tree().files


def test_the_gate_stops_a_secret_in_a_configuration(publish, name, tiny) -> None:
    tiny.config.note = "hf_" + "aB3" * 11 + "x"
    with pytest.raises(UnsafeUploadError, match=r"config\.json"):
        publish(tiny)
    assert "config.json" not in RepoManager(name).tree().files


def test_where_a_model_came_from_on_this_machine_is_not_told(
    publish, registry, name, tiny, tmp_path
) -> None:
    tiny.save_pretrained(tmp_path / "mine")
    again = type(tiny).from_pretrained(tmp_path / "mine")
    publish(again)
    for path in ("config.json", "README.md"):
        assert str(tmp_path).encode() not in RepoManager(name).read(path)


def test_code_of_another_repository_is_brought_along_not_referred_to(
    publish, registry, name, tiny
) -> None:
    first = publish(tiny)
    registry.unregister("tiny-decoder")
    import transformers

    loaded = transformers.AutoModelForCausalLM.from_pretrained(
        str(RepoManager(name).download()), trust_remote_code=True
    )
    loaded.config.auto_map = {"AutoModelForCausalLM": "someone/else--one_file.TinyForCausalLM"}
    done = registry.publish(loaded, f"{name}-b", validate=False)
    assert set(done.files) == set(first.files)
    config = json.loads(RepoManager(f"{name}-b").read("config.json"))
    assert config["auto_map"]["AutoModelForCausalLM"] == "one_file.TinyForCausalLM"


def test_code_does_not_run_unless_it_is_trusted(publish, registry, name, tiny) -> None:
    publish(tiny)
    registry.unregister("tiny-decoder")
    with pytest.raises(ConfigError, match=r"brings code of its own \(one_file.py\)"):
        registry.load(name)
    found = registry.load(name, trust_remote_code=True)
    assert type(found).__module__.startswith("transformers_modules")


def test_a_repository_without_a_model_is_told(registry, name) -> None:
    RepoManager(name).create()
    with pytest.raises(NotFoundError, match="no config.json"):
        registry.load(name)
    with pytest.raises(NotFoundError, match="no config.json"):
        registry.show(name)


def test_a_published_model_is_shown(publish, registry, name, tiny) -> None:
    done = publish(tiny, tag="v1")
    found = registry.show(name)
    assert (found.commit, found.tags) == (done.commit, ("v1",))
    assert (found.model_type, found.architecture) == ("tiny-decoder", "TinyForCausalLM")
    assert found.auto_class == "AutoModelForCausalLM"
    assert found.code == ("one_file.py",)
    assert any(line.startswith("torch==") for line in found.requirements)
    assert found.size > 0
    assert name in {each.repo_id for each in registry.list()}
    assert registry.card(name).startswith("---")


def test_a_checkpoint_is_promoted_with_its_metrics(registry, name, tiny, tmp_path) -> None:
    folder = checkpoint(tiny, tmp_path)
    done = registry.promote(folder, name, validate=False)
    assert "model.safetensors" in done.files
    assert "manifest.json" not in done.files
    titles = [commit.title for commit in RepoManager(name).history()]
    assert titles[0] == "Publish the model of step-00000004"
    found = registry.load(name)
    for key, value in tiny.state_dict().items():
        torch.testing.assert_close(found.state_dict()[key], value)


def test_a_damaged_checkpoint_is_not_promoted(registry, name, tiny, tmp_path) -> None:
    folder = checkpoint(tiny, tmp_path)
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")
    with pytest.raises(IntegrityError, match="'model.safetensors' of 'step-00000004' is damaged"):
        registry.promote(folder, name)
    (folder / "model.safetensors").unlink()
    with pytest.raises(IntegrityError, match="is missing"):
        registry.promote(folder, name)
    assert not RepoManager(name).exists()


def test_a_folder_without_a_model_is_not_promoted(registry, name, tmp_path) -> None:
    with pytest.raises(NotFoundError, match="no config.json"):
        registry.promote(tmp_path, name)


def checkpoint(model, place):
    """What hfl-checkpoint writes, as far as it concerns a model."""
    from hfl_core import digest_file

    folder = place / "step-00000004"
    model.save_pretrained(folder)
    (folder / "state").mkdir()
    (folder / "state" / "progress.json").write_text("{}")
    paths = ["config.json", "model.safetensors", "state/progress.json"]
    manifest = {
        "metrics": {"loss": 0.25, "odd": float("inf")},
        "files": [{"path": path, "xxh3-128": digest_file(folder / path)} for path in paths],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
