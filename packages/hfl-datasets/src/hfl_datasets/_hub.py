"""The only place that opens files on a Hub: parts of them, as they are needed."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Iterator, List, Type

from hfl_core import redact
from hfl_core.errors import NetworkError, NotFoundError

if TYPE_CHECKING:
    from hfl_auth import Credential

__all__ = ["RemoteFiles"]


class RemoteFiles:
    """The files of one commit of a dataset on a Hub, to read ranges of.

    Args:
        repo_id: The repository.
        commit: The commit.
        credential: Who asks, and where.
    """

    def __init__(self, repo_id: str, commit: str, credential: Credential) -> None:
        self._repo_id = repo_id
        self._commit = commit
        self._credential = credential
        self._system: Any = None

    def open(self, path: str) -> Any:
        """Open a file for reading; only what is read is fetched.

        Raises:
            NotFoundError: There is no such file.
            NetworkError: The Hub cannot be asked.
        """
        if self._system is None:
            from huggingface_hub import HfFileSystem

            self._system = HfFileSystem(
                endpoint=self._credential.endpoint,
                token=self._credential.token or False,
                skip_instance_cache=True,
            )
        with translated(path):
            name = f"datasets/{self._repo_id}@{self._commit}/{path}"
            return self._system.open(name, "rb", cache_type="none")

    def set_gated(self, mode: Any) -> None:
        """Set whether access has to be asked for: ``"auto"``, ``"manual"`` or False."""
        from huggingface_hub import HfApi

        api = HfApi(endpoint=self._credential.endpoint, token=self._credential.token or False)
        with translated("the settings"):
            api.update_repo_settings(self._repo_id, gated=mode, repo_type="dataset")


@contextlib.contextmanager
def translated(path: str) -> Iterator[None]:
    """Turn what the libraries below raise about a file into this project's errors."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no file {path!r}.") from error
    except tuple(_transport_errors()) as error:
        raise NetworkError(f"{path!r} could not be read: {redact(str(error))}") from error


def _transport_errors() -> List[Type[BaseException]]:
    """Name what can go wrong on the way; which library it is depends on the version of huggingface_hub."""
    found: List[Type[BaseException]] = [OSError, EOFError]
    for module, name in (("httpx", "HTTPError"), ("requests", "RequestException")):
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None:
            found.append(kind)
    return found
