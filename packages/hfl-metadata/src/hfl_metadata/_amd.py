"""AMD's GPUs, as the kernel describes them (the amdgpu driver's files in sysfs)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List

from hfl_metadata._facts import GpuInfo

_AMD = "0x1002"


def read_amd_gpus(root: Path = Path("/")) -> List[GpuInfo]:
    """Describe AMD's GPUs.

    Args:
        root: The root of the file system.

    Returns:
        Those that have memory of their own, in the kernel's order.
    """
    driver = _read(root / "sys/module/amdgpu/version")
    found: List[GpuInfo] = []
    cards = (root / "sys/class/drm").glob("card*")
    for card in sorted(
        (card for card in cards if re.fullmatch(r"card\d+", card.name)),
        key=lambda card: int(card.name[4:]),
    ):
        device = card / "device"
        memory = _read(device / "mem_info_vram_total")
        if _read(device / "vendor") == _AMD and memory is not None and memory.isdigit():
            name = _read(device / "product_name") or f"AMD {_read(device / 'device') or 'GPU'}"
            found.append(
                GpuInfo(
                    index=len(found),
                    name=name,
                    memory=int(memory),
                    compute_capability=None,
                    driver=driver,
                )
            )
    return found


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None
