"""Repositories in the middle of something, with others inside, damaged, or slow."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from hfl_metadata import GitInfo, SubmoduleInfo
from hfl_metadata._git import read_git
from hfl_metadata._git_diff import LARGEST_PATCH

TOKEN = "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ01234567"


def look(directory: Path, **options: Any) -> GitInfo:
    return read_git(directory, **options)[0]


def commit_file(git: Any, repository: Path, text: str, message: str) -> None:
    (repository / "train.py").write_text(text)
    git(repository, "commit", "--quiet", "--all", "-m", message)


@pytest.fixture
def two_branches(repository: Path, git: Any) -> Path:
    git(repository, "checkout", "--quiet", "-b", "side")
    commit_file(git, repository, "print('side')\n", "side")
    git(repository, "checkout", "--quiet", "trunk")
    commit_file(git, repository, "print('trunk')\n", "trunk")
    return repository


@pytest.mark.parametrize(
    ("command", "operation"),
    [
        (["merge", "side"], "merge"),
        (["rebase", "side"], "rebase"),
        (["cherry-pick", "side"], "cherry-pick"),
        (["revert", "HEAD~1"], "revert"),
        (["bisect", "start"], "bisect"),
    ],
)
def test_what_is_under_way_is_named(two_branches, git, command, operation):
    commit = git(two_branches, "rev-parse", "side" if operation == "rebase" else "HEAD")
    subprocess.run(["git", *command], cwd=two_branches, capture_output=True, check=False)
    found = look(two_branches)
    assert found.operation == operation
    assert found.commit == commit
    assert found.problem is None
    assert found.dirty is (operation != "bisect")
    assert (found.branch is None) is (operation == "rebase")


def test_nothing_is_under_way_in_an_ordinary_repository(repository):
    assert look(repository).operation is None


def test_a_linked_worktree_says_so(repository, git, tmp_path):
    git(repository, "worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    assert look(tmp_path / "side").worktree is True
    assert look(repository).worktree is False
    inside = repository / "deep"
    inside.mkdir()
    assert look(inside).worktree is False


def test_a_bare_repository_has_no_working_tree(tmp_path, git):
    git(tmp_path, "init", "--quiet", "--bare", "code.git")
    found = look(tmp_path / "code.git")
    assert found.commit is None
    assert found.problem == "the repository has no working tree"


def test_a_branch_that_names_the_user_does_not(repository, git, monkeypatch):
    from hfl_metadata import _privacy

    monkeypatch.setenv("LOGNAME", "alicesmith")
    _privacy._user_pattern.cache_clear()
    git(repository, "checkout", "--quiet", "-b", "alicesmith/feature")
    assert look(repository).branch == "~/feature"
    _privacy._user_pattern.cache_clear()


class TestDifference:
    def test_a_clean_tree_has_none(self, repository):
        found = look(repository, patch=True)
        assert (found.diff_digest, found.patch) == (None, None)

    def test_the_same_change_has_the_same_digest_whatever_the_configuration(self, repository, git):
        text = "print('changed')\n"
        (repository / "train.py").write_text(text)
        first = look(repository).diff_digest
        assert first is not None
        assert first.startswith("sha256:")
        for name, value in (
            ("diff.noprefix", "true"),
            ("diff.mnemonicPrefix", "true"),
            ("diff.context", "9"),
            ("diff.external", "false"),
            ("color.diff", "always"),
            ("diff.algorithm", "histogram"),
            ("core.abbrev", "7"),
        ):
            git(repository, "config", name, value)
        (repository / "deep").mkdir()
        assert look(repository).diff_digest == first
        assert look(repository / "deep").diff_digest == first
        git(repository, "add", "train.py")
        assert look(repository).diff_digest == first
        (repository / "train.py").write_text(text + "\n")
        assert look(repository).diff_digest != first

    def test_a_changed_binary_file_changes_it_too(self, repository, git):
        (repository / "table.bin").write_bytes(b"\0\1\2")
        git(repository, "add", "table.bin")
        first = look(repository).diff_digest
        (repository / "table.bin").write_bytes(b"\0\1\3")
        assert look(repository).diff_digest != first

    def test_the_patch_restores_the_change(self, repository, git):
        (repository / "train.py").write_text("print('changed')\n")
        patch = look(repository, patch=True).patch
        assert patch is not None
        assert look(repository).patch is None
        git(repository, "checkout", "--quiet", "train.py")
        subprocess.run(["git", "apply"], cwd=repository, input=patch.encode(), check=True)
        assert (repository / "train.py").read_text() == "print('changed')\n"

    def test_a_secret_in_a_change_is_masked_in_the_patch(self, repository):
        (repository / "train.py").write_text(f"login('{TOKEN}', home='/home/alice/x')\n")
        patch = look(repository, patch=True).patch
        assert patch is not None
        assert "login(" in patch
        assert TOKEN not in patch
        assert "alice" not in patch

    def test_a_patch_that_is_too_long_is_left_out_and_that_is_said(self, repository):
        (repository / "train.py").write_text("x = 1\n" * (LARGEST_PATCH // 6))
        found = look(repository, patch=True)
        assert found.patch is None
        assert found.diff_digest is not None
        assert "was left out" in str(found.problem)

    def test_what_is_staged_before_the_first_commit_counts(self, tmp_path, git):
        git(tmp_path, "init", "--quiet")
        (tmp_path / "a.py").write_text("1\n")
        git(tmp_path, "add", "a.py")
        first = look(tmp_path)
        assert first.dirty is True
        (tmp_path / "a.py").write_text("2\n")
        assert look(tmp_path).diff_digest not in (None, first.diff_digest)

    def test_a_file_name_that_is_not_utf_8_is_no_trouble(self, repository, git):
        if sys.platform != "linux":
            pytest.skip("other systems have no such names")
        name = os.fsencode(repository) + b"/caf\xe9.py"
        with open(name, "w") as file:
            file.write("1\n")
        git(repository, "add", "--all")
        found = look(repository, patch=True)
        assert found.problem is None
        assert found.patch is not None
        assert "caf\udce9.py" in found.patch or "caf\\351.py" in found.patch


class TestSubmodules:
    @pytest.fixture
    def around(self, repository: Path, git: Any, tmp_path: Path) -> Path:
        directory = tmp_path / "around"
        directory.mkdir()
        git(directory, "init", "--quiet")
        for name in ("lib", "deep/other"):
            git(
                directory,
                *("-c", "protocol.file.allow=always", "submodule", "--quiet", "add"),
                *(str(repository), name),
            )
        git(directory, "commit", "--quiet", "-m", "first")
        return directory

    def test_they_are_listed_with_their_commits(self, around, repository, git):
        commit = git(repository, "rev-parse", "HEAD")
        expected = [
            SubmoduleInfo("lib", commit, "clean"),
            SubmoduleInfo("deep/other", commit, "clean"),
        ]
        assert look(around).submodules == expected
        assert look(around / "deep").submodules == expected
        assert look(around).dirty is False

    def test_a_changed_file_inside_is_noticed(self, around):
        (around / "lib" / "train.py").write_text("changed\n")
        found = look(around)
        assert [module.state for module in found.submodules] == ["modified", "clean"]
        assert found.dirty is True

    def test_another_commit_than_asked_for_is_the_one_that_is_recorded(self, around, git):
        commit_file(git, around / "lib", "print('moved')\n", "moved")
        commit = git(around / "lib", "rev-parse", "HEAD")
        assert look(around).submodules[0] == SubmoduleInfo("lib", commit, "moved")
        assert look(around).diff_digest is not None

    def test_one_that_is_not_checked_out_is_absent(self, around, git, repository, tmp_path):
        git(tmp_path, "clone", "--quiet", str(around), "copy")
        found = look(tmp_path / "copy")
        commit = git(repository, "rev-parse", "HEAD")
        assert found.submodules[0] == SubmoduleInfo("lib", commit, "absent")
        assert found.dirty is False

    def test_inside_of_one_it_is_the_repository(self, around, git):
        found = look(around / "lib")
        assert found.commit == git(around / "lib", "rev-parse", "HEAD")
        assert found.submodules == []
        assert found.worktree is False

    def test_a_damaged_list_of_them_costs_only_that(self, around, git):
        (around / ".gitmodules").write_text("[submodule\n")
        found = look(around)
        assert found.commit == git(around, "rev-parse", "HEAD")
        assert found.dirty is not False
        assert found.problem == "git could not read the repository"


class TestDamage:
    @pytest.mark.parametrize("content", [b"", b"nonsense\n", b"\0" * 41, b"ref: refs/heads/\xff\n"])
    def test_a_damaged_head_is_a_problem_that_is_named(self, repository, content):
        (repository / ".git" / "HEAD").write_bytes(content)
        found = look(repository)
        assert found.commit is None
        assert found.problem is not None or found.branch is not None

    def test_a_branch_that_a_power_loss_emptied(self, repository):
        (repository / ".git" / "refs" / "heads" / "trunk").write_bytes(b"")
        found = look(repository)
        assert found.commit is None
        assert found.branch == "trunk"

    def test_a_lost_object_leaves_the_name_of_the_commit(self, repository, git):
        commit = git(repository, "rev-parse", "HEAD")
        lost = repository / ".git" / "objects" / commit[:2] / commit[2:]
        lost.chmod(0o644)
        lost.unlink()
        found = look(repository)
        assert (found.commit, found.branch) == (commit, "trunk")
        assert found.problem == "git could not read the repository"

    def test_a_link_to_nowhere_is_a_problem_that_is_named(self, tmp_path, git):
        (tmp_path / ".git").write_text("gitdir: /nowhere/at/all\n")
        assert look(tmp_path).problem == "not in a git repository"

    def test_a_damaged_configuration_is_a_problem_that_is_named(self, repository):
        (repository / ".git" / "config").write_text("[core\n")
        assert look(repository).problem == "git could not read the repository"


@pytest.fixture
def replace_git(monkeypatch, tmp_path):
    def replace(script: str) -> None:
        tools = tmp_path / "tools"
        tools.mkdir()
        program = tools / "git"
        program.write_text(script)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")

    return replace


def test_a_wrapper_whose_child_hangs_is_stopped_with_its_child(repository, replace_git, tmp_path):
    replace_git(f"#!/bin/sh\nsleep 600 &\necho $! > {tmp_path}/child\nwait\n")
    assert look(repository, timeout=0.5).problem == "git did not answer within 0.5 s"
    child = int((tmp_path / "child").read_text())
    while is_running(child):  # the signal is sent; when it ends is the system's business
        os.sched_yield()


def is_running(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_git_that_only_hangs_on_the_files_gives_the_commit(repository, replace_git, git):
    commit = git(repository, "rev-parse", "HEAD")
    replace_git(
        '#!/bin/sh\ncase "$*" in *status*) exec sleep 600;; esac\n'
        'PATH=${PATH#*:} exec git "$@"\n'
    )
    found = look(repository, timeout=1.0)
    assert (found.commit, found.branch, found.dirty) == (commit, "trunk", None)
    assert found.problem == "git did not answer within 1 s"


def test_a_git_that_talks_nonsense_is_a_problem_that_is_named(repository, replace_git):
    replace_git("#!/bin/sh\nprintf '\\377\\376nonsense'\n")
    found = look(repository)
    assert found.commit is None
    assert found.problem is not None
