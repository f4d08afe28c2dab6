from __future__ import annotations

import gzip
import os
import subprocess

import pytest


@pytest.fixture
def git(tmp_path):
    environment = {
        **os.environ,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "HOME": str(tmp_path),
    }

    def run(*arguments, cwd=tmp_path, check=True):
        done = subprocess.run(
            ["git", *arguments],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or not check, done.stderr
        return done

    return run


def test_git_clones_and_shows_the_commits(ann, git, tmp_path):
    repo = ann.new_repo()
    ann.commit(repo, {"a.txt": b"one", "d/b.txt": b"two"})
    ann.commit_large(repo, {"w.bin": b"weights" * 100})
    ann.call("POST", f"/api/models/{repo}/tag/main", {"tag": "v1", "message": "first"})
    git("clone", f"{ann.hub.endpoint}/{repo}", "copy")
    copy = tmp_path / "copy"
    log = git("log", "--format=%an %s", cwd=copy).stdout.splitlines()
    assert log == ["ann a commit", "ann a commit", "ann initial commit"]
    assert (copy / "d" / "b.txt").read_text() == "two"
    assert (copy / "w.bin").read_text().startswith("version https://git-lfs")
    assert git("tag", cwd=copy).stdout.split() == ["v1"]
    assert git("fsck", "--strict", cwd=copy).returncode == 0
    ann.commit(repo, {"c.txt": b"three"})
    git("pull", cwd=copy)
    assert (copy / "c.txt").read_text() == "three"
    assert git("rev-parse", "HEAD", cwd=copy).stdout.strip() == ann.head_of(repo)


def test_git_clones_shallowly_and_one_branch(ann, git, tmp_path):
    repo = ann.new_repo()
    for number in range(3):
        ann.commit(repo, {"a.txt": str(number).encode()})
    ann.call("POST", f"/api/models/{repo}/branch/dev", {})
    git("clone", "--depth", "1", "--branch", "dev", f"{ann.hub.endpoint}/{repo}.git", "copy")
    assert len(git("log", "--format=%H", cwd=tmp_path / "copy").stdout.split()) == 1


def test_a_private_repository_is_cloned_with_the_token_only(ann, git):
    repo = ann.new_repo("dataset", private=True)
    host = ann.hub.endpoint.split("//")[1]
    refused = git("clone", f"{ann.hub.endpoint}/datasets/{repo}", "no", check=False)
    assert refused.returncode != 0
    git("clone", f"http://ann:{ann.token}@{host}/datasets/{repo}", "yes")


def test_a_push_is_refused_with_the_way_to_do_it(ann, git, tmp_path):
    repo = ann.new_repo()
    host = ann.hub.endpoint.split("//")[1]
    git("clone", f"http://ann:{ann.token}@{host}/{repo}", "copy")
    copy = tmp_path / "copy"
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    git(*identity, "commit", "--allow-empty", "-m", "mine", cwd=copy)
    pushed = git("push", cwd=copy, check=False)
    assert pushed.returncode != 0
    answer = ann.get(f"/{repo}/info/refs?service=git-receive-pack")
    assert answer.status == 403
    assert "hf upload" in answer.json()["error"]
    assert ann.call("POST", f"/{repo}/git-receive-pack", data=b"x").status == 403


def test_the_repository_on_disk_is_one_that_git_finds_sound(ann, git):
    repo = ann.new_repo()
    for number in range(3):
        ann.commit(repo, {f"d/{number}.txt": b"x" * number, "same": str(number).encode()})
    ann.call("POST", f"/api/models/{repo}/super-squash/main", {})
    path = ann.hub.root / "repos" / "models" / repo / "git"
    found = git("-C", str(path), "fsck", "--strict", "--full")
    assert "dangling" not in found.stdout + found.stderr
    assert git("-C", str(path), "log", "--format=%s", "main").stdout.count("\n") == 1


@pytest.mark.parametrize("body", [b"", b"nonsense", b"0032want " + b"0" * 40 + b"\n", b"00"])
def test_what_is_not_gits_protocol_is_refused(ann, body):
    repo = ann.new_repo()
    answer = ann.call("POST", f"/{repo}/git-upload-pack", data=body)
    assert answer.status in (200, 400)
    zipped = gzip.compress(body)
    headers = {"Content-Encoding": "gzip"}
    answer = ann.call("POST", f"/{repo}/git-upload-pack", data=zipped, headers=headers)
    assert answer.status in (200, 400)
    answer = ann.call("POST", f"/{repo}/git-upload-pack", data=b"no gzip", headers=headers)
    assert answer.status == 400
    bomb = gzip.compress(b"\0" * (17 * 1024**2))
    answer = ann.call("POST", f"/{repo}/git-upload-pack", data=bomb, headers=headers)
    assert answer.status == 413
    assert ann.get(f"/{repo}/info/refs").status == 400
