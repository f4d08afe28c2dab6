"""A Hugging Face Hub that runs on this machine: for tests, air-gapped clusters and trying things out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_core import __version__, lazy_exports

if TYPE_CHECKING:
    from hfl_localhub._fault_rules import Fault as Fault
    from hfl_localhub._faults import Faults as Faults
    from hfl_localhub._requests import RequestLog as RequestLog
    from hfl_localhub._requests import RequestRecord as RequestRecord
    from hfl_localhub._server import LocalHub as LocalHub

_EXPORTS = {
    "Fault": "._fault_rules",
    "Faults": "._faults",
    "LocalHub": "._server",
    "RequestLog": "._requests",
    "RequestRecord": "._requests",
}

__all__ = [*_EXPORTS, "__version__"]  # noqa: PLE0604  # the names are strings, unpacked

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
