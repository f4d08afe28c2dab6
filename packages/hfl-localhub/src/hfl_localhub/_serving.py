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
from hfl_localhub._durable import read_json, write_json
from hfl_localhub._environment import REMOVED, client_settings
from hfl_localhub._folder_lock import FolderLock
from hfl_localhub._server import LocalHub

__all__ = ["default_root", "serve_until_stopped", "shell_exports"]

_MARKER = "running.json"


def default_root() -> Path:
    """Return the folder of the Hub that is used when none is named."""
    return Path(platformdirs.user_data_dir("huggingface-lifecycle")) / "hub"


def serve_until_stopped(
    root: Path,
    *,
    host: str,
    port: int,
    user: str,
    orgs: Sequence[str],
    allow_remote: bool,
    say: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        root: The Hub's folder.
        host: The address.
        port: The port.
        user: The user whose token the Hub's clients find.
        orgs: The organizations of that user.
        allow_remote: Whether the address may be one that others can reach.
        say: Tells the person at the terminal.
    """
    hub = LocalHub(root, port, host=host, allow_remote=allow_remote)
    with _stop_signals() as stopped, hub:
        _sign_in(hub, user, orgs)
        marker = hub.root / _MARKER
        write_json(marker, {"endpoint": hub.endpoint})
        say(f"Serving {hub.root} at {hub.endpoint} for the user {user!r}.")
        say(f'In another shell: eval "$(hfl hub env --root {shlex.quote(str(hub.root))})"')
        say("Press Ctrl-C to stop.")
        try:
            stopped.wait()
        finally:
            marker.unlink()
    say("Stopped. Everything is kept.")


def _sign_in(hub: LocalHub, user: str, orgs: Sequence[str]) -> None:
    """Keep the token of the last time if it is still that user's; else make one."""
    path = hub.home / "token"
    known = hub.user_of(path.read_text().strip()) if path.is_file() else None
    if known != user or orgs:
        hub.log_in(hub.create_user(user, orgs=orgs))


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
            f"No local Hub is serving {root}.", hint=f"Start one: hfl hub serve --root {root}"
        )
    exports = client_settings(marker["endpoint"], (root / "client").resolve())
    lines = [f"export {name}={shlex.quote(value)}" for name, value in exports.items()]
    return "\n".join([f"unset {' '.join(REMOVED)}", *lines])
