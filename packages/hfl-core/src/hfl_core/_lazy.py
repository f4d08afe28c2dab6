"""Exports that load their module on first use, so that ``import`` stays cheap."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any, Callable, Iterator, Mapping


def lazy_exports(
    package: str, exports: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Build the ``__getattr__`` and ``__dir__`` of a package whose names load on first use.

    Args:
        package: The package's ``__name__``.
        exports: Public name to the module that defines it; a leading dot means inside the package.

    Returns:
        The two functions to assign to ``__getattr__`` and ``__dir__`` (PEP 562).

    Example:
        >>> getattr_, dir_ = lazy_exports("json", {"dumps": "json"})
        >>> dir_()
        ['dumps']
    """

    def getattr_(name: str) -> Any:
        if name not in exports:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(exports[name], package), name)
        setattr(sys.modules[package], name, value)
        return value

    def dir_() -> list[str]:
        return sorted(exports)

    return getattr_, dir_


def check_exports(package: str) -> list[str]:
    """Find where a package's lazy exports, its type-checker block and its modules disagree.

    A helper for the tests of this project's packages, private to it:
    ``assert check_exports("hfl_repo") == []``.

    Args:
        package: An importable package whose ``__init__`` uses `lazy_exports`.

    Returns:
        One sentence per disagreement; nothing when all agree.

    Example:
        >>> check_exports("hfl_core")
        []
    """
    module = importlib.import_module(package)
    exports: Mapping[str, str] = vars(module)["_EXPORTS"]
    return [
        *_block_problems(module, exports),
        *_loading_problems(module, exports),
        *_listing_problems(module, exports),
    ]


def _block_problems(module: ModuleType, exports: Mapping[str, str]) -> Iterator[str]:
    eager, promised = _imports(module)
    for name, source in exports.items():
        where = importlib.util.resolve_name(source, module.__name__)
        said = promised.get(name, eager.get(name))
        if said is None:
            yield f"{name!r} is exported but not in the TYPE_CHECKING block."
        elif said != where:
            yield f"{name!r} comes from {where!r} but the imports say {said!r}."
    for name in promised:
        if name not in exports:
            yield f"{name!r} is in the TYPE_CHECKING block but not exported."


def _loading_problems(module: ModuleType, exports: Mapping[str, str]) -> Iterator[str]:
    for name, source in exports.items():
        try:
            getattr(importlib.import_module(source, module.__name__), name)
        except (ImportError, AttributeError) as error:
            yield f"{name!r} cannot be loaded from {source!r}: {error}"


def _listing_problems(module: ModuleType, exports: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*exports} ^ {*module.__all__} - {"__version__"}):
        yield f"{name!r} is in only one of _EXPORTS and __all__."
    for source in sorted({*exports.values()}):
        declared = getattr(sys.modules.get(f"{module.__name__}{source}"), "__all__", ())
        for name in declared:
            if name not in exports:
                yield f"{name!r} is in the __all__ of {source!r} but not exported."


def _imports(module: ModuleType) -> tuple[dict[str, str], dict[str, str]]:
    """Read what the package's source imports at run time and for type checkers only."""
    import ast
    from pathlib import Path

    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    eager: dict[str, str] = {}
    promised: dict[str, str] = {}
    for statement in ast.parse(source).body:
        is_block = isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.dump(statement.test)
        for node in ast.walk(statement):
            if isinstance(node, ast.ImportFrom):
                name = "." * node.level + (node.module or "")
                where = importlib.util.resolve_name(name, module.__name__)
                found = promised if is_block else eager
                found.update({alias.asname or alias.name: where for alias in node.names})
    return eager, promised
