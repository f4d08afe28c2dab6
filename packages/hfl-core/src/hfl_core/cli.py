"""What every command shares: output formats, error messages, exit codes and common options.

Needs the extra `cli`: ``pip install 'hfl-core[cli]'``. A package writes its commands like this::

    @click.group()
    def checkpoint() -> None:
        "Save, find and verify checkpoints."

    @checkpoint.command("list")
    @click.argument("directory")
    @format_option
    def list_(directory: str, output: Output) -> None:
        "List the checkpoints of a run."
        output.rows([...], {"step": "Step"})

    main = main_for(checkpoint)
"""

from __future__ import annotations

import functools
import io
import os
import sys
import traceback
from pathlib import Path
from typing import Any, Callable, NoReturn, TypeVar, cast

from hfl_core.errors import HflError, MissingExtraError

try:
    import click
except ImportError as error:
    raise MissingExtraError("the command line", extra="hfl-core[cli]") from error

from hfl_core._cli_options import SharedState, configure, with_shared_options
from hfl_core._output import FORMATS, Output, human_bytes
from hfl_core._redact import redact
from hfl_core._terminal import console, say, use_color

__all__ = ["Output", "format_option", "human_bytes", "main_for"]

_F = TypeVar("_F", bound=Callable[..., Any])

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130  # 128 + SIGINT, what a shell reports
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE, what other tools end with when their reader leaves


def format_option(function: _F) -> _F:
    """Add `--format table|json|yaml|csv` to a command.

    Args:
        function: The command's function; it gets the keyword argument `output`, an `Output`.

    Returns:
        The function to hand to `click.command`.

    Example:
        >>> @click.command()
        ... @format_option
        ... def runs(output):
        ...     output.record({"name": "digits"})
        >>> runs(["--format", "csv"], standalone_mode=False)
        name
        digits
    """

    @functools.wraps(function)
    def with_output(*args: Any, **options: Any) -> Any:
        return function(*args, output=Output(options.pop("format_")), **options)

    option = click.option(
        "--format",
        "format_",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="How results are written.",
    )
    return cast("_F", option(with_output))


def main_for(command: click.Command) -> Callable[[], None]:
    """Make the function that a console script calls.

    It runs the command on `sys.argv` and ends the process: with the `exit_code` of an `HflError`
    (one clear line and the hint on stderr), 2 for wrong usage, 130 for Ctrl-C, 1 for anything
    unexpected, and silently when the reader of a pipe has left. `--debug` or `HFL_DEBUG=1`
    adds the traceback. Texts are redacted. The command also gets `-v`, `-q` and `--version`.

    Args:
        command: A click command or group.

    Returns:
        A function without arguments that never returns.

    Example:
        >>> @click.command()
        ... def hello():
        ...     click.echo("hello")
        >>> main = main_for(hello)
    """

    def main() -> None:
        _open_closed_streams()
        state = SharedState()
        state.is_debug = os.environ.get("HFL_DEBUG", "").lower() not in {"", "0", "false", "no"}
        _tolerate_narrow_encodings()
        prog = _program_name(command)
        extended = with_shared_options(command, state)
        _complete_and_exit_if_asked(extended, prog)
        configure(state)
        try:
            _run(extended, prog)
        except Exception as error:  # noqa: BLE001  # errors become exit codes here
            _leave(_report(error, state))
        except KeyboardInterrupt:
            _complain("Interrupted.")
            _leave(EXIT_INTERRUPTED)
        _leave(0)

    return main


def _run(command: click.Command, prog: str) -> None:
    # Not command.main(): it ends the process with status 1 on any EPIPE, a lost connection included.
    try:
        with command.make_context(prog, sys.argv[1:]) as context:
            command.invoke(context)
        _flush()
    except click.exceptions.Exit as error:
        _flush()
        if error.exit_code:
            _leave(error.exit_code)


def _flush() -> None:
    if sys.stdout is not None:  # a command that has no results runs well without
        sys.stdout.flush()


def _report(error: Exception, state: SharedState) -> int:
    if isinstance(error, BrokenPipeError) and not isinstance(error, HflError) and _reader_left():
        return EXIT_BROKEN_PIPE
    if isinstance(error, click.ClickException):
        return _report_usage(error)
    if isinstance(error, click.Abort):
        _complain("Aborted.")
        # A prompt turns Ctrl-C into Abort; answering "no" is one too, but nobody pressed a key for it.
        was_interrupted = isinstance(error.__context__, KeyboardInterrupt)
        if not was_interrupted and not sys.stdin.isatty():
            _complain(
                "There is nobody to ask here. In a script, answer with an option, such as --yes.",
                prefix="Hint: ",
                style="cyan",
            )
        return EXIT_INTERRUPTED if was_interrupted else EXIT_FAILED
    if state.is_debug:
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        say(redact(text.rstrip()))
    if isinstance(error, HflError):
        _complain(error.message, prefix="Error: ")
        for remark in [error.hint, *getattr(error, "__notes__", ())]:
            if remark:
                _complain(
                    remark, prefix="Hint: " if remark is error.hint else "Note: ", style="cyan"
                )
        return error.exit_code
    summary = " ".join(str(error).split())
    _complain(
        f"{type(error).__name__}: {summary}" if summary else type(error).__name__,
        prefix="Unexpected error: ",
    )
    if not state.is_debug:
        _complain(
            "Run it again with --debug to see where it came from.", prefix="Hint: ", style="cyan"
        )
    return EXIT_FAILED


def _report_usage(error: click.ClickException) -> int:
    shown = io.StringIO()
    error.show(file=shown)
    say(redact(shown.getvalue().rstrip()))
    return error.exit_code


def _complain(text: str, *, prefix: str = "", style: str = "bold red") -> None:
    safe = redact(text)
    if prefix and use_color(sys.stderr):
        from rich.text import Text

        console(sys.stderr).print(Text.assemble((prefix, style), safe), soft_wrap=True)
        return
    say(f"{prefix}{safe}")


def _leave(code: int) -> NoReturn:
    try:
        _flush()
    except OSError:
        # What is still buffered would fail once more when the interpreter closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _reader_left() -> bool:
    """Tell a pipe whose reader left from a broken connection somewhere inside the command."""
    import select

    if not hasattr(select, "poll"):
        return True
    watch = select.poll()
    try:
        watch.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in watch.poll(0))


def _open_closed_streams() -> None:
    """Take the numbers of streams that the caller closed (`>&-`), or the next file to be opened does.

    stdout stays closed all the same: results that nobody gets are an error.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)
            if name != "stdout":
                setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))


def _tolerate_narrow_encodings() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _program_name(command: click.Command) -> str:
    name = Path(sys.argv[0]).stem if sys.argv and sys.argv[0] else ""
    return name if name not in {"", "-c", "-m", "__main__"} else (command.name or "hfl")


def _complete_and_exit_if_asked(command: click.Command, prog: str) -> None:
    variable = f"_{prog}_COMPLETE".replace("-", "_").replace(".", "_").upper()
    instruction = os.environ.get(variable)
    if instruction:
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(command, {}, prog, variable, instruction))
