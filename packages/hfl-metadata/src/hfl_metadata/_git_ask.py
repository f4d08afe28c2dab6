"""Asking git one question after the other, all in all for a limited time."""

from __future__ import annotations

import os
from pathlib import Path

from hfl_metadata._process import Deadline, ask

# Optional locks would let a read-only question race with the user's own git; a file-system
# monitor is a program that the repository's configuration names, and asking must run none.
_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false")
_QUIET = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


class GitError(Exception):
    """Git has no answer; the text says why, without naming a path."""


class Git:
    """Asks git about a directory.

    Args:
        directory: Any directory inside the working tree.
        timeout: Seconds for all questions together.

    Attributes:
        directory: The same.
    """

    def __init__(self, directory: Path, timeout: float) -> None:
        self.directory = directory
        self._deadline = Deadline(timeout)

    def ask(self, *question: str, directory: Path | None = None, partly: bool = False) -> str:
        """Ask one question.

        Args:
            *question: What follows ``git`` on a command line.
            directory: Another directory to ask about.
            partly: Be content with what was said before git failed, if anything was.

        Returns:
            The answer; bytes that are not UTF-8 as surrogates.

        Raises:
            GitError: There is none.
        """
        return self.ask_bytes(*question, directory=directory, partly=partly).decode(
            "utf-8", "surrogateescape"
        )

    def ask_bytes(
        self, *question: str, directory: Path | None = None, partly: bool = False
    ) -> bytes:
        """Ask one question as `ask` does; the answer is bytes."""
        try:
            answer = ask(
                [*_GIT, *question],
                directory=directory or self.directory,
                environment={**os.environ, **_QUIET},
                deadline=self._deadline,
            )
        except TimeoutError:
            raise GitError(f"git did not answer within {self._deadline.seconds:g} s") from None
        except OSError as error:
            raise GitError(f"git could not be run ({type(error).__name__})") from None
        if answer.code != 0 and not (partly and answer.output):
            raise GitError(_reason(answer.errors.decode("utf-8", "replace")))
        return answer.output


def _reason(stderr: str) -> str:
    # Git's own text names paths; what kind of trouble it was is enough here.
    if "not a git repository" in stderr:
        return "not in a git repository"
    if "dubious ownership" in stderr or "unsafe repository" in stderr:
        return "the repository belongs to another user"
    return "git could not read the repository"
