"""What is deleted, what is not, and how: by renaming into the trash first.

Never deleted, whatever the policy says: the newest verified checkpoint, pinned ones, ones that
somebody reads, renames or copies, ones that wait to be published, another run's. When the newest
checkpoint does not verify, nothing is deleted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from typing import TYPE_CHECKING, Dict, List

from hfl_checkpoint import _lease
from hfl_checkpoint._checkpoint import CleanupPlan, Decision
from hfl_checkpoint._remote._queue import names_waiting
from hfl_checkpoint._verify import verify
from hfl_checkpoint._votes import poll
from hfl_core import get_logger

if TYPE_CHECKING:
    from hfl_checkpoint._checkpoint import Checkpoint
    from hfl_checkpoint._retention import KeepPolicy
    from hfl_checkpoint._run import RunDirectory, Scan

_log = get_logger(__name__)


def plan(run: RunDirectory, policy: KeepPolicy) -> CleanupPlan:
    """Decide for each checkpoint what happens to it, without touching anything.

    Args:
        run: The run's directory.
        policy: What is wanted.

    Returns:
        The plan, each list oldest first.
    """
    scan = run.scan()
    wanted, votes = poll(policy, scan.checkpoints)
    protected = _protections(run, scan)
    keep: List[Decision] = []
    delete: List[Decision] = []
    spared: List[Decision] = [Decision(item, "belongs to another run") for item in scan.foreign]
    for checkpoint in scan.checkpoints:
        name = checkpoint.name
        if name in wanted:
            keep.append(Decision(checkpoint, wanted[name], votes[name]))
        elif name in protected:
            spared.append(Decision(checkpoint, protected[name], votes[name]))
        else:
            delete.append(Decision(checkpoint, "no policy keeps it", votes[name]))
    return CleanupPlan(tuple(keep), tuple(delete), tuple(spared))


def clean(run: RunDirectory, policy: KeepPolicy) -> CleanupPlan:
    """Delete what the plan says, and the debris of processes that died.

    Args:
        run: The run's directory.
        policy: What is wanted.

    Returns:
        What was done: a checkpoint that could not be moved away is listed as protected.
    """
    if not run.path.is_dir():
        return CleanupPlan((), (), ())
    sweep(run)
    with run.lock():
        for leftover in run.path.glob(".*.json.*.tmp"):  # these are written under the lock alone
            leftover.unlink()
        decided = plan(run, policy)
        gone: List[Decision] = []
        stuck: List[Decision] = []
        for decision in decided.delete:
            try:
                discard(run, decision.checkpoint)
                gone.append(decision)
            except OSError as error:
                _log.warning("%s could not be deleted: %s", decision.checkpoint.name, error)
                stuck.append(
                    dataclasses.replace(decision, reason=f"could not be deleted ({error})")
                )
    empty_trash(run)
    return CleanupPlan(decided.keep, tuple(gone), (*decided.protected, *stuck))


def discard(run: RunDirectory, checkpoint: Checkpoint) -> None:
    """Move a checkpoint into the trash: from here on it does not exist."""
    run.files.ensure_directory(run.trash)
    run.files.move(checkpoint.path, run.trash / f"{checkpoint.name}-{secrets.token_hex(4)}")


def sweep(run: RunDirectory) -> None:
    """Remove what dead processes left: unfinished saves, and deletions that were interrupted."""
    run.refuse_links()
    if run.staging.is_dir():
        for entry in list(run.staging.iterdir()):
            lease = entry if entry.suffix == ".lease" else entry.with_name(f"{entry.name}.lease")
            if _lease.is_held(lease):
                continue
            with contextlib.suppress(OSError):
                if entry.is_dir() and not entry.is_symlink():
                    run.files.remove_tree(entry)
                else:
                    entry.unlink()
    empty_trash(run)


def empty_trash(run: RunDirectory) -> None:
    """Remove what was moved into the trash; what resists is tried again the next time."""
    for entry in list(run.trash.iterdir()) if run.trash.is_dir() else ():
        try:
            run.files.remove_tree(entry)
        except FileNotFoundError:
            continue  # another process empties the trash as well
        except OSError as error:
            _log.warning("%s stays in the trash for now: %s", entry.name, error)


def _protections(run: RunDirectory, scan: Scan) -> Dict[str, str]:
    """Name to the reason why a checkpoint is not deleted even if nobody wants it."""
    if scan.checkpoints and not verify(scan.checkpoints[-1].path, "quick").ok:
        newest = scan.checkpoints[-1].name
        return {
            item.name: f"nothing is deleted while the newest, {newest}, is damaged"
            for item in scan.checkpoints
        }
    reading = _lease.readers(run.leases)
    waiting = names_waiting(run)
    reasons: Dict[str, str] = {}
    for checkpoint in scan.checkpoints:
        if checkpoint.name in reading:
            reasons[checkpoint.name] = "somebody is reading it"
        elif checkpoint.pinned:
            labels = f" ({', '.join(checkpoint.labels)})" if checkpoint.labels else ""
            reasons[checkpoint.name] = f"pinned{labels}"
        elif checkpoint.is_renamed:
            reasons[checkpoint.name] = "somebody gave it this name"
        elif checkpoint.name in waiting:
            reasons[checkpoint.name] = waiting[checkpoint.name]
    if scan.checkpoints:
        reasons[scan.checkpoints[-1].name] = "the newest verified checkpoint"
    return reasons
