"""What is read from real repositories, in every state that they come in."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from hfl_metadata import GitInfo
from hfl_metadata._git import read_git


def look(directory: Path, **options: Any) -> GitInfo:
    return read_git(directory, **options)[0]


def test_a_clean_repository_gives_commit_and_branch(repository, git):
    found = look(repository)
    assert found.commit == git(repository, "rev-parse", "HEAD")
    assert found.branch == "trunk"
    assert found.dirty is False
    assert found.remote is None
    assert found.problem is None


def test_a_subdirectory_belongs_to_the_repository(repository, git):
    inside = repository / "deep" / "er"
    inside.mkdir(parents=True)
    assert look(inside).commit == git(repository, "rev-parse", "HEAD")


@pytest.mark.parametrize("staged", [False, True])
def test_a_changed_file_makes_it_dirty(repository, git, staged):
    (repository / "train.py").write_text("print('changed')\n")
    if staged:
        git(repository, "add", "train.py")
    assert look(repository).dirty is True


def test_a_run_s_own_output_does_not_make_it_dirty(repository):
    (repository / "runs").mkdir()
    (repository / "runs" / "log.txt").write_text("loss 0.1\n")
    assert look(repository).dirty is False


def test_a_detached_head_has_a_commit_and_no_branch(repository, git):
    git(repository, "checkout", "--quiet", "--detach")
    found = look(repository)
    assert found.commit == git(repository, "rev-parse", "HEAD")
    assert found.branch is None


def test_a_repository_without_commits_has_a_branch_and_no_commit(tmp_path, git):
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "checkout", "--quiet", "-b", "trunk")
    found = look(tmp_path)
    assert found.commit is None
    assert found.branch == "trunk"


def test_a_worktree_has_its_own_branch(repository, git, tmp_path):
    git(repository, "worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    found = look(tmp_path / "side")
    assert found.branch == "side"
    assert found.commit == git(repository, "rev-parse", "HEAD")


def test_outside_of_a_repository_there_are_only_nulls(tmp_path, git):
    found = look(tmp_path)
    assert (found.commit, found.branch, found.dirty, found.remote) == (None, None, None, None)
    assert found.problem == "not in a git repository"


def test_without_git_on_the_path_there_are_only_nulls(repository, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = look(repository)
    assert found.commit is None
    assert found.problem == "git could not be run (FileNotFoundError)"


def test_a_corrupt_index_costs_what_it_says_and_leaves_the_commit(repository, git):
    commit = git(repository, "rev-parse", "HEAD")
    (repository / ".git" / "index").write_bytes(b"not an index at all")
    found = look(repository)
    assert (found.commit, found.branch, found.dirty) == (commit, "trunk", None)
    assert found.problem == "git could not read the repository"


def test_a_git_that_hangs_is_stopped(repository, monkeypatch, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    slow = tools / "git"
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(slow.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    assert look(repository, timeout=0.2).problem == "git did not answer within 0.2 s"


def test_credentials_in_the_remote_are_removed(repository, git):
    git(repository, "remote", "add", "origin", "https://me:hunter2@example.com/team/code.git")
    assert look(repository).remote == "https://example.com/team/code.git"


def test_origin_is_preferred_to_other_remotes(repository, git):
    git(repository, "remote", "add", "fork", "git@example.com:me/code.git")
    assert look(repository).remote == "git@example.com:me/code.git"
    git(repository, "remote", "add", "origin", "git@example.com:team/code.git")
    assert look(repository).remote == "git@example.com:team/code.git"


def test_asking_runs_no_program_that_the_repository_names(repository, git, tmp_path):
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(trap))
    (repository / "train.py").write_text("print('changed')\n")
    assert look(repository).dirty is True
    assert not Path(tmp_path, "sprung").exists()
