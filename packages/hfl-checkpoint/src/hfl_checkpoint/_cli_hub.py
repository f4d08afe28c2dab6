"""``hfl checkpoint push|upload|download|promote``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple

import click

from hfl_checkpoint._cli_common import hub_options, open_catalog, run_argument
from hfl_core.cli import Output, format_option, human_bytes

if TYPE_CHECKING:
    from hfl_checkpoint._remote._queue import Target
    from hfl_checkpoint._remote._report import PublishReport
    from hfl_checkpoint._run import RunDirectory

__all__ = ["COMMANDS"]

_COLUMNS = {"name": "Checkpoint", "state": "State", "reason": "Why"}


_visibility = click.option(
    "--private/--public",
    "private",
    default=True,
    show_default=True,
    help="What the repository has to be.",
)
_allow = click.option(
    "--allow",
    metavar="NAME",
    multiple=True,
    help="What the gate lets through: PATH:KIND, PATH or KIND; repeatable.",
)
_dry_run = click.option("--dry-run", is_flag=True, help="Only say what would be done.")


@click.command()
@run_argument
@_allow
@_dry_run
@hub_options
@format_option
def push(
    run: str,
    allow: Tuple[str, ...],
    dry_run: bool,
    output: Output,
    **hub: Optional[str],
) -> None:
    """Publish what still waits in the upload queue of RUN.

    A training that ended while the Hub could not be reached leaves its checkpoints in the queue.
    It can be interrupted and started again. Ends with status 9 when something is refused.

    \b
    Examples:
      hfl checkpoint push runs/digits --dry-run
      hfl checkpoint push runs/digits
    """
    from hfl_checkpoint._remote._publish import Publisher
    from hfl_checkpoint._remote._queue import UploadQueue
    from hfl_core import NotFoundError

    directory = open_catalog(run).run_directory
    waiting = UploadQueue(directory).read()
    if waiting.target is None:
        raise NotFoundError(
            f"{run!r} has no upload queue.",
            hint=f"Publish by hand with: hfl checkpoint upload {run} latest --to namespace/name",
        )
    if dry_run:
        rows = [
            _row(name, "refused" if why else "waiting", why)
            for name, why in waiting.pending.items()
        ]
        rows += [_row(name, "to be retired", None) for name in waiting.retire]
        output.rows(rows, _COLUMNS, empty="Nothing waits.")
        return
    with UploadQueue(directory).change() as changed:  # somebody looked at it, and asks again
        changed.pending = dict.fromkeys(changed.pending)
    publisher = Publisher(directory, _with(waiting.target, hub), policies=None, allow=allow)
    _show(output, publisher.publish_all())


@click.command()
@run_argument
@click.argument("which", nargs=-1, required=True)
@click.option("--to", "repo_id", metavar="REPO", help="The repository.  [default: the run's own]")
@click.option("--revision", metavar="BRANCH", help="The branch.  [default: checkpoints]")
@_visibility
@_allow
@_dry_run
@hub_options
@format_option
def upload(
    run: str,
    which: Tuple[str, ...],
    repo_id: Optional[str],
    revision: Optional[str],
    private: bool,
    allow: Tuple[str, ...],
    dry_run: bool,
    output: Output,
    **hub: Optional[str],
) -> None:
    """Publish checkpoints of RUN by hand, one or many, in one commit.

    WHICH names one or more: a name, a label, a step, 'latest', 'best:METRIC', a pattern
    ('step-*'), or a range of steps ('1000..5000').

    \b
    Examples:
      hfl checkpoint upload runs/digits latest --to me/digits
      hfl checkpoint upload runs/digits 1000..5000 --to me/digits --dry-run
      hfl checkpoint upload runs/digits best:eval_loss --revision experiments/a
    """
    from hfl_checkpoint._find_all import find_all
    from hfl_checkpoint._remote._publish import Publisher

    directory = open_catalog(run).run_directory
    target = _target(directory, hub, repo_id=repo_id, revision=revision, private=private)
    chosen = find_all(which, directory.scan().checkpoints, directory=run)
    if dry_run:
        output.rows([_row(item.name, "would be published", None) for item in chosen], _COLUMNS)
        return
    publisher = Publisher(directory, target, policies=None, allow=allow)
    _show(output, publisher.publish_only([item.name for item in chosen]))


@click.command()
@click.argument("source", metavar="ADDRESS")
@click.argument("which", nargs=-1)
@click.option(
    "--to", "run", type=click.Path(), required=True, help="The run's directory; made if missing."
)
@_dry_run
@hub_options
@format_option
def download(
    source: str,
    which: Tuple[str, ...],
    run: str,
    dry_run: bool,
    output: Output,
    **hub: Optional[str],
) -> None:
    """Fetch checkpoints from the Hub into a run's directory, verified; one or many.

    ADDRESS is hf://namespace/name or hf://namespace/name@branch. WHICH is as for 'upload'; the latest
    without it. A training that is started in that directory goes on from there.

    \b
    Examples:
      hfl checkpoint download hf://me/digits --to runs/digits
      hfl checkpoint download hf://me/digits@experiments/a 'step-*' --to runs/a
    """
    from hfl_checkpoint._catalog_hub import HubCatalog
    from hfl_checkpoint._find_all import find_all

    catalog = HubCatalog(source, **hub)
    chosen = find_all(which or (catalog.which,), catalog.checkpoints(), directory=source)
    rows: List[Dict[str, Any]] = []
    for item in chosen:
        here = None if dry_run else catalog.fetch(item, run)
        rows.append(
            {
                "name": item.name,
                "step": item.step,
                "size": item.size,
                "path": None if here is None else here.path,
            }
        )
    output.rows(
        rows,
        {"name": "Checkpoint", "step": "Step", "size": "Size", "path": "Place"},
        show={"size": human_bytes},
    )


@click.command()
@run_argument
@click.argument("which", default="latest")
@click.option("--to", "repo_id", metavar="REPO", help="The repository.  [default: the run's own]")
@click.option("--tag", metavar="NAME", help="A tag for the result.")
@click.option("--component", metavar="NAME", help="Which model, where there are several.")
@_visibility
@_dry_run
@hub_options
@format_option
def promote(
    run: str,
    which: str,
    repo_id: Optional[str],
    tag: Optional[str],
    component: Optional[str],
    private: bool,
    dry_run: bool,
    output: Output,
    **hub: Optional[str],
) -> None:
    """Put the model of a checkpoint of RUN at the root of main, where from_pretrained finds it.

    Its card gets the metrics, the hyperparameters and the base model; what people wrote stays.

    \b
    Examples:
      hfl checkpoint promote runs/digits best:eval_loss --tag v1.0
      hfl checkpoint promote runs/digits 5000 --dry-run
    """
    from hfl_checkpoint._find import which_of
    from hfl_checkpoint._manager import CheckpointManager

    directory = open_catalog(run).run_directory
    target = _target(directory, hub, repo_id=repo_id, private=private)
    manager = CheckpointManager(
        run,
        hub=target.repo_id,
        revision=target.revision,
        endpoint=target.endpoint,
        profile=target.profile,
        hub_private=target.private,
        background=False,
    )
    report = manager.promote(which_of(which), tag, component=component, dry_run=dry_run)
    # What a dry run knows is the commit that is there, which a table would present as the result.
    done = {} if dry_run else {"commit": "Commit"}
    output.record(
        {field.name: getattr(report, field.name) for field in dataclasses.fields(report)},
        labels={
            "checkpoint": "Checkpoint",
            "files": "Files",
            "removed": "Removed",
            "tag": "Tag",
            "bytes_sent": "Sent",
            "bytes_copied": "Copied on the Hub",
            **done,
        },
        show={
            "bytes_sent": human_bytes,
            "bytes_copied": human_bytes,
            "files": ", ".join,
            "removed": ", ".join,
        },
    )
    if dry_run:
        output.note("Nothing was changed.")


def _target(
    run: RunDirectory,
    hub: Mapping[str, Optional[str]],
    *,
    repo_id: Optional[str],
    revision: Optional[str] = None,
    private: bool,
) -> Target:
    """Where a command publishes: to what its options name, else to where the run was published."""
    from hfl_checkpoint._remote._address import BRANCH
    from hfl_checkpoint._remote._queue import Target, UploadQueue
    from hfl_core import ConfigError

    known = UploadQueue(run).read().target
    if repo_id is None and known is None:
        raise ConfigError(
            f"{str(run.path)!r} was never published.", hint="Name a repository: --to me/digits"
        )
    target = known or Target("", BRANCH)
    target = dataclasses.replace(
        target,
        repo_id=repo_id or target.repo_id,
        revision=revision or target.revision,
        private=private,
    )
    return _with(target, hub)


def _with(target: Target, hub: Mapping[str, Optional[str]]) -> Target:
    """The same target, as far as the options do not say otherwise."""
    return dataclasses.replace(
        target,
        endpoint=hub["endpoint"] or target.endpoint,
        profile=hub["profile"] or target.profile,
    )


def _row(name: str, state: str, reason: Optional[str]) -> Dict[str, Any]:
    return {"name": name, "state": state, "reason": reason}


def _show(output: Output, report: PublishReport) -> None:
    rows = [_row(name, "published", None) for name in report.published]
    rows += [_row(name, "was there already", None) for name in report.found]
    rows += [_row(name, "retired", None) for name in report.retired]
    rows += [_row(name, "refused", why) for name, why in report.refused.items()]
    rows += [_row(name, "waiting", None) for name in report.waiting]
    output.rows(rows, _COLUMNS, empty="Nothing waits.")
    if report.published:
        output.note(
            f"{human_bytes(report.bytes_sent)} sent, {human_bytes(report.bytes_copied)} copied."
        )
    if report.refused:
        click.get_current_context().exit(9)


COMMANDS = {"push": push, "upload": upload, "download": download, "promote": promote}
