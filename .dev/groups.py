"""Print the dependency groups whose tools run on this Python, as options for uv."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 11):
    print("--group lint --group docs")
