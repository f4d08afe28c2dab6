"""What of a script or a notebook a class needs: its definition and what that uses, and nothing that runs."""

from __future__ import annotations

import ast
import builtins
import linecache
import sys
from typing import Any, Dict, List, Sequence, Set, Tuple

from hfl_registry._code._places import Source
from hfl_registry.errors import UnportableCodeError

__all__ = ["sliced_main"]

_GIVEN = {*vars(builtins), "__name__", "__file__", "__doc__"}


def sliced_main(classes: Sequence[Any], name: str) -> Source:
    """Cut the code of classes that were defined in a script or a notebook out of it.

    What a script does when it runs, its training, must not run when somebody loads the model: only the
    definitions that the classes use are taken, with the imports and constants that these use in turn.

    Args:
        classes: Classes of ``__main__``.
        name: What the module is to be called.

    Returns:
        A module that holds them.

    Raises:
        UnportableCodeError: Their source is not to be had, or uses what is defined nowhere.
    """
    where, cells = _sources(classes[0])
    statements: List[Tuple[ast.stmt, str]] = []
    for text in cells:
        for node in ast.parse(text).body:
            statements.append((node, _segment(text, node)))
    binders: Dict[str, int] = {}
    for index, (node, _) in enumerate(statements):
        for bound in _bound(node):
            binders[bound] = index
    wanted: Set[int] = set()
    todo = [cls.__name__ for cls in classes]
    while todo:
        needed = todo.pop()
        if needed not in binders:
            if needed in _GIVEN:
                continue
            raise UnportableCodeError(
                classes[0].__name__,
                missing=[f"{where} (uses {needed!r}, which it does not define)"],
            )
        index = binders[needed]
        if index not in wanted:
            wanted.add(index)
            todo += sorted(_used(statements[index][0]) & {*binders})
    futures = {
        index
        for index, (node, _) in enumerate(statements)
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
    }
    texts = [statements[index][1] for index in sorted(futures)]
    texts += [statements[index][1] for index in sorted(wanted - futures)]
    return Source(name, "\n\n\n".join(texts) + "\n", None, False, where)


def _sources(cls: Any) -> Tuple[str, List[str]]:
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    if path is not None and not hasattr(main, "get_ipython"):
        lines = linecache.getlines(path)
        if lines:
            return path.replace("\\", "/").rpartition("/")[2], ["".join(lines)]
    # In a notebook each cell is a file that linecache knows, in the order in which they were run.
    names = [name for name in linecache.cache if _is_cell(name)]
    cells = ["".join(linecache.getlines(name)) for name in names]
    if not any(f"class {cls.__name__}" in cell for cell in cells):
        raise UnportableCodeError(
            cls.__name__,
            missing=[
                "its source (it was typed into a prompt that keeps none; save it as a .py file)"
            ],
        )
    return "the notebook", [cell for cell in cells if _parses(cell)]


def _is_cell(name: str) -> bool:
    return name.startswith("<ipython-input-") or "ipykernel_" in name


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:  # a cell that failed, or a magic that was not translated
        return False
    return True


def _segment(text: str, node: ast.stmt) -> str:
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])


def _bound(node: ast.stmt) -> Set[str]:
    """Name what a statement defines at the top level, in its branches too."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    found: Set[str] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            found |= _bound(child)
        elif isinstance(child, ast.ExceptHandler):
            for inner in child.body:
                found |= _bound(inner)
        else:
            found |= {
                each.id
                for each in ast.walk(child)
                if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
            }
    return found


def _used(node: ast.AST) -> Set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
