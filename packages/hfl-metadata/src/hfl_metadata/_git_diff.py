"""The difference between the commit and the tracked files."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from hfl_metadata._git_ask import Git
from hfl_metadata._privacy import private_text

LARGEST_PATCH = 1 << 20
"""Bytes of a patch that go into a record, which every checkpoint has a copy of."""

# The same difference gives the same text whatever the user's own configuration says, and asking runs
# no program that the configuration names. A binary file is there with the hash of its content.
_DIFF = (
    "diff",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    "--no-relative",
    "--full-index",
    "--unified=3",
    "--inter-hunk-context=0",
    "--diff-algorithm=myers",
    "--no-indent-heuristic",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--submodule=short",
    "-O/dev/null",
)


class Difference(NamedTuple):
    """What differs.

    Attributes:
        digest: Of the whole text.
        patch: The text, private parts removed; None where it is not wanted, or too long.
        problem: Why there is no patch though it is wanted.
    """

    digest: str
    patch: str | None
    problem: str | None


def read_difference(git: Git, *, has_commit: bool, keep: bool) -> Difference:
    """Read the difference.

    Args:
        git: Asks about the repository.
        has_commit: Whether there is a commit to compare with.
        keep: Whether the text is wanted.

    Returns:
        The difference.

    Raises:
        GitError: Git has no answer.
    """
    if has_commit:
        text = git.ask_bytes(*_DIFF, "HEAD", "--")
    else:  # what is staged, and what differs from that
        text = git.ask_bytes(*_DIFF, "--cached", "--") + git.ask_bytes(*_DIFF, "--")
    digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
    if not keep:
        return Difference(digest, None, None)
    if len(text) > LARGEST_PATCH:
        return Difference(digest, None, f"the patch has {len(text):,} bytes and was left out")
    return Difference(digest, private_text(text.decode("utf-8", "surrogateescape")), None)
