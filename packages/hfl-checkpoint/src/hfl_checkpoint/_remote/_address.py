"""Where on the Hub a run is: ``hf://me/run@branch/which``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Iterable
from urllib.parse import unquote

from hfl_core import ConfigError

if TYPE_CHECKING:
    from hfl_repo import RepoManager

SCHEME = "hf://"
BRANCH = "checkpoints"
FOLDER = "checkpoints"


@dataclasses.dataclass(frozen=True)
class Address:
    """What an ``hf://`` address names, before the Hub was asked.

    Attributes:
        repo_id: The repository.
        rest: What stands behind the ``@``: a branch, and maybe a checkpoint after a ``/``. Empty when
            there is no ``@``.
        which: The checkpoint, where the address has no ``@``.
    """

    repo_id: str
    rest: str
    which: str

    def resolve(self, branches: Iterable[str]) -> tuple[str, str]:
        """Tell the branch from the checkpoint: names of branches may hold slashes as well.

        Args:
            branches: Those that there are.

        Returns:
            The branch, and which checkpoint on it.
        """
        if not self.rest:
            return BRANCH, self.which or "latest"
        for name in sorted(branches, key=len, reverse=True):
            if self.rest == name:
                return name, "latest"
            if self.rest.startswith(f"{name}/"):
                return name, self.rest[len(name) + 1 :] or "latest"
        branch, _, which = self.rest.partition("/")
        return unquote(branch), which or "latest"


def is_address(which: object) -> bool:
    """Whether something names a place on the Hub."""
    return isinstance(which, str) and which.startswith(SCHEME)


def parse_address(text: str) -> Address:
    """Take an address apart.

    Args:
        text: ``hf://namespace/name``, with ``@branch`` and ``/which`` if wanted.

    Raises:
        ConfigError: It is none.
    """
    place, _, rest = text[len(SCHEME) :].partition("@")
    parts = place.strip("/").split("/")
    if not is_address(text) or len(parts) < 2 or not all(parts[:2]):
        raise ConfigError(
            f"{text!r} is not the address of a run on the Hub.",
            hint="It looks like hf://namespace/name, hf://namespace/name@branch or "
            "hf://namespace/name@branch/step-00000500.",
        )
    return Address("/".join(parts[:2]), rest.strip("/"), "/".join(parts[2:]))


def resolve_address(text: str, repo: RepoManager) -> tuple[str, str]:
    """Ask the Hub which branch and which checkpoint an address names."""
    address = parse_address(text)
    names = [ref.name for ref in repo.list_branches()] if "/" in address.rest else []
    return address.resolve(names)
