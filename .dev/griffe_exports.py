"""Tell the documentation tool which names of a package are public.

Our packages load their names on first use; the table `_EXPORTS` says which there are. The tool reads source
code and cannot follow a table, so without this it would show none of them.
"""

from __future__ import annotations

import ast
from typing import Any

import griffe

# Of use to our own packages and their tests, and to nobody else.
_HELPERS = {"check_errors", "check_exports", "lazy_exports"}


class Exports(griffe.Extension):
    """Read `_EXPORTS` and make its keys a module's public names."""

    def on_module_members(self, *, mod: griffe.Module, **_kwargs: Any) -> None:
        """Set the public names of one module.

        Args:
            mod: The module, with its members.
        """
        table = mod.members.get("_EXPORTS")
        if isinstance(table, griffe.Attribute) and table.value is not None:
            names = ast.literal_eval(str(table.value))
            mod.exports = [name for name in sorted(names) if name not in _HELPERS]
