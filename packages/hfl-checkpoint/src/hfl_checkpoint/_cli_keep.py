"""``hfl checkpoint clean|pin|unpin``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Set, Tuple

import click

from hfl_checkpoint._cli_common import SHOW, confirm, facts, open_catalog, run_argument, show_rows
from hfl_core.cli import Output, format_option, human_bytes

if TYPE_CHECKING:
    from hfl_checkpoint._checkpoint import Checkpoint, CleanupPlan
    from hfl_checkpoint._retention import KeepPolicy

__all__ = ["COMMANDS"]


@click.command()
@run_argument
@click.option(
    "--keep",
    metavar="POLICY",
    help="What stays: 'last:3 | best:eval_loss:2:min | every:10000'.  [default: the setting keep]",
)
@click.option("--dry-run", is_flag=True, help="Only show what would happen, and why.")
@click.option("--yes", is_flag=True, help="Do not ask; for scripts.")
@format_option
def clean(run: str, keep: Optional[str], dry_run: bool, yes: bool, output: Output) -> None:
    """Delete the checkpoints of RUN that a policy does not keep.

    It shows for each checkpoint what happens to it and why, and asks before it deletes. Never deleted,
    whatever the policy says: the newest intact checkpoint, pinned ones, ones that somebody reads,
    another run's. In JSON and YAML each checkpoint has the vote of every policy.

    POLICY joins 'last:N', 'best:METRIC[:N][:min|max]', 'every:STEPS', 'within:24h' and 'within:200GB'
    with '|' (kept if either wants it) and '&' (kept if both do).

    \b
    Examples:
      hfl checkpoint clean runs/digits --keep 'last:3 | best:eval_loss' --dry-run
      hfl checkpoint clean runs/digits --keep last:1 --yes
    """
    from hfl_checkpoint import _cleanup
    from hfl_core import translated_os_errors

    catalog = open_catalog(run)
    policy = _policy(keep, catalog.checkpoints())
    for remark in catalog.remarks():
        output.warn(f"{remark}.")
    directory = catalog.run_directory
    plan = _cleanup.plan(directory, policy)
    freed = human_bytes(_freed(plan))
    if not dry_run and not yes and plan.delete:
        _show(plan, output)
        confirm(f"Delete {_counted(plan)}?")
    if not dry_run:
        with translated_os_errors(f"clean {run!r}"):
            done = _cleanup.clean(directory, policy)
        if yes or not plan.delete:
            _show(done, output)
        output.note(_outcome(done, "Deleted", freed))
        return
    _show(plan, output)
    output.note(_outcome(plan, "Would delete", freed))


def _policy(text: Optional[str], found: List[Checkpoint]) -> KeepPolicy:
    from hfl_checkpoint._find import metrics_of
    from hfl_checkpoint._retention_text import keep_from
    from hfl_checkpoint._votes import absent_metrics
    from hfl_core import ConfigError, NotFoundError, load_settings

    text = text or load_settings().keep
    if text is None:
        raise ConfigError(
            "Nothing says what to keep.", hint="Pass --keep 'last:3 | best:eval_loss', for example."
        )
    policy = keep_from(text)
    absent = absent_metrics(policy, found)
    if found and absent:  # a mistyped name would let the best ones be deleted
        raise NotFoundError(
            f"No checkpoint has the metric {', '.join(map(repr, absent))}.",
            hint=f"They have {', '.join(metrics_of(found)) or 'no metrics'}.",
        )
    return policy


def _show(plan: CleanupPlan, output: Output) -> None:
    decided: Dict[Any, Tuple[str, Any]] = {}
    for word, decisions in (
        ("keep", plan.keep),
        ("delete", plan.delete),
        ("protected", plan.protected),
    ):
        for decision in decisions:
            item = decision.checkpoint
            decided[item.run_id, item.sequence, item.name] = (word, decision)
    rows = [
        {
            "name": decision.checkpoint.name,
            "step": decision.checkpoint.step,
            "decision": word,
            "reason": decision.reason,
            "size": decision.checkpoint.size,
            "votes": list(decision.votes),
        }
        for _, (word, decision) in sorted(decided.items(), key=lambda entry: entry[0])
    ]
    columns = {
        "name": "Name",
        "step": "Step",
        "decision": "Decision",
        "reason": "Why",
        "size": "Size",
    }
    output.rows(rows, columns, show=SHOW, empty="There is no checkpoint.")


def _freed(plan: CleanupPlan) -> int:
    """Bytes of the files that only those have that are to be deleted."""
    from hfl_checkpoint._usage import FileId, new_bytes

    seen: Set[FileId] = set()
    for decision in (*plan.keep, *plan.protected):
        new_bytes(decision.checkpoint, seen)
    return sum(new_bytes(decision.checkpoint, seen) for decision in plan.delete)


def _outcome(plan: CleanupPlan, verb: str, freed: str) -> str:
    if not plan.delete:
        return "Nothing to delete."
    return f"{verb} {_counted(plan)}, {freed}."


def _counted(plan: CleanupPlan) -> str:
    count = len(plan.delete)
    return f"{count} {'checkpoint' if count == 1 else 'checkpoints'}"


@click.command()
@run_argument
@click.argument("which", nargs=-1, required=True)
@click.option("--label", metavar="NAME", help="A name for it; a label belongs to one checkpoint.")
@format_option
def pin(run: str, which: Tuple[str, ...], label: Optional[str], output: Output) -> None:
    """Keep checkpoints of RUN whatever a policy says.

    WHICH names one or more: 'latest', 'best:METRIC', a step, a name, a label, a pattern such as
    'step-*000', or a range of steps such as 1000..5000.

    \b
    Examples:
      hfl checkpoint pin runs/digits best:eval_loss --label paper
      hfl checkpoint pin runs/digits 1000..5000
    """
    catalog = open_catalog(run)
    found = catalog.find_all(which)
    if label is not None and len(found) > 1:
        raise click.UsageError(
            f"A label belongs to one checkpoint, and {len(found)} are meant: "
            f"{', '.join(item.name for item in found[:5])}{', …' if len(found) > 5 else ''}."
        )
    _show_pins([catalog.pin(item, label) for item in found], output)


@click.command()
@run_argument
@click.argument("which", nargs=-1, required=True)
@format_option
def unpin(run: str, which: Tuple[str, ...], output: Output) -> None:
    """Take the pins and labels from checkpoints of RUN.

    WHICH names one or more, as for 'pin'. Nothing is deleted by this; the next clean-up may do so.

    \b
    Examples:
      hfl checkpoint unpin runs/digits paper
      hfl checkpoint unpin runs/digits '*'
    """
    catalog = open_catalog(run)
    _show_pins([catalog.unpin(item) for item in catalog.find_all(which)], output)


def _show_pins(found: List[Checkpoint], output: Output) -> None:
    columns = {"name": "Name", "step": "Step", "pinned": "Pinned", "labels": "Labels"}
    show_rows(output, [facts(item) for item in found], columns, show=SHOW)


COMMANDS = {"clean": clean, "pin": pin, "unpin": unpin}
