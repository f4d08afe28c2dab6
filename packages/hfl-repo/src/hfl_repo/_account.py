"""Why an account may not write to a repository: said before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfl_auth.errors import WrongAccountError
from hfl_core.errors import PermissionDeniedError

if TYPE_CHECKING:
    from hfl_auth import Identity

__all__ = ["check_contributor", "check_writable", "refusal"]

_HINT = "Use a token that may write: hfl auth explain shows which one is in use."


def refusal(identity: Identity, repo_id: str) -> str | None:
    """Say why an account may not write to a repository, as far as that is known here.

    Args:
        identity: The account.
        repo_id: The repository.

    Returns:
        The reason as a clause, or None when nothing speaks against it.
    """
    if identity.can_write(repo_id):
        return None
    namespace = repo_id.partition("/")[0]
    if identity.role == "read":
        return f"the token of {identity.name!r} is for reading only"
    if namespace not in identity.namespaces:
        return f"{identity.name!r} is not a member of {namespace!r}"
    if identity.role == "fineGrained":
        return f"the fine-grained token of {identity.name!r} does not allow writing to it"
    return f"{identity.name!r} may only read in {namespace!r}"


def check_writable(identity: Identity, repo_id: str) -> None:
    """Refuse what the Hub would refuse, before anything is sent.

    Raises:
        WrongAccountError: The namespace is not one in which the account may write.
        PermissionDeniedError: The token does not allow it.
    """
    reason = refusal(identity, repo_id)
    if reason is None:
        return
    namespace = repo_id.partition("/")[0]
    if identity.role != "read" and namespace not in identity.namespaces:
        raise WrongAccountError(
            namespace,
            account=identity.name,
            allowed=identity.writable,
            orgs=tuple(identity.orgs),
        )
    raise PermissionDeniedError(f"{repo_id!r} cannot be written: {reason}.", hint=_HINT)


def check_contributor(identity: Identity, repo_id: str) -> None:
    """Refuse a pull request for which the token has no right.

    Raises:
        PermissionDeniedError: The token is for reading only.
    """
    if identity.role == "read":
        raise PermissionDeniedError(
            f"No pull request can be opened on {repo_id!r}: the token of {identity.name!r} is for"
            " reading only.",
            hint=_HINT,
        )
