"""A Hub in a process of its own, and how other processes find it."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Callable, Iterator, Optional, Sequence

import platformdirs

from hfl_core.errors import NotFoundError
from hfl_localhub._client_home import read_token, read_tokens, write_tokens
from hfl_localhub._durable import read_json, write_json
from hfl_localhub._environment import REMOVED, client_settings
from hfl_localhub._folder_lock import FolderLock
from hfl_localhub._server import LocalHub

__all__ = ["default_root", "serve_until_stopped", "shell_exports"]

_LONGEST_WAIT = 1.0  # seconds
_MARKER = "running.json"


def default_root() -> Path:
    """Return the folder of the Hub that is used when none is named."""
    return Path(platformdirs.user_data_dir("huggingface-lifecycle")) / "hub"


def serve_until_stopped(
    root: Path,
    *,
    host: str,
    port: int,
    users: Sequence[str],
    orgs: Sequence[str],
    allow_remote: bool,
    say: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        root: The Hub's folder.
        host: The address.
        port: The port.
        users: Whose tokens the Hub's clients find; the first is who they are.
        orgs: The organizations of these users.
        allow_remote: Whether the address may be one that others can reach.
        say: Tells the person at the terminal.
    """
    hub = LocalHub(root, port, host=host, allow_remote=allow_remote)
    with _stop_signals() as stopped, hub:
        _sign_in(hub, users, orgs)
        marker = hub.root / _MARKER
        write_json(marker, {"endpoint": hub.endpoint})
        named = " and ".join(repr(user) for user in users)
        say(f"Serving {hub.root} at {hub.endpoint} for {named}.")
        say(f'In another shell: eval "$(hfl hub env{root_option(hub.root)})"')
        say("Press Ctrl-C to stop.")
        try:
            # A signal in the moment before the wait begins does not interrupt it.
            while not stopped.wait(_LONGEST_WAIT):
                pass
        finally:
            marker.unlink()
    say("Stopped. Everything is kept.")


def _sign_in(hub: LocalHub, users: Sequence[str], orgs: Sequence[str]) -> None:
    """Keep the tokens of the last time if they are still these users'; else make new ones."""
    stored = read_tokens(hub.home)
    active = read_token(hub.home)
    tokens: dict[str, str] = {}
    for user in users:
        known = [each for each in (active, stored.get(user)) if each and hub.user_of(each) == user]
        tokens[user] = known[0] if known and not orgs else hub.create_user(user, orgs=orgs)
    owners = {name: hub.user_of(token) for name, token in {**stored, **tokens}.items()}
    accounts = {name: owner for name, owner in owners.items() if owner is not None}
    write_tokens(hub.home, tokens, endpoint=hub.endpoint, accounts=accounts)
    hub.log_in(tokens[users[0]])


def root_option(root: Path) -> str:
    """Return what to add to a command so that it means this Hub: nothing for the default one."""
    if root == default_root():
        return ""
    try:  # what is said shows no home folder, and a shell expands ~ only outside of quotes
        return f" --root ~/{shlex.quote(str(root.relative_to(Path.home())))}"
    except ValueError:
        return f" --root {shlex.quote(str(root))}"


@contextlib.contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    stopped = threading.Event()

    def stop(number: int, frame: Optional[FrameType]) -> None:  # noqa: ARG001  # signal's form
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def shell_exports(root: Path) -> str:
    """Return the lines for a POSIX shell that make it use the Hub that serves a folder.

    Raises:
        NotFoundError: None does.
    """
    is_there = os.path.isfile(root / _MARKER)  # noqa: PTH113  # False whatever is wrong with it
    marker = read_json(root / _MARKER) if is_there else None
    if marker is None or not FolderLock(root).is_held():
        raise NotFoundError(
            f"No local Hub is serving {root}.", hint=f"Start one: hfl hub serve{root_option(root)}"
        )
    exports = client_settings(marker["endpoint"], (root / "client").resolve())
    lines = [f"export {name}={shlex.quote(value)}" for name, value in exports.items()]
    return "\n".join([f"unset {' '.join(REMOVED)}", *lines])
