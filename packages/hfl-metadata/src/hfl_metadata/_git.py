"""What git says about a directory. Git is asked, never trusted to answer."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Callable, List, NamedTuple, Tuple

from hfl_metadata._facts import GitInfo
from hfl_metadata._git_ask import Git, GitError
from hfl_metadata._git_diff import read_difference
from hfl_metadata._git_submodules import read_submodules
from hfl_metadata._privacy import private_text, without_credentials

TIMEOUT = 2.0
"""Seconds that all questions together may take. A cold network file system needs some."""

# What git leaves in its directory while something is under way, and what that is called.
_OPERATIONS = (
    ("rebase-merge", "rebase"),
    ("rebase-apply", "rebase"),
    ("MERGE_HEAD", "merge"),
    ("CHERRY_PICK_HEAD", "cherry-pick"),
    ("REVERT_HEAD", "revert"),
    ("BISECT_LOG", "bisect"),
)
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class _Place(NamedTuple):
    root: Path
    directory: Path
    """Git's own, of this worktree."""
    is_linked: bool
    commit: str | None


def read_git(
    directory: Path, *, patch: bool = False, timeout: float = TIMEOUT
) -> Tuple[GitInfo, Path | None]:
    """Describe the repository that holds a directory.

    Args:
        directory: Any directory inside the working tree.
        patch: Record the difference between the commit and the tracked files, too.
        timeout: Seconds after which git is stopped.

    Returns:
        The facts, None, with the `problem`, where there is no answer; and the root of the working
        tree, for this process alone.
    """
    git = Git(directory, timeout)
    try:
        place = _place(git)
    except GitError as error:
        return GitInfo(problem=str(error)), None
    # What is known without looking at the working tree, which may be large, slow or damaged.
    info = GitInfo(
        commit=place.commit,
        branch=_branch_of(place.directory),
        operation=next(
            (name for mark, name in _OPERATIONS if (place.directory / mark).exists()), None
        ),
        worktree=place.is_linked,
    )
    status: List[str] = []
    steps: Tuple[Callable[[GitInfo], GitInfo], ...] = (
        lambda so_far: _with_status(git, so_far, status),
        lambda so_far: dataclasses.replace(so_far, remote=_remote(git)),
        lambda so_far: _with_submodules(git, so_far, place, status),
        lambda so_far: _with_difference(git, so_far, keep=patch),
    )
    for step in steps:
        try:
            info = step(info)
        except GitError as error:
            info = dataclasses.replace(info, problem=info.problem or str(error))
    return info, place.root


def _place(git: Git) -> _Place:
    said = git.ask(
        *("rev-parse", "--is-bare-repository", "--absolute-git-dir"),
        *("--git-common-dir", "--show-toplevel", "HEAD"),
        partly=True,  # without a commit, and without a working tree, it says less
    ).splitlines()
    if len(said) < 4:
        raise GitError(
            "the repository has no working tree"
            if said[:1] == ["true"]
            else "git could not read the repository"
        )
    own = Path(said[1])
    # The common directory is relative to where git was asked.
    common = Path(git.directory, said[2])
    commit = said[4] if len(said) > 4 and _HASH.fullmatch(said[4]) else None
    return _Place(Path(said[3]), own, own.resolve() != common.resolve(), commit)


def _branch_of(directory: Path) -> str | None:
    try:
        head = (directory / "HEAD").read_text(encoding="utf-8", errors="surrogateescape").strip()
    except OSError:
        return None
    name = head[len("ref: refs/heads/") :] if head.startswith("ref: refs/heads/") else None
    return None if name in (None, ".invalid") else private_text(name)  # so in a reftable repository


def _with_status(git: Git, info: GitInfo, status: List[str]) -> GitInfo:
    # Untracked files are not counted: a run's own output would make every tree dirty, and listing
    # them can be slow.
    entries = git.ask("status", "--porcelain=v2", "--branch", "--untracked-files=no", "-z").split(
        "\0"
    )
    branch = info.branch
    for entry in entries:
        if entry.startswith("# branch.head "):
            name = entry[len("# branch.head ") :]
            if name == "(detached)":
                branch = None
            elif name != "(unknown)":  # so where the branch's file is damaged
                branch = private_text(name)
    status.extend(entry for entry in entries if entry and not entry.startswith("#"))
    return dataclasses.replace(info, branch=branch, dirty=bool(status))


def _remote(git: Git) -> str | None:
    try:
        listing = git.ask("config", "--get-regexp", r"^remote\..*\.url$")
    except GitError:  # so git says that there is none
        return None
    remotes = dict(line.split(" ", 1) for line in listing.splitlines() if " " in line)
    if not remotes:
        return None
    address = remotes.get("remote.origin.url") or remotes[sorted(remotes)[0]]
    return without_credentials(address)


def _with_submodules(git: Git, info: GitInfo, place: _Place, status: List[str]) -> GitInfo:
    if not (place.root / ".gitmodules").exists():
        return info
    return dataclasses.replace(info, submodules=read_submodules(git, place.root, status))


def _with_difference(git: Git, info: GitInfo, *, keep: bool) -> GitInfo:
    if not info.dirty:
        return info
    found = read_difference(git, has_commit=info.commit is not None, keep=keep)
    return dataclasses.replace(
        info,
        diff_digest=found.digest,
        patch=found.patch,
        problem=info.problem or found.problem,
    )
