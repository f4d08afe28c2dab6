"""What the commands of ``hfl dataset`` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Mapping, TypeVar

import click

if TYPE_CHECKING:
    from hfl_datasets._manager import DatasetManager

__all__ = ["dataset_argument", "day", "hub_options", "manager", "record_of", "short"]

_F = TypeVar("_F", bound=Callable[..., Any])


def dataset_argument(function: _F) -> _F:
    """Add the argument that names the dataset."""
    return click.argument("repo_id", metavar="DATASET")(function)


def hub_options(function: _F) -> _F:
    """Add the options that say on which Hub, as whom."""
    for option in (
        click.option("--endpoint", metavar="URL", help="The Hub; see `hfl auth explain`."),
        click.option("--profile", metavar="NAME", help="The profile; see `hfl auth list`."),
    ):
        function = option(function)
    return function


def manager(repo_id: str, options: Mapping[str, Any]) -> DatasetManager:
    """Make the manager that the options ask for."""
    from hfl_datasets._manager import DatasetManager

    return DatasetManager(repo_id, profile=options["profile"], endpoint=options["endpoint"])


def record_of(found: Any) -> dict[str, Any]:
    """Turn a result into a mapping."""
    return {name: getattr(found, name) for name in found.__dataclass_fields__}


def day(moment: Any) -> str:
    """Write a time for a table."""
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def short(commit: Any) -> str:
    """Write a commit for a table."""
    return "-" if commit is None else str(commit)[:12]
