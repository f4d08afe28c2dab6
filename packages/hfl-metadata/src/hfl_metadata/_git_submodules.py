"""The submodules of a repository."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Sequence

from hfl_metadata._facts import SubmoduleInfo
from hfl_metadata._git_ask import Git, GitError
from hfl_metadata._privacy import private_text


def read_submodules(git: Git, root: Path, status: Sequence[str]) -> List[SubmoduleInfo]:
    """Describe the submodules.

    Not ``git submodule status``: it is a shell script, and takes ten times as long.

    Args:
        git: Asks about the repository.
        root: The root of its working tree.
        status: The entries of ``git status --porcelain=v2 -z``.

    Returns:
        The submodules that are part of the index, in the order of ``.gitmodules``.

    Raises:
        GitError: Git has no answer.
    """
    listing = git.ask(
        *("config", "-z", "--file", str(root / ".gitmodules")),
        *("--get-regexp", r"^submodule\..*\.path$"),
        partly=True,
    )
    paths = [entry.partition("\n")[2] for entry in listing.split("\0") if "\n" in entry]
    if not paths:
        return []
    wanted: Dict[str, str] = {}
    # Asked from the root: elsewhere git would name the paths relative to where it stands.
    staged = git.ask(
        "ls-files", "--stage", "-z", "--", *(f":(literal){path}" for path in paths), directory=root
    )
    for entry in staged.split("\0"):
        head, _, path = entry.partition("\t")
        mode, _, rest = head.partition(" ")
        if mode == "160000":
            wanted[path] = rest.partition(" ")[0]
    changed = _changed(status)
    return [
        _describe(git, root, path, wanted[path], changed.get(path))
        for path in paths
        if path in wanted
    ]


def _changed(status: Sequence[str]) -> Dict[str, str]:
    # "1 .M SC.. 160000 160000 160000 <hash> <hash> <path>": C for another commit, M for changed files
    found = {}
    for entry in status:
        fields = entry.split(" ", 8)
        if len(fields) == 9 and fields[0] == "1" and fields[2].startswith("S"):
            found[fields[8]] = fields[2]
    return found


def _describe(git: Git, root: Path, path: str, wanted: str, change: str | None) -> SubmoduleInfo:
    place = root / path
    name = private_text(path)
    if not (place / ".git").exists():  # else git would answer for the repository around it
        return SubmoduleInfo(name, wanted, "absent")
    if change is None:
        return SubmoduleInfo(name, wanted, "clean")
    if "C" not in change:
        return SubmoduleInfo(name, wanted, "modified" if "M" in change else "clean")
    try:
        commit: str | None = git.ask("rev-parse", "HEAD", directory=place).strip()
    except GitError:
        commit = None
    return SubmoduleInfo(name, commit, "moved")
