"""What git says about a directory. Git is asked, never trusted to answer."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from hfl_metadata._privacy import without_credentials
from hfl_metadata._record import GitInfo

TIMEOUT = 2.0
"""Seconds that all questions together may take. A cold network file system needs some."""

# Optional locks would let a read-only question race with the user's own git; a file-system
# monitor is a program that the repository's configuration names, and asking must run none.
_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false")
_QUIET = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def read_git(directory: Path, *, timeout: float = TIMEOUT) -> GitInfo:
    """Describe the repository that holds a directory.

    Args:
        directory: Any directory inside the working tree.
        timeout: Seconds after which git is stopped.

    Returns:
        The facts; all None, with the `problem`, where there is no answer.
    """
    # One question answers commit, branch and cleanliness, consistently. Untracked files are not
    # counted: a run's own output would make every tree dirty, and listing them can be slow.
    status, problem = _ask(
        directory, "status", "--porcelain=v2", "--branch", "--untracked-files=no", timeout=timeout
    )
    if status is None:
        return GitInfo(problem=problem)
    commit = branch = None
    dirty = False
    for line in status.splitlines():
        if line.startswith("# branch.oid "):
            commit = _known(line[len("# branch.oid ") :], "(initial)")
        elif line.startswith("# branch.head "):
            branch = _known(line[len("# branch.head ") :], "(detached)")
        elif not line.startswith("#"):
            dirty = True
    remote, _ = _ask(directory, "config", "--get-regexp", r"^remote\..*\.url$", timeout=timeout)
    return GitInfo(commit=commit, branch=branch, dirty=dirty, remote=_pick_remote(remote))


def _known(value: str, unknown: str) -> str | None:
    return None if value == unknown else value


def _pick_remote(listing: str | None) -> str | None:
    remotes = dict(line.split(" ", 1) for line in (listing or "").splitlines() if " " in line)
    if not remotes:
        return None
    address = remotes.get("remote.origin.url") or remotes[sorted(remotes)[0]]
    return without_credentials(address)


def _ask(directory: Path, *question: str, timeout: float) -> tuple[str | None, str | None]:
    try:
        answer = subprocess.run(
            [*_GIT, *question],
            cwd=directory,
            env={**os.environ, **_QUIET},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"git did not answer within {timeout:g} s"
    except OSError as error:
        return None, f"git could not be run ({type(error).__name__})"
    if answer.returncode != 0:
        return None, _reason(answer.stderr.decode("utf-8", "replace"))
    return answer.stdout.decode("utf-8", "surrogateescape"), None


def _reason(stderr: str) -> str:
    # Git's own text names paths; what kind of trouble it was is enough here.
    if "not a git repository" in stderr:
        return "not in a git repository"
    if "dubious ownership" in stderr:
        return "the repository belongs to another user"
    return "git could not read the repository"
