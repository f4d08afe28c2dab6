"""The real clients, unmodified, in processes of their own. Runs on both ends of their versions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HUB = """
import io, json, os, sys
from pathlib import Path
import huggingface_hub
from huggingface_hub import (
    CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi, hf_hub_download,
    snapshot_download,
)
from huggingface_hub.utils import (
    EntryNotFoundError, GatedRepoError, HfHubHTTPError, RepositoryNotFoundError,
    RevisionNotFoundError,
)
api = HfApi()
IS_NEW = int(huggingface_hub.__version__.split(".")[0]) >= 1

def raises(kind, function, *arguments, **options):
    try:
        function(*arguments, **options)
    except kind as error:
        return error
    raise AssertionError(f"{function} did not raise {kind}")
"""

LIFECYCLE = HUB + """
repo = api.create_repo("ann/digits", private=True).repo_id
assert api.create_repo(repo, exist_ok=True).repo_id == repo
assert raises(HfHubHTTPError, api.create_repo, repo).response.status_code == 409
data = os.urandom(200_000)
Path("w.bin").write_bytes(data)
info = api.create_commit(repo, [
    CommitOperationAdd("w.bin", "w.bin"),
    CommitOperationAdd("README.md", b"---\\nlicense: mit\\n---\\n# Digits\\n"),
    CommitOperationAdd("d/config.json", b"{}"),
    CommitOperationAdd("empty.bin", b""),
], commit_message="first", commit_description="more")
assert info.oid == api.repo_info(repo).sha
assert Path(hf_hub_download(repo, "w.bin")).read_bytes() == data
assert Path(hf_hub_download(repo, "empty.bin")).read_bytes() == b""
folder = Path(snapshot_download(repo))
assert sorted(p.name for p in folder.rglob("*") if p.is_file()) == [
    ".gitattributes", "README.md", "config.json", "empty.bin", "w.bin"]
snapshot_download(repo, local_dir="copy")
assert Path("copy/w.bin").read_bytes() == data

assert api.file_exists(repo, "w.bin") and not api.file_exists(repo, "no.bin")
assert api.repo_exists(repo) and not api.repo_exists("ann/none")
assert api.revision_exists(repo, "main") and not api.revision_exists(repo, "none")
raises(EntryNotFoundError, hf_hub_download, repo, "no.bin")
cached = list(Path(os.environ["HF_HOME"]).rglob(".no_exist/*/no.bin"))
assert len(cached) == 1, cached
raises(RevisionNotFoundError, hf_hub_download, repo, "w.bin", revision="none")
raises(RepositoryNotFoundError, api.repo_info, "ann/none")
raises(RepositoryNotFoundError, api.repo_info, repo, token=False)

info = api.create_commit(repo, [
    CommitOperationCopy("w.bin", "copies/w.bin"),
    CommitOperationDelete("empty.bin"),
    CommitOperationDelete("d/"),
], commit_message="second", parent_commit=info.oid)
assert set(api.list_repo_files(repo)) == {".gitattributes", "README.md", "w.bin", "copies/w.bin"}
stale = api.list_repo_commits(repo)[1].commit_id
error = raises(HfHubHTTPError, api.create_commit, repo, [CommitOperationAdd("x", b"x")],
               commit_message="m", parent_commit=stale)
assert error.response.status_code == 412

found = {f.path: f for f in api.list_repo_tree(repo, recursive=True, expand=True)}
assert found["w.bin"].lfs.size == 200_000 and found["w.bin"].last_commit.title == "first"
assert [f.path for f in api.get_paths_info(repo, ["w.bin", "none"])] == ["w.bin"]
assert api.model_info(repo, files_metadata=True).card_data.license == "mit"
assert [r.id for r in api.list_models(author="ann", filter="license:mit")] == [repo]

api.create_branch(repo, branch="dev", revision=stale)
api.create_branch(repo, branch="dev", exist_ok=True)
api.create_tag(repo, tag="v1", tag_message="first")
refs = api.list_repo_refs(repo, include_pull_requests=True)
assert {b.name for b in refs.branches} == {"main", "dev"} and refs.tags[0].name == "v1"
api.delete_tag(repo, tag="v1")
api.delete_branch(repo, branch="dev")

pull = api.create_commit(repo, [CommitOperationAdd("p.txt", b"p")], commit_message="pr", create_pr=True)
assert pull.pr_num == 1 and pull.pr_revision == "refs/pr/1"
assert Path(hf_hub_download(repo, "p.txt", revision="refs/pr/1")).read_bytes() == b"p"
details = api.get_discussion_details(repo, 1)
assert details.status == "open" and details.conflicting_files in ([], None), details
api.comment_discussion(repo, 1, "fine")
api.merge_pull_request(repo, 1)
assert api.file_exists(repo, "p.txt")
draft = api.create_pull_request(repo, title="A draft")
api.create_commit(repo, [CommitOperationAdd("q.txt", b"q")], commit_message="q",
                  revision=f"refs/pr/{draft.num}")
assert [d.num for d in api.get_repo_discussions(repo)] == [2, 1]

api.super_squash_history(repo, commit_message="one")
assert [c.title for c in api.list_repo_commits(repo)] == ["one"]
api.delete_file("w.bin", repo)
api.delete_folder("copies", repo)
before = api.repo_info(repo, expand=["usedStorage"]).used_storage if IS_NEW else None
api.permanently_delete_lfs_files(repo, api.list_lfs_files(repo))
assert list(api.list_lfs_files(repo)) == []
assert before in (None, 200_000), before

api.update_repo_settings(repo, **({"visibility": "public"} if IS_NEW else {"private": False}))
assert api.repo_info(repo, token=False).private is False
api.update_repo_settings(repo, gated="manual")
raises(GatedRepoError, api.auth_check, repo, token=False)
api.auth_check(repo)
api.move_repo(repo, "lab/digits")
assert api.repo_info(repo).id == "lab/digits"
# the metadata of a file under the old name comes through the redirect
assert Path(hf_hub_download(repo, "README.md", force_download=True)).read_text().startswith("---")
api.delete_repo("lab/digits")
api.delete_repo("lab/digits", missing_ok=True)
raises(RepositoryNotFoundError, api.delete_repo, "lab/digits")
"""


@pytest.mark.parametrize("xet", [False, True])
def test_huggingface_hub_goes_through_a_repositorys_life(hub, ann, run_client, xet):
    run_client(hub, ann.token, LIFECYCLE, xet=xet)


FOLDERS = HUB + """
folder = Path("model")
(folder / "sub").mkdir(parents=True)
for number in range(30):
    (folder / "sub" / f"{number}.txt").write_text(str(number))
(folder / "weights.safetensors").write_bytes(os.urandom(100_000))
(folder / "notes.log").write_text("no")
api.create_repo("ann/folder", repo_type="dataset")
api.upload_folder(repo_id="ann/folder", repo_type="dataset", folder_path=folder,
                  ignore_patterns="*.log")
assert len(api.list_repo_files("ann/folder", repo_type="dataset")) == 32
before = api.repo_info("ann/folder", repo_type="dataset").sha
api.upload_folder(repo_id="ann/folder", repo_type="dataset", folder_path=folder,
                  ignore_patterns="*.log")
assert api.repo_info("ann/folder", repo_type="dataset").sha == before
(folder / "sub" / "1.txt").unlink()
api.upload_folder(repo_id="ann/folder", repo_type="dataset", folder_path=folder,
                  delete_patterns="sub/*", ignore_patterns="*.log")
files = api.list_repo_files("ann/folder", repo_type="dataset")
assert "sub/1.txt" not in files and "sub/2.txt" in files

from huggingface_hub import HfFileSystem
fs = HfFileSystem()
root = "datasets/ann/folder"
assert "sub" in {Path(p).name for p in fs.ls(root, detail=False)}
assert fs.read_text(f"{root}/sub/5.txt") == "5"
with fs.open(f"{root}/weights.safetensors", "rb") as file:
    file.seek(50_000)
    assert file.read(10) == (folder / "weights.safetensors").read_bytes()[50_000:50_010]
with fs.open(f"{root}/new.txt", "w") as file:
    file.write("written")
fs.rm(f"{root}/sub/6.txt")
assert fs.exists(f"{root}/new.txt") and not fs.exists(f"{root}/sub/6.txt")
assert len(fs.glob(f"{root}/**/*.txt")) == 29
assert fs.info(f"{root}@main/new.txt")["size"] == 7

from huggingface_hub import CommitScheduler
Path("logs").mkdir()
scheduler = CommitScheduler(repo_id="ann/logs", folder_path="logs", every=60, repo_type="dataset")
with scheduler.lock:
    Path("logs/a.jsonl").write_text("{}\\n")
scheduler.trigger().result()
scheduler.stop()
assert "a.jsonl" in api.list_repo_files("ann/logs", repo_type="dataset")
"""


@pytest.mark.parametrize("xet", [False, True])
def test_folders_the_file_system_and_the_scheduler(hub, ann, run_client, xet):
    run_client(hub, ann.token, FOLDERS, xet=xet)
    for name in ("folder", "logs"):
        ann.call("DELETE", "/api/repos/delete", {"name": name, "type": "dataset"})


RETRIES = HUB + """
api.create_repo("ann/shaky", exist_ok=True)
Path("w.bin").write_bytes(os.urandom(3_000_000))
api.upload_file(path_or_fileobj="w.bin", path_in_repo="w.bin", repo_id="ann/shaky")
try:
    path = hf_hub_download("ann/shaky", "w.bin")
except Exception as error:  # the older client does not go on by itself
    assert not IS_NEW, error
    path = hf_hub_download("ann/shaky", "w.bin")
assert Path(path).read_bytes() == Path("w.bin").read_bytes()
"""


def test_the_client_goes_on_after_a_5xx_and_a_cut_connection(hub, ann, run_client):
    put = hub.faults.answer(503, method="PUT", path="/_lfs/*")
    cut = hub.faults.drop(1_000_000, method="GET", path="*/resolve/*")
    run_client(hub, ann.token, RETRIES)
    hub.faults.clear()
    assert (put.hits, cut.hits) == (1, 1)
    assert hub.requests.count("GET", "/ann/shaky/resolve/*") == 2


PARTS = HUB + """
api.create_repo("ann/parts")
Path("big.bin").write_bytes(os.urandom(1_000_001))
api.upload_file(path_or_fileobj="big.bin", path_in_repo="big.bin", repo_id="ann/parts")
assert Path(hf_hub_download("ann/parts", "big.bin")).read_bytes() == Path("big.bin").read_bytes()
"""


def test_large_files_travel_in_parts(tmp_path, run_client):
    from hfl_localhub import LocalHub

    with LocalHub(tmp_path / "hub", multipart_threshold=500_000, part_size=300_000) as hub:
        run_client(hub, hub.create_user("ann"), PARTS)
        assert hub.requests.count("PUT", "/_lfs/*/parts/*") == 4


def test_the_hf_command(hub, ann, tmp_path):
    hf = str(Path(sys.executable).parent / "hf")
    environment = {
        **hub.environment(ann.token),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(tmp_path),
    }

    def run(*arguments):
        done = subprocess.run(
            [hf, *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    (tmp_path / "w.bin").write_bytes(b"weights" * 1000)
    run("repo" if sys.version_info < (3, 10) else "repos", "create", "ann/by-command")
    run("upload", "ann/by-command", "w.bin", "w.bin")
    run("download", "ann/by-command", "w.bin", "--local-dir", "copy")
    assert (tmp_path / "copy" / "w.bin").read_bytes() == b"weights" * 1000
    who = run("auth", "whoami")
    assert "ann" in who


MODEL = """
import os
from pathlib import Path
import torch
from transformers import (
    AutoModelForSequenceClassification, AutoTokenizer, BertConfig, BertForSequenceClassification,
    PreTrainedTokenizerFast,
)
from tokenizers import Tokenizer, models, pre_tokenizers

config = BertConfig(vocab_size=20, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                    intermediate_size=16)
model = BertForSequenceClassification(config)
"""

TRANSFORMERS = MODEL + """
raw = Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1, "a": 2}, unk_token="[UNK]"))
raw.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="[UNK]", pad_token="[PAD]")
model.push_to_hub("ann/bert", private=True)
tokenizer.push_to_hub("ann/bert")
model.push_to_hub("ann/bert", revision="dev", commit_message="to a branch")
loaded = AutoModelForSequenceClassification.from_pretrained("ann/bert")
assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), loaded.state_dict().values()))
assert AutoModelForSequenceClassification.from_pretrained("ann/bert", revision="dev")
assert AutoTokenizer.from_pretrained("ann/bert")("a")["input_ids"] == [2]
"""

TRAINER = MODEL + """
from transformers import Trainer, TrainingArguments
data = [{"input_ids": torch.tensor([2, 2]), "labels": torch.tensor(i % 2)} for i in range(8)]
arguments = TrainingArguments("out", max_steps=2, save_steps=1, push_to_hub=True, use_cpu=True,
                              hub_model_id="ann/trained", report_to=[], save_strategy="steps",
                              hub_strategy="all_checkpoints", disable_tqdm=True)
trainer = Trainer(model, arguments, train_dataset=data)
trainer.train()
trainer.push_to_hub()
from huggingface_hub import HfApi
files = HfApi().list_repo_files("ann/trained")
assert "model.safetensors" in files and "README.md" in files, files
assert any(name.startswith("checkpoint-") for name in files), files  # one push at a time, so maybe not all
assert AutoModelForSequenceClassification.from_pretrained("ann/trained")
"""


def test_transformers_publishes_and_loads_models(hub, ann, run_client):
    pytest.importorskip("torch", reason="the package alone does not bring torch")
    run_client(hub, ann.token, TRANSFORMERS)


def test_the_trainer_pushes_what_it_saves(hub, ann, run_client):
    pytest.importorskip("torch", reason="the package alone does not bring torch")
    pytest.importorskip("accelerate", reason="the package alone does not bring accelerate")
    run_client(hub, ann.token, TRAINER)


DATASETS = """
from datasets import Dataset, DatasetDict, load_dataset
from huggingface_hub import HfApi

train = Dataset.from_dict({"x": list(range(100)), "y": [str(i) for i in range(100)]})
DatasetDict({"train": train, "test": train.select(range(10))}).push_to_hub("ann/rows", private=True)
loaded = load_dataset("ann/rows")
assert loaded["train"].num_rows == 100 and loaded["test"][3]["y"] == "3"
first = HfApi().dataset_info("ann/rows").sha
train.select(range(50)).push_to_hub("ann/rows", split="train")
assert load_dataset("ann/rows", split="train").num_rows == 50
assert load_dataset("ann/rows", split="train", revision=first).num_rows == 100
stream = load_dataset("ann/rows", split="test", streaming=True)
assert [row["x"] for row in stream] == list(range(10))
train.push_to_hub("ann/rows", config_name="other")
assert load_dataset("ann/rows", "other", split="train").num_rows == 100
"""


def test_datasets_publishes_loads_and_streams(hub, ann, run_client):
    pytest.importorskip("datasets")
    run_client(hub, ann.token, DATASETS)
