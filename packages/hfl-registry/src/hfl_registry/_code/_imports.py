"""The imports of a module, and what each of them brings."""

from __future__ import annotations

import ast
import dataclasses
import sys
from typing import Any, Iterator, List, Set, Tuple, Union

from hfl_registry._code._places import Source, locate, source_of, submodule_exists

__all__ = ["Import", "Target", "dynamic_imports", "imports_of", "resolved"]

Node = Union[ast.Import, ast.ImportFrom]


@dataclasses.dataclass(frozen=True)
class Import:
    """One import statement.

    Attributes:
        node: Where it is.
        is_guarded: Whether it may fail: it stands in a ``try``.
        is_for_types: Whether it is for type checkers only.
    """

    node: Node
    is_guarded: bool
    is_for_types: bool


@dataclasses.dataclass(frozen=True)
class Target:
    """One name that an import binds.

    Attributes:
        module: The module that it comes from, in full.
        name: The name there; None for the module itself; ``"*"`` for all.
        bound: The name here; for ``import a.b`` without ``as``, None.
    """

    module: str
    name: str | None
    bound: str | None


def imports_of(tree: ast.Module) -> List[Import]:
    """List the imports of a module, those inside functions too."""
    return list(_walk(tree, False, False))


def _walk(node: ast.AST, is_guarded: bool, is_for_types: bool) -> Iterator[Import]:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        yield Import(node, is_guarded, is_for_types)
        return
    if isinstance(node, ast.Try):
        for child in ast.iter_child_nodes(node):
            yield from _walk(child, True, is_for_types)
        return
    if isinstance(node, ast.If) and _is_type_checking(node.test):
        for child in node.body:
            yield from _walk(child, is_guarded, True)
        for child in node.orelse:
            yield from _walk(child, is_guarded, is_for_types)
        return
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, is_guarded, is_for_types)


def _is_type_checking(node: ast.AST) -> bool:
    return getattr(node, "id", getattr(node, "attr", "")) == "TYPE_CHECKING"


def resolved(node: Node, source: Source) -> Tuple[Target, ...]:
    """Say what an import binds, and from where in full."""
    if isinstance(node, ast.Import):
        return tuple(Target(alias.name, None, alias.asname) for alias in node.names)
    base = _base(node, source)
    found = []
    for alias in node.names:
        bound = alias.asname or alias.name
        if alias.name != "*" and _is_submodule(base, alias.name):
            found.append(Target(f"{base}.{alias.name}", None, bound))
        else:
            found.append(_followed(Target(base, alias.name, bound)))
    return tuple(found)


def _base(node: ast.ImportFrom, source: Source) -> str:
    if not node.level:
        return node.module or ""
    package = source.package
    for _ in range(node.level - 1):
        package = package.rpartition(".")[0]
    if not package:  # a script's neighbour
        return node.module or ""
    return f"{package}.{node.module}" if node.module else package


def _is_submodule(package: str, name: str) -> bool:
    place = locate(package)
    if place.kind != "own" or not place.is_package:
        return False
    module = sys.modules.get(package)
    value = getattr(module, name, None)
    is_other = value is not None and not isinstance(value, type(sys))
    return not is_other and submodule_exists(package, name)


def _followed(target: Target, seen: Tuple[str, ...] = ()) -> Target:
    """Go to where a package that only hands a name on has it from: what else it imports stays away."""
    place = locate(target.module)
    if place.kind != "own" or not place.is_package or target.module in seen:
        return target
    source = source_of(target.module, place)
    for node in ast.parse(source.text).body:
        if not isinstance(node, ast.ImportFrom):
            continue
        for alias in node.names:
            if (alias.asname or alias.name) == target.name:
                base = _base(node, source)
                if _is_submodule(base, alias.name):
                    return Target(f"{base}.{alias.name}", None, target.bound)
                onward = Target(base, alias.name, target.bound)
                return _followed(onward, (*seen, target.module))
    return target


def dynamic_imports(tree: ast.Module) -> List[Tuple[int, str | None]]:
    """List calls that import by name: line, and the name if it is written out."""
    found: List[Tuple[int, str | None]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node.func) in (
            "import_module",
            "__import__",
            "spec_from_file_location",
        ):
            first: Any = node.args[0] if node.args else None
            value = getattr(first, "value", None) if isinstance(first, ast.Constant) else None
            found.append((node.lineno, value if isinstance(value, str) else None))
    return found


def _called(node: ast.AST) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


def names_of(tree: ast.AST) -> Set[str]:
    """All names that a module mentions."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
