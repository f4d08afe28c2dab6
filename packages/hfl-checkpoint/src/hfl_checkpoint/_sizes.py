"""Numbers of bytes, as people write them."""

from __future__ import annotations

import re

from hfl_core import ConfigError

UNITS = {
    "B": 1,
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("KMGTP", start=1)},
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGTP", start=1)},
}

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Z]*)\s*", re.IGNORECASE)


def parse_size(size: object, *, name: str = "max_shard_size") -> int:
    """Read a number of bytes, or text such as ``"5GB"`` or ``"512MiB"``.

    Args:
        size: The size.
        name: What it is called in an error.

    Raises:
        ConfigError: It is not a size, or not positive.

    Example:
        >>> parse_size("1.5 GB"), parse_size("4KiB")
        (1500000000, 4096)
    """
    found = 0
    if isinstance(size, str):
        match = _SIZE.fullmatch(size)
        units = {"": 1, **{unit.lower(): factor for unit, factor in UNITS.items()}}
        if match and match[2].lower() in units:
            found = int(float(match[1]) * units[match[2].lower()])
    elif isinstance(size, int) and not isinstance(size, bool):
        found = size
    if found <= 0:
        raise ConfigError(
            f"{name}={size!r} is not a size.", hint="Pass bytes, or text such as '5GB' or '512MiB'."
        )
    return found
