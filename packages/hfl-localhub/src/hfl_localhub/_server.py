"""A running Hub: uvicorn in a thread of this process."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Callable, Optional, Union

from hfl_core.errors import ConfigError, ConflictError, HflError
from hfl_localhub._client_home import write_token
from hfl_localhub._environment import client_environment, client_settings
from hfl_localhub._faults import Faults
from hfl_localhub._folder_lock import FolderLock
from hfl_localhub._requests import RequestLog
from hfl_localhub._root_folder import as_root, make_root
from hfl_localhub._services import Options, Services, open_services
from hfl_localhub._storage import storage_of_hub

if TYPE_CHECKING:
    from hfl_localhub._accounts import Orgs, Scopes
    from hfl_localhub._wire import Connections, Server

__all__ = ["LocalHub"]

_LOOPBACK = "127.0.0.1"
_PATIENCE = 30.0


class LocalHub:
    """A Hugging Face Hub that runs on this machine.

    Args:
        root: The folder that holds everything. None: a temporary one, removed at the end.
        port: The port; 0 takes a free one, and keeps it when the Hub is started again.
        host: The address to listen on.
        allow_remote: Whether an address that others can reach is accepted.
        url_lifetime: Seconds that a signed upload URL works.
        multipart_threshold: Files from this size on are uploaded in parts.
        part_size: The size of such a part, in bytes.
        clock: Returns the time in seconds, for tokens and URLs that expire.

    Attributes:
        root: The folder.
        faults: What should go wrong, on demand.
        requests: What arrived.

    Raises:
        ConfigError: The address can be reached from elsewhere and ``allow_remote`` is not set; or
            no folder can be called ``root``.

    Example:
        >>> with LocalHub() as hub:
        ...     token = hub.create_user("ann")
        ...     hub.endpoint.startswith("http://127.0.0.1:")
        True
    """

    def __init__(  # each has a default that most keep
        self,
        root: Union[str, Path, None] = None,
        port: int = 0,
        *,
        host: str = _LOOPBACK,
        allow_remote: bool = False,
        url_lifetime: float = Options.url_lifetime,
        multipart_threshold: int = Options.multipart_threshold,
        part_size: int = Options.part_size,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not allow_remote and not _is_loopback(host):
            raise ConfigError(
                f"{host!r} can be reached from other machines, and this Hub does not encrypt.",
                hint="Allow it with allow_remote=True (--allow-remote) if they may see everything.",
            )
        self._temporary = tempfile.TemporaryDirectory(prefix="hfl-hub-") if root is None else None
        self.root = as_root(
            self._temporary.name if root is None and self._temporary else root or ""
        )
        self.faults = Faults(clock)
        self.requests = RequestLog()
        self._host = host
        self._port = port
        self._options = Options(
            url_lifetime=url_lifetime,
            multipart_threshold=multipart_threshold,
            part_size=part_size,
        )
        self._clock = clock
        self._folder_lock = FolderLock(self.root)
        self._open: Optional[Services] = None
        self._running: Optional[_Running] = None

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> LocalHub:
        """Start answering. Returns when it does.

        Raises:
            ConflictError: The port is taken, another Hub uses the folder, or this one runs.
            ConfigError: The folder can't be made, or is that of something else.
            PermissionDeniedError: The folder may not be made or written to.
            DiskSpaceError: The disk is full.
        """
        from hfl_localhub._app import HubApp
        from hfl_localhub._edge import Edge
        from hfl_localhub._wire import Connections, make_server

        if self._running is not None:
            raise ConflictError(f"The local Hub is running already, at {self.endpoint}.")
        listener = _listen(self._host, self._port)
        try:
            services = self._services()
        except BaseException:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        connections = Connections()
        app = Edge(HubApp(services), self.requests, self.faults, connections)
        server = make_server(app, connections)
        self._running = _Running(server, connections, listener)
        return self

    def stop(self) -> None:
        """Stop answering and let go of the folder. What is stored stays, unless it is temporary."""
        self.faults.clear()
        running, self._running = self._running, None
        if running is not None:
            running.stop()
        self._open = None
        self._folder_lock.release()
        if self._temporary is not None and running is not None:
            self._temporary.cleanup()

    def __enter__(self) -> LocalHub:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    # -- use ----------------------------------------------------------------------------------

    @property
    def endpoint(self) -> str:
        """The Hub's URL, for ``HF_ENDPOINT`` and ``endpoint=``.

        Raises:
            HflError: The Hub is not running.
        """
        if self._running is None:
            raise HflError("The local Hub is not running.", hint="Call start(), or use `with`.")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def home(self) -> Path:
        """Where clients of this Hub keep their token and caches (``HF_HOME``)."""
        return self.root / "client"

    def create_user(  # the first three are what most need
        self,
        name: str,
        orgs: Orgs = (),
        role: str = "write",
        *,
        scopes: Scopes = (),
        lifetime: float | None = None,
        token_name: str | None = None,
    ) -> str:
        """Create a user, or one more token for a user that exists.

        Args:
            name: The user's name, and namespace.
            orgs: Organizations to belong to, made if need be; a mapping gives the role in each
                (``"read"``, ``"write"`` or ``"admin"``; ``"write"`` otherwise).
            role: What the token allows: ``"read"``, ``"write"`` or ``"fineGrained"``.
            scopes: For ``"fineGrained"``: pairs of a namespace or a repository, and
                ``"read"`` or ``"write"``.
            lifetime: Seconds until the token expires; None for never.
            token_name: The token's display name.

        Returns:
            The token.

        Raises:
            ConfigError: A name or a role makes no sense.
        """
        return self._services().accounts.create_user(
            name, orgs, role, scopes=scopes, lifetime=lifetime, token_name=token_name
        )

    def user_of(self, token: str) -> str | None:
        """Return whose token this is, or None when it isn't valid here."""
        identity = self._services().accounts.identify(token)
        return identity.name if identity is not None else None

    def revoke_token(self, token: str) -> None:
        """Make a token invalid.

        Raises:
            NotFoundError: There is no such token.
        """
        self._services().accounts.revoke(token)

    def settings(self, token: str | None = None) -> dict[str, str]:
        """Return the variables that point clients to this Hub and to a home of its own.

        Args:
            token: The token to act with.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        found = client_settings(self.endpoint, self.home)
        return found if token is None else {**found, "HF_TOKEN": token}

    def environment(self, token: str | None = None) -> dict[str, str]:
        """Return an environment for child processes that talk to this Hub and to no other.

        Args:
            token: The token to act with; without one, the clients are anonymous unless they
                were logged in at this Hub.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        return client_environment(self.endpoint, self.home, token)

    def log_in(self, token: str) -> None:
        """Put a token where the clients of this Hub look for it (``HF_TOKEN_PATH``)."""
        write_token(self.home, token)

    def used_storage(self) -> int:
        """Return the bytes of the large files in all repositories and buckets.

        What is the same counts once: files everywhere, and chunks of what came through Xet.
        """
        return storage_of_hub(self._services())

    def _services(self) -> Services:
        if self._open is None:
            make_root(self.root)
            self._folder_lock.acquire()
            try:
                self._open = open_services(
                    self.root,
                    endpoint=lambda: self.endpoint,
                    options=self._options,
                    clock=self._clock,
                    faults=self.faults,
                    requests=self.requests,
                )
            except BaseException:
                self._folder_lock.release()
                raise
        return self._open


class _Running:
    """The thread that answers."""

    def __init__(self, server: Server, connections: Connections, listener: socket.socket) -> None:
        self._server = server
        self._connections = connections
        self._listener = listener
        self._error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run, name="hfl-local-hub", daemon=True)
        self._thread.start()
        while not server.has_started.wait(0.1):
            if not self._thread.is_alive():
                raise HflError("The local Hub did not start.") from self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._listener]))
        except BaseException as error:  # noqa: BLE001  # it is raised in the thread that waits
            self._error = error
        finally:
            self._listener.close()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(_PATIENCE)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol by name: asyncio turns off Nagle's algorithm only for sockets that name it, and
    # with it each answer on a kept connection waits 40 ms for the acknowledgement of its headers.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConflictError(
            f"Port {port} on {host} can't be listened on: {error.strerror or error}.",
            hint="Choose another one, or 0 for any that is free.",
        ) from error
    listener.listen(256)
    return listener


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
