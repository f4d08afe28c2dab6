"""Large files by Xet, which sends only the parts of a file that the Hub lacks.

huggingface_hub and hf_xet do it; this module only sees to it that nothing is hashed twice. The Hub
is told that it is possible and chooses (huggingface_hub 2.x would not ask: with it, a server without
Xet gets no large files).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

from hfl_core import RetryPolicy, redact
from hfl_core.errors import NetworkError
from hfl_repo._transfer._objects import LargeFile

if TYPE_CHECKING:
    from hfl_repo._hub import Hub
    from hfl_repo._target import Target

__all__ = ["is_xet_available", "send_by_xet"]


def is_xet_available(hub: Hub) -> bool:
    """Say whether hf_xet is installed and not switched off (``HF_HUB_DISABLE_XET``)."""
    from importlib import import_module

    return bool(import_module(f"{hub.library.__name__}.utils._runtime").is_xet_available())


def send_by_xet(hub: Hub, target: Target, files: Sequence[LargeFile], *, create_pr: bool) -> None:
    """Send contents by Xet, several at once.

    Args:
        hub: The Hub.
        target: The repository with the branch.
        files: The contents.
        create_pr: Whether they go into a pull request.

    Raises:
        HflError: Whatever went wrong; what has arrived is found by the next attempt.
    """
    prepared = _prepared_type(hub)

    def send(api: Any) -> None:
        try:
            api.preupload_lfs_files(
                target.repo_id,
                additions=[prepared(file) for file in files],
                repo_type=target.repo_type,
                revision=target.revision,
                create_pr=create_pr,
                free_memory=False,
            )
        except RuntimeError as error:  # what hf_xet raises besides ConnectionError and TimeoutError
            raise NetworkError(f"Xet could not send the files: {redact(str(error))}.") from error

    hub.call(send, target, retry=RetryPolicy(attempts=1))


def _prepared_type(hub: Hub) -> Any:
    """Return a kind of addition whose digest and way are known: 0.36 would read the file for it."""
    from importlib import import_module

    info_type = import_module(f"{hub.library.__name__}.lfs").UploadInfo
    base: Any = hub.library.CommitOperationAdd

    class Prepared(base):  # type: ignore[misc]  # the class is known at run time only
        def __init__(self, file: LargeFile) -> None:
            with file.source.open("rb") as opened:
                sample = opened.read(512)
            self._info = info_type(sha256=bytes.fromhex(file.sha256), size=file.size, sample=sample)
            super().__init__(file.path, str(file.source))

        def __post_init__(self) -> None:
            self.upload_info = self._info
            self._upload_mode = "lfs"

    return Prepared
