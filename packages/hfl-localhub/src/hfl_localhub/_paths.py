"""Names and paths that may be stored. What git, a file system or the Hub would trip over may not."""

from __future__ import annotations

import re

from hfl_localhub._errors import bad_request

__all__ = ["check_path", "check_repo_name", "is_valid_namespace"]

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
# What HFS+ leaves out of a name when it looks for it; git refuses names that differ by these only.
_IGNORED = re.compile("[\u200b-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_LONGEST_PATH = 1024
_LONGEST_NAME = 255


def is_valid_namespace(name: str) -> bool:
    """Whether a user or an organization may be called this."""
    return _NAME.fullmatch(name) is not None and "--" not in name and ".." not in name


def check_repo_name(name: object) -> str:
    """Return the name if a repository may be called this.

    Raises:
        HubError: 400, with the rule.
    """
    if (
        not isinstance(name, str)
        or not is_valid_namespace(name)
        or name.endswith((".git", ".ipynb"))
    ):
        raise bad_request(
            f"Invalid repo name: {name!r}. Use alphanumeric characters, '-', '_' and '.'; no '--'"
            " or '..', no '-' or '.' at either end, no '.git' at the end, at most 96 characters.",
            code="InvalidRepoName",
        )
    return name


def check_path(path: object) -> str:
    """Return the path if a repository may hold a file or folder there.

    Raises:
        HubError: 400: absolute, climbing, with a ``.git`` part, too long or not text.
    """
    if not isinstance(path, str) or not path:
        raise bad_request("A path has to be a non-empty string.", code="InvalidPath")
    try:
        size = len(path.encode("utf-8"))
    except UnicodeEncodeError:
        raise bad_request("A path has to be valid Unicode.", code="InvalidPath") from None
    if size > _LONGEST_PATH:
        raise bad_request(f"A path has at most {_LONGEST_PATH} bytes.", code="InvalidPath")
    for part in path.split("/"):
        problem = _problem(part)
        if problem is not None:
            raise bad_request(f"Invalid path {path!r}: {problem}.", code="InvalidPath")
    return path


def _problem(part: str) -> str | None:
    if part in ("", ".", ".."):
        return "it has to be relative, without empty, '.' or '..' parts"
    if _is_git_folder(part):
        return "no part may be '.git' or what a file system takes for it"
    if len(part.encode("utf-8")) > _LONGEST_NAME:
        return f"a name has at most {_LONGEST_NAME} bytes"
    if any(ord(character) < 32 or ord(character) == 127 for character in part) or "\\" in part:
        return "control characters and backslashes are not allowed"
    return None


def _is_git_folder(part: str) -> bool:
    """Whether some file system opens git's own folder by this name.

    NTFS drops dots and spaces at the end, takes what follows a colon for a stream of the same
    file, and knows ``.git`` as ``git~1``, too.
    """
    folded = _IGNORED.sub("", part).lower().split(":")[0].rstrip(". ")
    return folded in (".git", "git~1")
