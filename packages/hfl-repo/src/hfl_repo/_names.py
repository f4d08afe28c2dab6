"""Which names of repositories, branches and tags a Hub takes."""

from __future__ import annotations

import re

from hfl_core.errors import ValidationError
from hfl_repo._target import REPO_TYPES, RepoType

__all__ = ["check_ref_name", "check_repo_id", "check_repo_type"]

_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_LONGEST = 96
_COMMIT = re.compile(r"[0-9a-f]{40}")
# What git does not take in a reference, besides what is checked in words below.
_NOT_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")


def check_repo_id(repo_id: object) -> str:
    """Check the name of a repository.

    Args:
        repo_id: ``namespace/name`` or ``name``.

    Returns:
        The name.

    Raises:
        ValidationError: It is none; the message says what is wrong with it.
    """
    problem = _repo_id_problem(repo_id)
    if problem is not None:
        raise ValidationError(
            f"{repo_id!r} is not the name of a repository: {problem}.",
            hint="It looks like 'namespace/name', with letters, digits, '-', '_' and '.'.",
        )
    return str(repo_id)


def check_repo_type(repo_type: object) -> RepoType:
    """Check the type of a repository.

    Raises:
        ValidationError: There is no such type.
    """
    for known in REPO_TYPES:
        if repo_type == known:
            return known
    raise ValidationError(
        f"There is no repository type {repo_type!r}.", hint=f"Types are: {', '.join(REPO_TYPES)}."
    )


def check_ref_name(name: object, kind: str) -> str:
    """Check the name of a branch or a tag.

    Args:
        name: The name, without ``refs/heads/`` or ``refs/tags/``.
        kind: ``"branch"`` or ``"tag"``.

    Returns:
        The name.

    Raises:
        ValidationError: git or the Hub would refuse it.
    """
    problem = _ref_problem(name)
    if problem is not None:
        raise ValidationError(
            f"{name!r} is not the name of a {kind}: {problem}.",
            hint="Use letters, digits, '-', '_', '.' and '/', as in 'experiments/lr-3e-4'.",
        )
    return str(name)


def _repo_id_problem(repo_id: object) -> str | None:
    if not isinstance(repo_id, str) or not repo_id:
        return "it is empty" if repo_id == "" else "it is no text"
    parts = repo_id.split("/")
    if len(parts) > 2:
        return "it has more than one '/'"
    for part in parts:
        if not part:
            return "a part of it is empty"
        if len(part) > _LONGEST:
            return f"a part of it is longer than {_LONGEST} characters"
        if "--" in part or ".." in part:
            return "'--' and '..' are not allowed"
        if not _PART.fullmatch(part):
            return "it has characters, or a first or last one, that are not allowed"
    return "it ends with '.git'" if parts[-1].endswith(".git") else None


def _ref_problem(name: object) -> str | None:
    if not isinstance(name, str) or not name:
        return "it is empty" if name == "" else "it is no text"
    if name.startswith("refs/"):
        return "what starts with 'refs/' belongs to the Hub"
    if _COMMIT.fullmatch(name):
        return "it looks like a commit"
    if name in {"HEAD", "@"}:
        return "git means something else by it"
    if _NOT_IN_REF.search(name):
        return "it has characters that git does not take"
    for part in name.split("/"):
        if not part or part.startswith((".", "-")) or part.endswith((".", ".lock")):
            return "a part of it is empty, starts with '.' or '-', or ends with '.' or '.lock'"
    return None if len(name.encode()) <= 200 else "it is longer than 200 bytes"
