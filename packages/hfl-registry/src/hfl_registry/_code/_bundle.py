"""The files that go along with a model's classes."""

from __future__ import annotations

import ast
import dataclasses
import re
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Set, Tuple

from hfl_registry._code._datafiles import HELPER, LARGEST, data_files, helper_module, uses_own_path
from hfl_registry._code._imports import dynamic_imports, imports_of, resolved
from hfl_registry._code._places import Source, locate, source_of
from hfl_registry._code._rewrite import apply_edits, import_edits, path_edits
from hfl_registry._code._slice import sliced_main
from hfl_registry.errors import UnportableCodeError

__all__ = ["CodeBundle", "bundle"]

# What transformers' loader takes for imports, in every version that is supported: lines, wherever they are.
_RELATIVE = re.compile(r"^\s*from\s+\.(\S+)\s+import", re.MULTILINE)
# All imports of a neighbour: also the module itself, and several on a line.
_NEIGHBOURS = re.compile(r"from \.(\w+) import|from \. import (\w+)|import_module\('\.(\w+)'")


@dataclasses.dataclass(frozen=True)
class CodeBundle:
    """Code that stands alone.

    Attributes:
        files: Name in the repository to content.
        places: Class to where it is there, as an ``auto_map`` says it: ``"modeling_digits.Digits"``.
        requirements: What it needs from an index, as pip takes it, with the versions that are in use.
    """

    files: Mapping[str, bytes]
    places: Mapping[Any, str]
    requirements: Tuple[str, ...] = ()

    @property
    def modules(self) -> Tuple[str, ...]:
        """The modules of one's own that are left out when it is tried whether it stands alone."""
        return tuple(sorted({cls.__module__.partition(".")[0] for cls in self.places}))


def bundle(
    classes: Sequence[Any],
    *,
    requirements: Sequence[str] = (),
    files: Sequence[str] = (),
    name: str = "model",
) -> CodeBundle:
    """Gather the code of classes.

    Imports are followed wherever they lead among one's own modules: relative ones, absolute ones, into
    subpackages and through packages that hand names on. All modules come to lie in one folder, since that is
    all that transformers' loader knows; their imports are rewritten to match and everything else in them
    stays as it is. What pip can install is listed instead.

    Args:
        classes: The classes.
        requirements: What is to be installed instead of followed, as for pip.
        files: Files beside the code that it reads by names that are made at run time.
        name: What the module is called that a script's or a notebook's definitions go to.

    Returns:
        The files.

    Raises:
        UnportableCodeError: Something of it cannot travel; each with file and line.
    """
    return _Gathering(classes, requirements, files, name).result()


class _Gathering:
    """One bundle while it is put together."""

    def __init__(
        self, classes: Sequence[Any], given: Sequence[str], files: Sequence[str], name: str
    ) -> None:
        self._classes = classes
        self._given = tuple(given)
        self._more = [Path(file) for file in files]
        self._main = f"modeling_{re.sub(r'[^0-9a-zA-Z]+', '_', name).strip('_') or 'model'}"
        self._sources: Dict[str, Source] = {}
        self._trees: Dict[str, ast.Module] = {}
        self._requirements: Set[str] = set(given)
        self._missing: List[str] = []
        self._data: Dict[str, bytes] = {}
        self._with_data: Set[str] = set()

    def result(self) -> CodeBundle:
        entries = self._entries()
        for cls in self._classes:
            self._check(cls)
        for source in {source.name: source for source in entries.values()}.values():
            self._follow(source)
        if self._missing:
            raise UnportableCodeError(
                self._classes[0].__name__, missing=list(dict.fromkeys(self._missing))
            )
        self._add_given_files()
        flat = _flat_names(self._sources, {source.name for source in entries.values()})
        texts = {flat[name]: self._rewritten(name, flat) for name in self._sources}
        files = {f"{name}.py": text.encode("utf-8") for name, text in texts.items()}
        if self._data:
            files[f"{HELPER}.py"] = helper_module(self._data)
            texts[HELPER] = ""
        for entry in {flat[source.name] for source in entries.values()}:
            files[f"{entry}.py"] = _with_all_named(entry, texts, files).encode("utf-8")
        places = {cls: f"{flat[source.name]}.{cls.__name__}" for cls, source in entries.items()}
        return CodeBundle(files, places, tuple(sorted(self._requirements)))

    # -- where the classes are ----------------------------------------------------------------

    def _entries(self) -> Dict[Any, Source]:
        found: Dict[Any, Source] = {}
        mains = [cls for cls in self._classes if cls.__module__ == "__main__"]
        if mains:
            for cls in mains:
                self._check(cls)
            if self._missing:
                raise UnportableCodeError(mains[0].__name__, missing=self._missing)
            main = sliced_main(mains, self._main)
            found.update(dict.fromkeys(mains, main))
        for cls in self._classes:
            if cls.__module__ == "__main__":
                continue
            place = locate(cls.__module__)
            if place.kind != "own" or place.path is None:
                raise UnportableCodeError(
                    cls.__name__,
                    missing=[f"its source ({cls.__module__} is {_reason(place.kind)})"],
                )
            found[cls] = source_of(cls.__module__, place)
        return found

    def _check(self, cls: Any) -> None:
        where = f"{cls.__module__.rpartition('.')[2]}.{cls.__qualname__}"
        if "<locals>" in cls.__qualname__:
            where = _place_of(cls)
            self._missing.append(f"{where} ({cls.__name__} is defined inside a function)")
        elif "." in cls.__qualname__:
            self._missing.append(
                f"{_place_of(cls)} ({cls.__name__} is defined inside another class)"
            )
        elif cls.__module__ != "__main__":
            module = sys.modules.get(cls.__module__)
            if not hasattr(module, cls.__name__):
                self._missing.append(f"{where} (it is made at run time, so no file defines it)")

    # -- following ----------------------------------------------------------------------------

    def _follow(self, source: Source) -> None:
        if source.name in self._sources:
            return
        self._sources[source.name] = source
        try:
            tree = ast.parse(source.text)
        except SyntaxError as error:
            self._missing.append(f"{source.at(error.lineno or 1)} (it is no Python)")
            return
        self._trees[source.name] = tree
        for found in imports_of(tree):
            if found.is_for_types:
                continue
            for target in resolved(found.node, source):
                self._take(source, found.node.lineno, target.module, found.is_guarded)
        self._look_at_calls(source, tree)
        self._look_for_files(source, tree)

    def _take(self, source: Source, line: int, module: str, is_guarded: bool) -> None:
        top = module.partition(".")[0]
        if top in _names(self._given):
            return
        place = locate(module)
        if place.kind == "own" and place.path is not None:
            self._follow(source_of(module, place))
        elif place.kind == "own":
            self._missing.append(f"{source.at(line)} ({module} is a folder and no module)")
        elif place.kind == "installed" and place.requirement is not None:
            if not is_guarded:
                self._requirements.add(place.requirement)
        elif place.kind == "compiled":
            self._missing.append(f"{source.at(line)} ({module} is compiled)")
        elif place.kind == "missing" and not is_guarded:
            self._missing.append(f"{source.at(line)} ({module} is not there)")

    def _look_at_calls(self, source: Source, tree: ast.Module) -> None:
        for line, name in dynamic_imports(tree):
            kind = None if name is None else locate(name.lstrip(".")).kind
            if kind not in ("standard", "installed"):
                self._missing.append(
                    f"{source.at(line)} (imports {name or 'something'} by a call; "
                    "write an import statement)"
                )
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _is_resource(node.func):
                self._missing.append(
                    f"{source.at(node.lineno)} (asks for a package's files by the package's name; "
                    "use Path(__file__).parent)"
                )
            value = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
            if isinstance(value, str) and _is_local_path(value):
                self._missing.append(
                    f"{source.at(node.lineno)} (names a place of this machine)"  # type: ignore[attr-defined]  # a constant has a line
                )
        if source.path is None and uses_own_path(tree):
            self._missing.append(f"{source.shown} (a class of it asks for __file__)")

    def _look_for_files(self, source: Source, tree: ast.Module) -> None:
        if source.path is None or not uses_own_path(tree):
            return
        found, unknown = data_files(source, tree)
        for path, line in found.items():
            self._add_file(path, source, source.at(line))
        if found or self._more:
            self._with_data.add(source.name)
        if not self._more:
            self._missing += [
                f"{source.at(line)} ({why}; name the files with data_files=)"
                for line, why in unknown
            ]

    def _add_file(self, path: Path, source: Source, where: str) -> None:
        root = _root(source)
        try:
            name = path.resolve().relative_to(root.resolve()).as_posix()
        except ValueError:
            self._missing.append(f"{where} ({path.name} lies outside of the package)")
            return
        content = path.read_bytes()
        if len(content) > LARGEST:
            self._missing.append(
                f"{where} ({path.name} has {len(content):,} bytes; {LARGEST:,} can travel with code)"
            )
            return
        self._data[f"{source.name.partition('.')[0]}/{name}"] = content

    def _add_given_files(self) -> None:
        for path in self._more:
            for source in self._sources.values():
                if source.path is not None and _root(source).resolve() in path.resolve().parents:
                    self._add_file(path, source, path.name)
                    break
            else:
                raise UnportableCodeError(
                    self._classes[0].__name__, missing=[f"{path.name} (it lies beside no module)"]
                )
        if self._missing:
            raise UnportableCodeError(self._classes[0].__name__, missing=self._missing)

    # -- writing ------------------------------------------------------------------------------

    def _rewritten(self, name: str, flat: Mapping[str, str]) -> str:
        source, tree = self._sources[name], self._trees[name]
        edits = import_edits(source, tree, imports_of(tree), flat)
        if name in self._with_data and source.path is not None:
            inside = source.path.resolve().relative_to(_root(source).resolve()).as_posix()
            edits += path_edits(tree, f"{name.partition('.')[0]}/{inside}")
        return apply_edits(source.text, edits)


def _flat_names(sources: Mapping[str, Source], entries: Set[str]) -> Dict[str, str]:
    """Give every module a name in the one folder; those of the classes keep theirs."""
    anchor = _common([sources[name].package for name in sorted(entries)])
    found: Dict[str, str] = {}
    taken = {HELPER}
    for name in sorted(sources, key=lambda each: (each not in entries, each)):
        inside = name[len(anchor) + 1 :] if anchor and name.startswith(f"{anchor}.") else name
        short = (inside or name).replace(".", "_")
        if name in entries:
            short = name.rpartition(".")[2]
        candidate, number = short, 2
        while candidate in taken:
            candidate, number = f"{short}_{number}", number + 1
        taken.add(candidate)
        found[name] = candidate
    return found


def _common(packages: Sequence[str]) -> str:
    parts = [package.split(".") if package else [] for package in packages]
    shared: List[str] = []
    for level in zip(*parts):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return ".".join(shared)


def _with_all_named(entry: str, texts: Mapping[str, str], files: Mapping[str, bytes]) -> str:
    """Name all modules that a class needs in its own: older loaders bring only those along."""
    text = files[f"{entry}.py"].decode("utf-8")
    needed: Set[str] = set()
    todo = [entry]
    while todo:
        found = {name for names in _NEIGHBOURS.findall(texts[todo.pop()]) for name in names if name}
        todo += found & set(texts) - needed
        needed |= found & set(texts)
    rest = sorted(needed - set(_RELATIVE.findall(text)) - {entry})
    if not rest:
        return text
    lines = "".join(f"    from .{name} import __name__\n" for name in rest)
    return f"{text.rstrip()}\n\n\nif False:  # transformers' loader brings along what it reads here\n{lines}"


def _root(source: Source) -> Path:
    """The folder of the outermost package that a module is in; of a single module, its own."""
    if source.path is None:
        return Path()
    depth = source.name.count(".") + (1 if source.is_package else 0)
    path = source.path.parent
    for _ in range(depth - 1):
        path = path.parent
    return path


def _names(requirements: Iterable[str]) -> Set[str]:
    found = (re.split(r"[^A-Za-z0-9_.-]", each, maxsplit=1)[0] for each in requirements)
    return {name.replace("-", "_").partition(".")[0] for name in found}


def _reason(kind: str) -> str:
    return {
        "compiled": "compiled",
        "missing": "no module that can be found",
        "standard": "Python's own",
        "installed": "another package's",
    }.get(kind, "no file")


def _place_of(cls: Any) -> str:
    for value in vars(cls).values():
        code = getattr(value, "__code__", None)
        if code is not None:
            return f"{Path(code.co_filename).name}:{code.co_firstlineno}"
    return f"{cls.__module__}.{cls.__qualname__}"


def _is_resource(node: ast.AST) -> bool:
    owner = getattr(getattr(node, "value", None), "id", "")
    name = getattr(node, "attr", "")
    return (owner, name) in {
        ("resources", "files"),
        ("resources", "read_text"),
        ("resources", "read_binary"),
        ("resources", "open_text"),
        ("resources", "path"),
        ("pkgutil", "get_data"),
    }


def _is_local_path(value: str) -> bool:
    if not value.startswith(("/", "~/")) or len(value) > 300 or "\n" in value:
        return False
    home = str(Path.home())
    return value.startswith(("~/", "/home/", "/Users/", f"{home}/")) and len(value) > 6
