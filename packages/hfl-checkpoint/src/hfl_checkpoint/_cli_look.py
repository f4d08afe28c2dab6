"""``hfl checkpoint list|show``."""

from __future__ import annotations

from typing import Mapping, Optional

import click

from hfl_checkpoint._cli_common import (
    SHOW,
    facts,
    hub_options,
    open_catalog,
    run_argument,
    short,
    show_rows,
    table_of,
)
from hfl_core import get_logger
from hfl_core.cli import Output, format_option, human_bytes

__all__ = ["COMMANDS"]

_log = get_logger(__name__)


@click.command("list")
@click.argument("run", type=click.Path(), default=".")
@hub_options
@format_option
def list_checkpoints(run: str, output: Output, **hub: Optional[str]) -> None:
    """List the checkpoints of RUN, oldest first.

    RUN is the directory that was given to CheckpointManager, or an address on the Hub.

    \b
    Examples:
      hfl checkpoint list runs/digits
      hfl checkpoint list runs/digits --format json
      hfl checkpoint list hf://me/digits@checkpoints
    """
    from hfl_checkpoint._remote._address import is_address

    if is_address(run):
        from hfl_checkpoint._catalog_hub import HubCatalog

        found = HubCatalog(run, **hub).checkpoints()
    else:
        scan = open_catalog(run).run_directory.scan()
        for _, error in scan.unreadable:
            _log.warning("%s", error.message)
        for remark in scan.remarks:
            output.warn(f"{remark}.")
        found = scan.checkpoints
    rows, columns, show = table_of(found)
    show_rows(output, rows, columns, show=show, empty=f"{run} holds no checkpoint.")


@click.command()
@run_argument
@click.argument("which", default="latest")
@format_option
def show(run: str, which: str, output: Output) -> None:
    """Show one checkpoint of RUN: its metrics, components and files.

    WHICH is 'latest', 'best:METRIC', 'best:METRIC:max', a step, a name or a label.

    \b
    Examples:
      hfl checkpoint show runs/digits
      hfl checkpoint show runs/digits best:eval_loss
      hfl checkpoint show runs/digits 500 --format json
    """
    from hfl_checkpoint._find import which_of
    from hfl_checkpoint._manifest import read_manifest

    found = open_catalog(run).find(which_of(which))
    manifest = read_manifest(found.path)
    files = [{"path": f.path, "size": f.size, "xxh3-128": f.xxh3} for f in manifest.files]
    record = {
        **facts(found),
        "unique_size": found.unique_size,
        "parent": manifest.parent,
        "world_size": manifest.world_size,
        "ranks": {
            name: entry.ranks for name, entry in manifest.components.items() if entry.ranks > 1
        },
        "classes": {name: manifest.components[name].class_name for name in manifest.names},
        "compression": {
            name: entry.compression
            for name, entry in manifest.components.items()
            if entry.compression is not None
        },
        "files": files,
        "versions": dict(manifest.versions),
    }
    if output.format == "csv":
        show_rows(output, [record], {}, show={})
        return
    output.record(
        record,
        show={
            **SHOW,
            "unique_size": human_bytes,
            "compression": _pairs,
            "metrics": lambda items: ", ".join(f"{key} {short(v)}" for key, v in items.items()),
            "components": lambda names: ", ".join(
                f"{name} ({record['ranks'][name]} ranks)" if name in record["ranks"] else name
                for name in names
            ),
            "ranks": lambda counts: _pairs({name: str(count) for name, count in counts.items()}),
            "classes": lambda items: _pairs({name: v for name, v in items.items() if v}),
            "files": lambda items: ", ".join(
                f"{item['path']} ({human_bytes(item['size'])})" for item in items
            ),
            "versions": _pairs,
        },
    )


def _pairs(items: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {text}" for name, text in items.items())


COMMANDS = {"list": list_checkpoints, "show": show}
