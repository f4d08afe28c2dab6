"""The commands ``hfl hub …``; alone, ``hfl-hub …``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Optional, Tuple, TypeVar

import click

from hfl_core.cli import Output, main_for

_Function = TypeVar("_Function", bound=Callable[..., Any])


class _RootFolder(click.Path):
    """A folder's path that is not empty: pathlib takes that for the current one."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        from hfl_localhub._root_folder import as_root

        return super().convert(as_root(value), param, ctx)


def _root_option(function: _Function) -> _Function:
    return click.option(
        "--root",
        type=_RootFolder(file_okay=False, path_type=Path),
        envvar="HFL_HUB_ROOT",
        help="The folder that holds everything. [default: in the user's data folder]",
    )(function)


@click.group()
def hub() -> None:
    """Run a Hugging Face Hub on this machine."""


@hub.command()
@_root_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="The port to listen on; 0 takes a free one.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--user",
    "users",
    multiple=True,
    default=("local",),
    show_default=True,
    help="A user, made if need be; repeatable. `hfl hub env` signs in as the first.",
)
@click.option("--org", "orgs", multiple=True, help="An organization of these users; repeatable.")
@click.option(
    "--allow-remote", is_flag=True, help="Accept an address that other machines can reach."
)
def serve(
    root: Optional[Path],
    port: int,
    host: str,
    users: Tuple[str, ...],
    orgs: Tuple[str, ...],
    allow_remote: bool,
) -> None:
    """Serve until Ctrl-C.

    Everything is kept in the folder: stop and start as you like.

    \b
    Examples:
      hfl hub serve
      hfl hub serve --user ann --user bob --org lab
      hfl hub serve --root /scratch/hub --port 9000
    """
    from hfl_localhub._serving import serve_until_stopped

    output = Output()
    if allow_remote:
        output.warn(
            "Other machines may be able to reach this Hub. It speaks plain HTTP: who can read the"
            " network can read tokens and files. Use it where everybody may see everything."
        )
    serve_until_stopped(
        _root(root), host=host, port=port, users=users, orgs=orgs, allow_remote=allow_remote,
        say=output.note,
    )  # fmt: skip


@hub.command()
@_root_option
def env(root: Optional[Path]) -> None:
    """Print what makes this shell use the local Hub.

    The exports point HF_ENDPOINT to it, and HF_HOME and HF_TOKEN_PATH to a folder of its own:
    no token of the public Hub is read, shown or sent.

    \b
    Example:
      eval "$(hfl hub env)"
    """
    from hfl_localhub._serving import shell_exports

    click.echo(shell_exports(_root(root)))


@hub.command()
@_root_option
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(root: Optional[Path], dry_run: bool, yes: bool) -> None:
    """Delete all of the local Hub: repositories, users and tokens.

    \b
    Example:
      hfl hub reset --dry-run
    """
    from hfl_core.cli import human_bytes
    from hfl_localhub._reset import plan_reset

    output, folder = Output(), _root(root)
    plan = plan_reset(folder)
    plural = "y" if plan.repositories == 1 else "ies"
    what = f"{plan.repositories} repositor{plural} and {human_bytes(plan.size)} in {folder}"
    if dry_run:
        output.note(f"Would delete {what}.")
        return
    if not yes:
        click.confirm(f"Delete {what}?", abort=True, err=True)
    plan.carry_out()
    output.note(f"Deleted {what}.")


def _root(root: Optional[Path]) -> Path:
    if root is not None:
        return root
    from hfl_localhub._serving import default_root

    return default_root()


main = main_for(hub)
