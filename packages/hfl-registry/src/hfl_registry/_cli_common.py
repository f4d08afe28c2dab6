"""What the commands of ``hfl model`` share: who asks where, and the classes that a project registers."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, TypeVar

import click

from hfl_core import write_atomically
from hfl_core.errors import NotFoundError, ValidationError

if TYPE_CHECKING:
    from hfl_registry._registrations import Registration
    from hfl_registry._registry import ModelRegistry

__all__ = [
    "hub_options",
    "named_class",
    "open_registry",
    "project_registrations",
    "remember",
    "trust_option",
]

FILE = "hfl-models.json"
_F = TypeVar("_F", bound=Callable[..., Any])


def hub_options(function: _F) -> _F:
    """Add the options that say on which Hub and as whom."""
    for option in (
        click.option("--endpoint", metavar="URL", help="The Hub; see `hfl auth explain`."),
        click.option("--profile", metavar="NAME", help="The profile; see `hfl auth list`."),
    ):
        function = option(function)
    return function


def trust_option(function: _F) -> _F:
    """Add the option that lets code of a repository or a folder run."""
    return click.option(
        "--trust-remote-code", is_flag=True, help="Let code that comes with the model run here."
    )(function)


def open_registry(profile: str | None = None, endpoint: str | None = None) -> ModelRegistry:
    """Make the registry that the options ask for, with the classes that the project registers."""
    from hfl_registry._registry import ModelRegistry

    registry = ModelRegistry(profile=profile, endpoint=endpoint)
    for entry in project_registrations():
        register_entry(registry, entry)
    return registry


def project_registrations() -> List[Dict[str, Any]]:
    """Read what ``hfl model register`` noted in the current folder."""
    path = Path(FILE)
    if not path.exists():
        return []
    try:
        found: List[Dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["models"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValidationError(
            f"{FILE} cannot be read.", hint="Delete it and register again: hfl model register"
        ) from error
    return found


def register_entry(registry: ModelRegistry, entry: Dict[str, Any]) -> Registration:
    """Register the classes that an entry names."""
    given = {
        name: named_class(entry[name])
        for name in ("config", "tokenizer", "processor", "image_processor")
        if entry.get(name)
    }
    return registry.register(
        named_class(entry["model"]),
        **{f"{name}_class": cls for name, cls in given.items()},
        auto_class=entry.get("auto_class"),
    )


def remember(entry: Dict[str, Any]) -> None:
    """Note an entry in the current folder, in place of one for the same class."""
    kept = [each for each in project_registrations() if each["model"] != entry["model"]]
    document = {"format": 1, "models": [*kept, entry]}
    write_atomically(FILE, json.dumps(document, indent=2) + "\n")


def named_class(name: str) -> Any:
    """Import a class by ``package.module:Class``, the current folder included.

    Raises:
        ValidationError: That is no such name.
        NotFoundError: There is no such module or class.
    """
    module_name, _, class_name = name.partition(":")
    if not module_name or not class_name:
        raise ValidationError(f"{name!r} names no class.", hint="Write it as package.module:Class")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise NotFoundError(f"There is no module {error.name!r}.") from error
    found = getattr(module, class_name, None)
    if found is None:
        raise NotFoundError(f"{module_name} has no class {class_name!r}.")
    return found
