"""Files beside the code that the code reads: which, and how it finds them elsewhere."""

from __future__ import annotations

import ast
import base64
import zlib
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple

from hfl_registry._code._places import Source

__all__ = ["HELPER", "data_files", "helper_module", "uses_own_path"]

HELPER = "hfl_data_files"
LARGEST = 1 << 20

_TEMPLATE = '''"""Files that the model's code reads, and where they are put for it.

Only modules are fetched with a model's code, so the files travel in this one.
"""

import base64
import os
import tempfile
import zlib

_FILES = {{
{files}}}


def _write(folder):
    for name, data in _FILES.items():
        path = os.path.join(folder, *name.split("/"))
        content = zlib.decompress(base64.b64decode(data))
        try:
            with open(path, "rb") as file:
                if file.read() == content:
                    continue
        except OSError:
            pass
        os.makedirs(os.path.dirname(path), exist_ok=True)
        partial = "%s.%d" % (path, os.getpid())
        with open(partial, "wb") as file:
            file.write(content)
        os.replace(partial, path)
    return folder


def _folder():
    try:
        return _write(os.path.join(os.path.dirname(os.path.abspath(__file__)), "data_files"))
    except OSError:
        return _write(tempfile.mkdtemp(prefix="model-files-"))


_FOLDER = _folder()


def file_of(name):
    """Say where a module would lie beside its files."""
    return os.path.join(_FOLDER, *name.split("/"))
'''


def uses_own_path(tree: ast.AST) -> bool:
    """Say whether a module asks where it lies."""
    return any(isinstance(node, ast.Name) and node.id == "__file__" for node in ast.walk(tree))


def data_files(source: Source, tree: ast.Module) -> Tuple[Dict[Path, int], List[Tuple[int, str]]]:
    """Find the files that a module reads beside itself.

    Args:
        source: The module.
        tree: Its syntax.

    Returns:
        File to the line that names it; and what cannot be known, with its line.
    """
    finder = _Finder(source)
    finder.visit(tree)
    return finder.found, finder.unknown


class _Finder(ast.NodeVisitor):
    """Works out paths that start from ``__file__``, as far as they are written out."""

    def __init__(self, source: Source) -> None:
        self._here = source.path
        self._names: Dict[str, Path] = {}
        self.found: Dict[Path, int] = {}
        self.unknown: List[Tuple[int, str]] = []

    def visit_Assign(self, node: ast.Assign) -> None:
        path = self._path(node.value)
        if path is not None:
            for target in node.targets:
                if isinstance(target, ast.Name):
                    self._names[target.id] = path
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        # "words.txt" beside a module that asks where it lies: joined in a way that is not read here.
        value = node.value
        if self._here is None or not isinstance(value, str) or not 0 < len(value) < 200:
            return
        if "\n" in value or "\0" in value or value.startswith(("/", ".", "~")):
            return
        self._note(self._here.parent / value, node.lineno)

    def generic_visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.expr):
            path = self._path(node)
            if path is not None:
                self._note(path, node.lineno)
        super().generic_visit(node)

    def _note(self, path: Path, line: int) -> None:
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            self.found.setdefault(path, line)

    def _path(self, node: Any) -> Path | None:
        if self._here is None:
            return None
        if isinstance(node, ast.Name):
            return self._here if node.id == "__file__" else self._names.get(node.id)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            return self._joined(self._path(node.left), [node.right])
        if isinstance(node, ast.Attribute) and node.attr == "parent":
            parent = self._path(node.value)
            return None if parent is None else parent.parent
        if isinstance(node, ast.Subscript):
            return self._ancestor(node)
        return self._called(node) if isinstance(node, ast.Call) else None

    def _called(self, node: ast.Call) -> Path | None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        if name in ("resolve", "absolute") and isinstance(node.func, ast.Attribute):
            return self._path(node.func.value)
        if name in ("joinpath", "with_name") and isinstance(node.func, ast.Attribute):
            start = self._path(node.func.value)
            start = start.parent if start is not None and name == "with_name" else start
            return self._joined(start, node.args)
        if not node.args:
            return None
        first = self._path(node.args[0])
        if name == "dirname":
            return None if first is None else first.parent
        if name in ("abspath", "realpath", "str", "fspath"):
            return first
        return self._joined(first, node.args[1:]) if name in ("Path", "join") else None

    def _ancestor(self, node: ast.Subscript) -> Path | None:
        index = getattr(node.slice, "value", node.slice)  # wrapped in an Index before Python 3.9
        index = getattr(index, "value", index)
        if not (isinstance(node.value, ast.Attribute) and node.value.attr == "parents"):
            return None
        start = self._path(node.value.value)
        return start.parents[index] if start is not None and isinstance(index, int) else None

    def _joined(self, start: Path | None, parts: List[Any]) -> Path | None:
        if start is None:
            return None
        for part in parts:
            value = getattr(part, "value", None)
            if not isinstance(part, ast.Constant) or not isinstance(value, str):
                self.unknown.append((part.lineno, "the name of a file is made at run time"))
                return None
            start = start / value
        return start


def helper_module(files: Mapping[str, bytes]) -> bytes:
    """Write the module that carries files.

    Args:
        files: Name, as it lies relative to the package, to content.
    """
    lines = []
    for name, content in sorted(files.items()):
        data = base64.b64encode(zlib.compress(content, 9)).decode()
        lines.append(f"    {name!r}: {data!r},\n")
    return _TEMPLATE.format(files="".join(lines)).encode()
