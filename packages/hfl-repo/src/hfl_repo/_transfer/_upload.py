"""An upload, from the folder to the commit.

::

    look at the folder → at the repository → compare → gate → send large files → one commit
                              ↑                                                     │
                              └── somebody was faster, or no answer came back ──────┘

Nothing is sent before the gate, and nobody sees anything before the commit.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Literal

from hfl_core import Progress, get_logger
from hfl_core.errors import ConflictError, NetworkError, RateLimitError, ValidationError
from hfl_repo._transfer._card_first import CARD, card_problems
from hfl_repo._transfer._commit import (
    Landed,
    commit_body,
    find_landed,
    find_landed_proposal,
    send_commit,
)
from hfl_repo._transfer._digest_cache import DigestCache
from hfl_repo._transfer._digests import digest_files, hash_file
from hfl_repo._transfer._findings import Allowed
from hfl_repo._transfer._gate import pass_gate
from hfl_repo._transfer._modes import Mode, ask_modes
from hfl_repo._transfer._objects import LargeFile
from hfl_repo._transfer._patience import Patience
from hfl_repo._transfer._patterns import PathFilter, Patterns
from hfl_repo._transfer._plan import Plan, make_plan
from hfl_repo._transfer._remote import Tree, list_tree
from hfl_repo._transfer._report import TransferReport
from hfl_repo._transfer._scan import Scan, file_key
from hfl_repo._transfer._sending import Sender
from hfl_repo.errors import HeadMovedError, UploadConflictError

if TYPE_CHECKING:
    from hfl_repo._hub import Hub
    from hfl_repo._target import Target

__all__ = ["OnUploadConflict", "Upload", "Wish", "plan_for"]

_LOG = get_logger(__name__)
OnUploadConflict = Literal["error", "ours", "theirs"]
_KEPT = ".gitattributes"  # says how everything else is stored


@dataclasses.dataclass(frozen=True)
class Wish:
    """What an upload is to be.

    Attributes:
        message: The first line of the commit's message.
        description: The rest of it.
        create_pr: Whether it opens a pull request.
        on_conflict: Who wins where somebody changed the same files meanwhile.
        delete: What goes that is not here: all (True), nothing (False), or what patterns say.
        taken: Which files are meant at all.
        allowed: What the gate lets through.
    """

    message: str
    description: str = ""
    create_pr: bool = False
    on_conflict: OnUploadConflict = "error"
    delete: bool | tuple[str, ...] = False
    taken: PathFilter = dataclasses.field(default_factory=lambda: PathFilter(None, None))
    allowed: Allowed = dataclasses.field(default_factory=Allowed)


def plan_for(
    scan: Scan,
    tree: Tree,
    cache: DigestCache,
    wish: Wish,
    *,
    progress: Progress,
    check: Callable[[], None],
) -> tuple[Plan, int]:
    """Compare a folder with a state of a repository.

    Returns:
        The plan, and how many bytes had to be read for it.
    """
    total = sum(file.size for file in scan.files)
    with progress.task("Comparing", total=total, unit="bytes") as task:
        hashed = digest_files(scan.files, cache, advance=task.advance, check=check)
    goes = _deletion(scan, wish)
    return make_plan(scan.files, hashed.digests, tree, delete=goes), hashed.bytes_read


class Upload:
    """One upload under way.

    Args:
        hub: The Hub.
        target: The repository with the branch.
        head: Asks at which commit the branch is.
        base: The commit at which it was when the upload began.
        wish: What it is to be.
        patience: How long it may take.
        progress: Where it is shown.
    """

    def __init__(  # what an upload consists of
        self,
        hub: Hub,
        target: Target,
        *,
        head: Callable[[], str],
        base: str,
        wish: Wish,
        patience: Patience,
        progress: Progress,
    ) -> None:
        self._hub = hub
        self._target = target
        self._head = head
        self._base = base
        self._wish = wish
        self._patience = patience
        self._progress = progress
        self._sender = Sender(hub, target, patience, progress, create_pr=wish.create_pr)
        self._modes: dict[str, Mode] = {}
        self._tree: Tree = {}
        self._plan = Plan((), (), {}, {})
        self._is_unsure = False  # whether a commit may have landed without an answer
        self._has_to_look = False
        self._sends_copies = False
        self._problems: tuple[str, ...] = ()
        self._ignored: tuple[str, ...] = ()
        self._kept: tuple[str, ...] = ()
        self._hashed = 0

    def prepare(self, scan: Scan, cache: DigestCache) -> None:
        """Compare, and pass the gate. Nothing is sent.

        Args:
            scan: What is here.
            cache: The digests that are known.

        Raises:
            UnsafeUploadError: Something must not leave the machine.
        """
        check = self._patience.check
        at_base = self._target.at(self._base)
        self._tree = self._patience.call(lambda: list_tree(self._hub, at_base))
        self._plan, self._hashed = plan_for(
            scan, self._tree, cache, self._wish, progress=self._progress, check=check
        )
        sent = self._plan.to_send
        with self._progress.task("Checking", sum(f.size for f in sent), "bytes") as task:
            pass_gate(
                sent, scan.findings, self._wish.allowed, cache, advance=task.advance, check=check
            )
        self._problems = card_problems(self._hub, self._target, self._plan)
        if self._problems:
            self._leave_card_out()

    def carry_out(self) -> TransferReport:
        """Send what has to be sent, and commit it.

        Returns:
            What became of it.

        Raises:
            UploadConflictError: Somebody else changed the same files meanwhile.
            TransferTimeoutError: The time is over.
            HflError: It could not be done; the repository is as it was.
        """
        landed = self._patience.call(self._attempt)
        return self.report(landed)

    def report(self, landed: Landed | None, *, is_dry_run: bool = False) -> TransferReport:
        """Say what became of it."""
        changes = self._plan.changes if landed is not None or is_dry_run else ()
        copied = [c for c in changes if c.kind == "copy" and not self._sends_copies]
        is_on_branch = landed is not None and not self._wish.create_pr
        return TransferReport(
            commit=landed.oid if landed else None,
            files=tuple(sorted(changes, key=lambda change: change.path)),
            bytes_sent=self._sender.bytes_sent,
            bytes_skipped=sum(c.size for c in self._plan.unchanged) + self._sender.bytes_found,
            bytes_copied=sum(c.size for c in copied),
            retries=self._patience.retries,
            bytes_hashed=self._hashed,
            head=landed.oid if landed and is_on_branch else self._base,
            pull_request=landed.pull_request if landed else None,
            card_problems=self._problems,
            ignored=self._ignored,
            kept=self._kept,
            is_dry_run=is_dry_run,
        )

    # -- one attempt --------------------------------------------------------------------------

    def _attempt(self) -> Landed | None:
        if self._has_to_look:
            landed = self._look_again()
            if landed is not None:
                return landed
        if not self._plan.changes:
            return None
        large = self._send_ahead()
        if not self._plan.changes:  # the repository's .gitignore left nothing
            return None
        try:
            return self._commit(large)
        except HeadMovedError:
            self._has_to_look = True
            raise
        except NetworkError as error:
            # A commit that was refused for its rate did not land; of anything else nobody knows.
            self._has_to_look = True
            self._is_unsure = self._is_unsure or not isinstance(error, RateLimitError)
            raise

    def _send_ahead(self) -> dict[str, str]:
        """Send the large files; return the sha256 of all that is committed as large, by path."""
        unknown = [file for file in self._plan.to_send if file.path not in self._modes]
        if unknown:
            create_pr = self._wish.create_pr
            self._modes.update(ask_modes(self._hub, self._target, unknown, create_pr=create_pr))
            self._leave_ignored_out()
        large: list[LargeFile] = []
        named: dict[str, str] = {}
        for change in self._plan.changes:
            if change.kind == "delete":
                continue
            is_copy = change.kind == "copy"
            if is_copy or self._modes[change.path].way == "lfs":
                named[change.path] = change.sha256 or ""
                if not is_copy or self._sends_copies:
                    file = self._plan.files[change.path]
                    large.append(LargeFile(file.path, file.source, file.size, named[change.path]))
        self._sender.send(large)
        self._check_unchanged(large)
        return named

    def _commit(self, large: dict[str, str]) -> Landed:
        body = commit_body(
            self._plan,
            large,
            message=self._wish.message,
            description=self._wish.description,
            parent=self._base,
            sent=self._sender.count,
        )
        try:
            return send_commit(
                self._hub,
                self._target,
                body,
                create_pr=self._wish.create_pr,
                timeout=self._patience.left,
            )
        except ValidationError as error:
            if "LfsObjectNotFound" in error.message or "was not uploaded" in error.message:
                return self._commit_with_everything(error)
            if any(file.path == CARD for file in self._plan.to_send):
                return self._commit_without_card(large, error)
            raise

    def _commit_with_everything(self, error: ValidationError) -> Landed:
        """Send what was to be copied: the Hub does not have it any more."""
        if self._sends_copies:
            raise error
        _LOG.info("The Hub lost a file that was to be copied, so it is sent: %s", error)
        self._sends_copies = True
        self._sender.forget()
        return self._commit(self._send_ahead())

    def _commit_without_card(self, large: dict[str, str], error: ValidationError) -> Landed:
        before = self._plan
        self._problems = (error.message,)
        self._leave_card_out()
        if not self._plan.changes:
            raise error
        try:
            return self._commit({path: name for path, name in large.items() if path != CARD})
        except ValidationError:
            self._plan, self._problems = before, ()  # it was not the card
            raise error from None

    # -- when somebody was faster, or no answer came back -------------------------------------

    def _look_again(self) -> Landed | None:
        """Find out whether the commit landed; if not, make the plan for where the branch is now."""
        message, base = self._wish.message, self._base
        if self._is_unsure and self._wish.create_pr:
            proposed = find_landed_proposal(
                self._hub, self._target, self._plan, base=base, message=message
            )
            if proposed is not None:
                return proposed
        head = self._head()
        if head == self._base:
            self._has_to_look = False
            return None
        if self._is_unsure and not self._wish.create_pr:
            landed = find_landed(self._hub, self._target, self._plan, base=base, message=message)
            if landed is not None:
                _LOG.info("The commit had landed; only the answer was lost.")
                return landed
        tree = list_tree(self._hub, self._target.at(head))
        conflicts = self._plan.conflicts(self._tree, tree)
        if conflicts and self._wish.on_conflict == "error":
            raise UploadConflictError(
                self._target.repo_id, self._target.revision or "main", paths=conflicts
            )
        if conflicts and self._wish.on_conflict == "theirs":
            self._kept = (*self._kept, *conflicts)
            _LOG.warning("Left as somebody else changed them meanwhile: %s", ", ".join(conflicts))
            self._plan = self._plan.onto(tree, without=conflicts)
        else:
            self._plan = self._plan.onto(tree)
        if self._problems:
            self._leave_card_out()
        self._plan = self._plan.leaving_out(self._ignored)
        self._base, self._tree = head, tree
        self._has_to_look = False
        return None

    # -- what is left out ---------------------------------------------------------------------

    def _leave_card_out(self) -> None:
        _LOG.warning("%s is left out: %s", CARD, "; ".join(self._problems))
        self._plan = self._plan.leaving_out([CARD])

    def _leave_ignored_out(self) -> None:
        ignored = [path for path, mode in self._modes.items() if mode.is_ignored]
        if ignored:
            self._ignored = tuple(sorted(ignored))
            _LOG.warning("Left out by the repository's .gitignore: %s", ", ".join(self._ignored))
            self._plan = self._plan.leaving_out(ignored)

    def _check_unchanged(self, large: list[LargeFile]) -> None:
        """Raise if a file was written to while it was sent: then it is not what was planned."""
        for file in large:
            now, planned = file_key(file.source), self._plan.files[file.path].key
            if now == planned:
                continue
            if not now.may_have_the_content_of(planned) or not self._has_content(file):
                raise ConflictError(
                    f"{os.fspath(Path(file.source))!r} was changed while it was uploaded; no commit"
                    " was made.",
                    hint="Upload again once nothing writes to it any more.",
                )

    @staticmethod
    def _has_content(file: LargeFile) -> bool:
        return hash_file(file.source, file.size, lambda _: None).sha256 == file.sha256


def _deletion(scan: Scan, wish: Wish) -> Callable[[str], bool]:
    """Say of a file that is only in the repository whether it is to go."""
    if wish.delete is False:
        return lambda _: False
    prefix = f"{scan.folder}/" if scan.folder else ""
    patterns = None if wish.delete is True else Patterns(wish.delete)

    def goes(path: str) -> bool:
        if not path.startswith(prefix):
            return False
        name = path[len(prefix) :]
        if patterns is not None:
            return patterns.match(name)
        return name != _KEPT and wish.taken.takes(name)

    return goes
