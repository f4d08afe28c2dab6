"""``hfl init``: a guided set-up of a folder."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hfl_core.cli import Output, format_option

__all__ = ["init"]

_LABELS = {
    "file": "File", "status": "Status", "account": "Account", "endpoint": "Hub", "detail": "Token from", "keep": "Checkpoints kept", "ignored": "Out of git",
}  # fmt: skip


@click.command()
@click.option("--profile", metavar="NAME", help="The profile to act as here; made if need be.")
@click.option("--endpoint", metavar="URL", help="The Hub to use here.")
@click.option("--keep", metavar="POLICY", help="Which checkpoints are kept here, such as last:3.")
@click.option(
    "--gitignore",
    "ignored",
    metavar="FOLDER",
    multiple=True,
    help="Keep a folder of runs out of git; may be repeated.",
)
@click.option(
    "--token-stdin", is_flag=True, help="Read a token from standard input if one is needed."
)
@click.option(
    "--yes",
    is_flag=True,
    help="Ask nothing: replace what hfl.toml says, leave the rest as it is.",
)
@format_option
def init(  # one argument for each question
    *,
    profile: str | None,
    endpoint: str | None,
    keep: str | None,
    ignored: tuple[str, ...],
    token_stdin: bool,
    yes: bool,
    output: Output,
) -> None:
    """Set this folder up: sign in if nobody is, and write its hfl.toml.

    On a terminal, a folder without an hfl.toml is set up by questions: which Hub, which checkpoints are
    kept, and which folder of runs stays out of git. An option answers its question beforehand, and a script
    is asked nothing. The file never holds a token. It is safe to run this again: what is right
    already stays as it is.

    \b
    Examples:
      hfl init
      hfl init --profile work --keep "last:3 | best:eval_loss" --gitignore runs
      pass show hub | hfl init --profile work --token-stdin
    """
    from hf_lifecycle._initialize import Wishes, initialize

    wishes = Wishes(profile=profile, endpoint=endpoint, keep=keep, ignored=ignored)
    folder = Path.cwd()
    if not yes and not token_stdin and _is_a_person():
        from hf_lifecycle._init_questions import ask

        wishes = ask(folder, wishes)
    done = initialize(folder, output, wishes, from_stdin=token_stdin, yes=yes)
    shown = {**done, "ignored": ", ".join(done["ignored"]) or None}
    output.record(shown if output.format == "table" else done, labels=_LABELS)


def _is_a_person() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))
