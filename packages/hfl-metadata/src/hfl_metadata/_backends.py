"""What torch knows about the libraries that compute; asked only where it is imported already."""

from __future__ import annotations

import os
import sys
from typing import Any, Callable

from hfl_core import get_logger
from hfl_metadata._facts import BackendInfo

_log = get_logger(__name__)


def read_backends(cuda_driver: str | None) -> BackendInfo:
    """Describe what computes. No CUDA context is made.

    Args:
        cuda_driver: What the driver says.

    Returns:
        The versions that are known.
    """
    visible = next(
        (
            os.environ[name]
            for name in ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
            if name in os.environ
        ),
        None,
    )
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return BackendInfo(cuda_driver=cuda_driver, visible_devices=visible)
    return BackendInfo(
        cuda_driver=cuda_driver,
        cuda=_try(lambda: torch.version.cuda),
        cudnn=_try(lambda: _cudnn(torch.backends.cudnn.version())),
        nccl=_try(lambda: _nccl(torch)),
        rocm=_try(lambda: torch.version.hip),
        mps=_try(lambda: bool(torch.backends.mps.is_available())),
        visible_devices=visible,
    )


def _cudnn(number: int | None) -> str | None:
    if number is None:
        return None
    # 8907 is 8.9.7; from version 9 on there is a digit more: 90100 is 9.1.0.
    major, rest = divmod(number, 10_000 if number >= 90_000 else 1000)
    return f"{major}.{rest // 100}.{rest % 100}"


def _nccl(torch: Any) -> str | None:
    if not torch.distributed.is_available() or not torch.distributed.is_nccl_available():
        return None
    version = torch.cuda.nccl.version()
    return ".".join(str(part) for part in version if not isinstance(part, str) or part)


def _try(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except Exception as error:  # noqa: BLE001  # a build without it says so in many ways
        _log.debug("torch does not answer: %s", error)
        return None
