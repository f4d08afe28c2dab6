"""Check that a tag names the version that the source has: ``version_check.py v0.1.0``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "packages/hfl-core/src/hfl_core/_version.py"


def main() -> int:
    """Compare and say what differs."""
    tag = sys.argv[1] if len(sys.argv) > 1 else ""
    match = re.search(r'__version__ = "([^"]+)"', SOURCE.read_text(encoding="utf-8"))
    if match is None:
        print(f"{SOURCE.name} sets no __version__", file=sys.stderr)
        return 1
    if tag != f"v{match.group(1)}":
        print(f"The tag is {tag!r}, the version {match.group(1)!r}.", file=sys.stderr)
        return 1
    print(f"version: {tag}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
