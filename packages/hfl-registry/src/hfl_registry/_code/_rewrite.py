"""Rewriting a module's imports so that it stands in one folder with the others."""

from __future__ import annotations

import ast
from typing import Any, Dict, List, Mapping, Tuple

from hfl_registry._code._datafiles import HELPER
from hfl_registry._code._imports import Import, Target, resolved
from hfl_registry._code._places import Source

__all__ = ["Edit", "apply_edits", "import_edits", "path_edits"]

# Start and end as (line, column in bytes), and what goes there.
Edit = Tuple[Tuple[int, int], Tuple[int, int], str]


def import_edits(
    source: Source, tree: ast.Module, imports: List[Import], flat: Mapping[str, str]
) -> List[Edit]:
    """Say how the imports of one's own modules have to read.

    Args:
        source: The module.
        tree: Its syntax.
        imports: Its imports.
        flat: One's own modules, in full, to the module in the folder.

    Returns:
        The changes; none for an import that reads the same there.
    """
    edits: List[Edit] = []
    chains: Dict[str, str] = {}
    for found in imports:
        targets = resolved(found.node, source)
        if not any(target.module in flat for target in targets):
            if found.is_for_types and _is_local(found.node, targets, source):
                edits.append((*_span(found.node), "pass"))
            continue
        if found.is_for_types:
            edits.append((*_span(found.node), "pass"))
            continue
        lines = []
        for target, alias in zip(targets, found.node.names):
            if target.module not in flat:
                lines.append(_kept(found.node, alias))
                continue
            lines += _line(target, flat[target.module])
            if target.name is None and target.bound is None and "." in target.module:
                chains[target.module] = flat[target.module]
        new = "; ".join(lines)
        if not _reads_the_same(found.node, targets, flat):
            edits.append((*_span(found.node), new))
    return [*edits, *_chain_edits(tree, chains)]


def _line(target: Target, module: str) -> List[str]:
    if target.name is not None:
        tail = "" if target.bound in (target.name, None) else f" as {target.bound}"
        return [f"from .{module} import {target.name}{tail}"]
    bound = target.bound
    if bound is None:
        bound = target.module if "." not in target.module else module
    tail = "" if bound == module else f" as {bound}"
    return [f"from . import {module}{tail}"]


def _kept(node: Any, alias: ast.alias) -> str:
    tail = f" as {alias.asname}" if alias.asname else ""
    if isinstance(node, ast.Import):
        return f"import {alias.name}{tail}"
    return f"from {'.' * node.level}{node.module or ''} import {alias.name}{tail}"


def _reads_the_same(node: Any, targets: Tuple[Target, ...], flat: Mapping[str, str]) -> bool:
    """Whether it is ``from .layers import Block``, and the folder has such a module."""
    if not isinstance(node, ast.ImportFrom) or node.level != 1 or not node.module:
        return False
    return all(
        target.name is not None and flat.get(target.module) == node.module for target in targets
    )


def _is_local(node: Any, targets: Tuple[Target, ...], source: Source) -> bool:
    top = source.name.partition(".")[0]
    return any(
        getattr(node, "level", 0) or target.module.partition(".")[0] == top for target in targets
    )


def _chain_edits(tree: ast.Module, chains: Mapping[str, str]) -> List[Edit]:
    """``import lab.layers`` is used as ``lab.layers.Block``."""
    edits: List[Edit] = []
    if not chains:
        return edits
    longest = sorted(chains, key=len, reverse=True)

    def visit(node: ast.AST) -> None:
        dotted = _dotted(node)
        for chain in longest:
            if dotted == chain:
                edits.append((*_span(node), chains[chain]))
                return
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return edits


def _dotted(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        start = _dotted(node.value)
        return None if start is None else f"{start}.{node.attr}"
    return None


def path_edits(tree: ast.Module, name: str) -> List[Edit]:
    """Let a module find its files where they are put.

    Args:
        tree: Its syntax.
        name: Where it lies, as the files are named.
    """
    new = f"__import__('importlib').import_module('.{HELPER}', __package__).file_of({name!r})"
    return [
        (*_span(node), new)
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == "__file__"
    ]


def _span(node: Any) -> Tuple[Tuple[int, int], Tuple[int, int]]:
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


def apply_edits(text: str, edits: List[Edit]) -> str:
    """Change a text. Lines that are not concerned stay byte for byte."""
    if not edits:
        return text
    lines = [line.encode("utf-8") for line in text.splitlines(keepends=True)]
    for (line, column), (last, end), new in sorted(edits, reverse=True):
        tail = lines[last - 1][end:]
        lines[line - 1 : last] = [lines[line - 1][:column] + new.encode("utf-8") + tail]
    return b"".join(lines).decode("utf-8")
