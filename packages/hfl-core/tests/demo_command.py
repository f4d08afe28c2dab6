"""A command like the ones that packages write; tests run it in processes of its own."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import NoReturn

import click

from hfl_core import NotFoundError, RateLimitError, RetryPolicy, get_logger
from hfl_core.cli import Output, format_option, main_for

LOG = get_logger("demo.command")
SECRET = "hf_" + "a1B2" * 8


@click.group()
def demo() -> None:
    """Show what commands share."""


@demo.command("list")
@click.argument("count", type=int)
@format_option
def list_(count: int, output: Output) -> None:
    """List some steps."""
    LOG.info("listing %d", count)
    output.note("looking")
    output.warn(f"careful with {SECRET}")
    rows = [
        {"step": step, "name": f"step-{step:08d}", "pinned": step % 2 == 0} for step in range(count)
    ]
    output.rows(rows, {"step": "Step", "name": "Name"}, empty="There are no steps.")


@demo.command()
@format_option
def show(output: Output) -> None:
    """Show one step."""
    output.record({"step": 500, "loss": float("nan"), "tags": ["a", "b"]})


@demo.command()
@click.argument("kind")
def fail(kind: str) -> None:
    """End in many ways."""
    {
        "known": _known,
        "crash": _crash,
        "empty": _empty,
        "interrupt": _interrupt,
        "abort": _abort,
        "prompt": _prompt,
        "exit": lambda: click.get_current_context().exit(5),
        "sysexit": lambda: sys.exit(6),
        "retry": _retry,
        "socket": _lost_connection,
        "usage": _usage,
    }[kind]()


def _known() -> NoReturn:
    raise NotFoundError(f"No run {SECRET}.", hint="Look elsewhere.")


def _crash() -> NoReturn:
    raise RuntimeError(f"broken\nby {SECRET}")


def _empty() -> NoReturn:
    raise RuntimeError


def _interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()


def _abort() -> None:
    click.confirm("Sure?", abort=True)


def _prompt() -> None:
    click.prompt("Name")


def _retry() -> None:
    def attempt() -> NoReturn:
        raise RateLimitError("Slow down.", retry_after=3600)

    RetryPolicy(timeout=60).call(attempt)


def _lost_connection() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    ours.sendall(b"x")


def _usage() -> NoReturn:
    raise click.BadParameter(f"{SECRET} is no number")


main = main_for(demo)

if __name__ == "__main__":
    main()
