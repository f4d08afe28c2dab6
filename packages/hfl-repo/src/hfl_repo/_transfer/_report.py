"""What became of an upload."""

from __future__ import annotations

import dataclasses

from hfl_repo._transfer._change import Change

__all__ = ["TransferReport"]


@dataclasses.dataclass(frozen=True)
class TransferReport:
    """What became of an upload.

    Attributes:
        commit: The commit that holds it; None when nothing had to change and none was made.
        files: What was changed, by path.
        bytes_sent: Content that was sent, what had to be sent twice included. Xet sends less
            where it finds that the Hub has parts of a file.
        bytes_skipped: Content that was not sent because it is there: unchanged files, and large
            files that arrived before.
        bytes_copied: Content that the repository copied itself.
        retries: How often something was tried again.
        bytes_hashed: Content that had to be read to know it.
        head: The commit that the revision was at afterwards.
        pull_request: The page of the pull request that was opened, if one was.
        card_problems: Why README.md was left out, if it was: the Hub refuses it.
        ignored: Files that the Hub leaves out by the repository's ``.gitignore``.
        kept: Files that stay as somebody else left them meanwhile (``on_conflict="theirs"``).
        is_dry_run: Whether this is only what would be done.
    """

    commit: str | None
    files: tuple[Change, ...] = ()
    bytes_sent: int = 0
    bytes_skipped: int = 0
    bytes_copied: int = 0
    retries: int = 0
    bytes_hashed: int = 0
    head: str | None = None
    pull_request: str | None = None
    card_problems: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    is_dry_run: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing to change."""
        return not self.files
