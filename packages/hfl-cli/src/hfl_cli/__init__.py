"""The `hfl` command, composed of the commands that the installed packages bring.

There is nothing to import from here: run `hfl`, or bring a command of your own with an entry
point in the group `hfl.commands`.
"""

from __future__ import annotations

from hfl_core import __version__

__all__ = ["__version__"]
