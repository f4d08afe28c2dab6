"""The commands ``hfl auth …``; alone, ``hfl-auth …``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

import click

from hfl_core.cli import Output, format_option, main_for
from hfl_core.errors import AuthError, HflError

if TYPE_CHECKING:
    from hfl_auth._identity import Identity
    from hfl_auth._manager import AuthManager

__all__ = ["auth", "ensure_signed_in", "main"]

_F = TypeVar("_F", bound=Callable[..., Any])


def _profile_option(function: _F) -> _F:
    return click.option("--profile", metavar="NAME", help="The profile; see `hfl auth list`.")(
        function
    )


def _endpoint_option(function: _F) -> _F:
    return click.option("--endpoint", metavar="URL", help="The Hub; see `hfl auth explain`.")(
        function
    )


def _token_stdin_option(function: _F) -> _F:
    return click.option("--token-stdin", is_flag=True, help="Read the token from standard input.")(
        function
    )


@click.group()
def auth() -> None:
    """Sign in to Hubs, and see which token is used and why."""


@auth.command()
@_profile_option
@_endpoint_option
@_token_stdin_option
@click.option("--device", is_flag=True, help="Sign in with a browser on any device.")
@click.option(
    "--storage",
    type=click.Choice(["file", "keyring"]),
    default="file",
    show_default=True,
    help="Where the token is kept: an owner-only file, which `hf` reads too, or the keyring.",
)
def login(
    profile: Optional[str],
    endpoint: Optional[str],
    token_stdin: bool,
    device: bool,
    storage: Any,
) -> None:
    """Sign in: keep a token, after the Hub said whose it is.

    There is no option that takes the token itself: others could read it in the list of processes,
    and it would stay in the shell's history.

    \b
    Examples:
      hfl auth login
      hfl auth login --profile work --storage keyring
      pass show hub | hfl auth login --token-stdin
    """
    from hfl_auth._interactive import sign_in
    from hfl_auth._manager import AuthManager

    if device and token_stdin:
        raise click.UsageError("--device and --token-stdin exclude each other.")
    output = Output()
    signed_in = sign_in(
        AuthManager(endpoint=endpoint),
        output,
        profile=profile,
        storage=storage,
        device=device,
        from_stdin=token_stdin,
    )
    _warn_if_not_used(signed_in.name, signed_in.endpoint, output)


@auth.command()
@click.argument("profile", required=False)
@_endpoint_option
def logout(profile: Optional[str], endpoint: Optional[str]) -> None:
    """Remove a profile and its token; without a name, the one in use.

    The token stays valid: to end it, delete it on the Hub.

    \b
    Example:
      hfl auth logout work
    """
    from hfl_auth._manager import AuthManager
    from hfl_auth._wishes import environment_token

    output = Output()
    removed = AuthManager(endpoint=endpoint).logout(profile)
    output.note(f"Removed '{removed}' from this machine.")
    in_environment = environment_token()
    if in_environment is not None:
        output.warn(f"{in_environment[1]} is still set, so you are still signed in with that.")


@auth.command()
@_profile_option
@_endpoint_option
@click.option("--explain", "with_sources", is_flag=True, help="Show where the token comes from.")
@format_option
def whoami(
    profile: Optional[str], endpoint: Optional[str], with_sources: bool, output: Output
) -> None:
    """Ask the Hub whose token is in use.

    \b
    Examples:
      hfl auth whoami
      hfl auth whoami --profile work --format json
    """
    from hfl_auth._manager import AuthManager

    manager = AuthManager(profile, endpoint)
    identity = manager.whoami()
    credential = manager.credential()
    record: dict[str, Any] = {
        "name": identity.name,
        "kind": identity.kind,
        "orgs": identity.orgs,
        "role": identity.role,
        "writable": identity.writable,
        "token_name": identity.token_name,
        "expires_at": identity.expires_at or credential.expires_at,
        "endpoint": identity.endpoint,
        "profile": credential.profile,
        "source": credential.source,
        "detail": credential.detail,
        "token": credential.masked,
    }
    labels = {
        "name": "Account", "orgs": "Organizations", "role": "Token may", "writable": "Writes to",
        "expires_at": "Expires", "endpoint": "Hub", "profile": "Profile", "detail": "From",
    }  # fmt: skip
    if with_sources and output.format != "table":
        record["sources"] = manager.explain()
    output.record(record, labels=labels, show={"orgs": _orgs, "expires_at": _day})
    if with_sources and output.format == "table":
        click.echo()
        _show_sources(manager.explain(), output)


@auth.command("list")
@format_option
def list_(output: Output) -> None:
    """List the profiles of this machine.

    \b
    Example:
      hfl auth list --format json
    """
    from hfl_auth._manager import AuthManager

    rows = [vars(profile) for profile in AuthManager().profiles()]
    columns = {
        "is_active": "Active", "name": "Profile", "account": "Account", "endpoint": "Hub",
        "storage": "Storage", "token": "Token", "expires_at": "Expires",
    }  # fmt: skip
    show = {"is_active": lambda active: "*" if active else " ", "expires_at": _day}
    output.rows(rows, columns, show=show, empty="No profile yet. Sign in with: hfl auth login")


@auth.command()
@click.argument("profile")
def switch(profile: str) -> None:
    """Use a profile from now on, where nothing names another.

    \b
    Example:
      hfl auth switch work
    """
    from hfl_auth._manager import AuthManager

    output = Output()
    chosen = AuthManager().switch(profile)
    who = f", which is {chosen.account}" if chosen.account else ""
    output.note(f"In use from now on: '{chosen.name}'{who} at {chosen.endpoint}.")
    _warn_if_not_used(chosen.name, chosen.endpoint, output)


@auth.command()
@_profile_option
@_endpoint_option
@_token_stdin_option
@click.option("--all", "check_all", is_flag=True, help="Check every profile, each at its own Hub.")
@format_option
def validate(
    profile: Optional[str],
    endpoint: Optional[str],
    token_stdin: bool,
    check_all: bool,
    output: Output,
) -> None:
    """Ask the Hub whether it accepts a token: the one in use, one that is piped in, or all.

    Ends with 3 if it does not.

    \b
    Examples:
      hfl auth validate
      hfl auth validate --all
      pass show hub | hfl auth validate --token-stdin
    """
    from hfl_auth._interactive import read_token
    from hfl_auth._manager import AuthManager

    if check_all + token_stdin + (profile is not None) > 1:
        raise click.UsageError("--all, --token-stdin and --profile exclude each other.")
    if check_all:
        _validate_all(output)
        return
    manager = AuthManager(profile, endpoint)
    identity = manager.validate(read_token()) if token_stdin else manager.whoami()
    record = {
        "valid": True,
        "account": identity.name,
        "role": identity.role,
        "endpoint": identity.endpoint,
        "expires_at": identity.expires_at,
    }
    output.record(record, show={"expires_at": _day})


@auth.command()
@_profile_option
@_endpoint_option
@format_option
def explain(profile: Optional[str], endpoint: Optional[str], output: Output) -> None:
    """Show every place a token may come from, which one wins, and why the others do not.

    Nothing is sent.

    \b
    Example:
      hfl auth explain
    """
    from hfl_auth._manager import AuthManager

    manager = AuthManager(profile, endpoint)
    output.note(f"For {manager.endpoint}:")
    _show_sources(manager.explain(), output)


def ensure_signed_in(
    manager: AuthManager, output: Output, *, profile: str | None = None, from_stdin: bool = False
) -> Identity:
    """Make sure that somebody is signed in: ask for a token only if there is none that works.

    For commands that set a project up.

    Args:
        manager: Whose Hub and profile it is about.
        output: Where to talk.
        profile: The profile that the manager was made with; it is made if there is none.
        from_stdin: Read a token that is needed from standard input instead of asking.

    Returns:
        Who it is.

    Raises:
        AuthError: The token of the environment or of the argument is not accepted, which no new
            profile would change; or signing in did not work.
        NetworkError: The Hub does not answer.
    """
    from hfl_auth._interactive import sign_in
    from hfl_auth.errors import InvalidTokenError, ProfileNotFoundError, TokenNotFoundError

    try:
        identity = manager.whoami()
    except TokenNotFoundError:
        name = profile
    except ProfileNotFoundError as error:
        if error.profile != profile:  # somebody else names it, and would still do so afterwards
            raise
        name = profile
    except InvalidTokenError as error:
        name = manager.credential().profile
        if name is None:
            raise
        output.warn(error.message)
    else:
        output.note(f"Signed in at {identity.endpoint} as {identity.name}.")
        return identity
    sign_in(manager, output, profile=name, from_stdin=from_stdin)
    return manager.whoami()


def _show_sources(sources: Any, output: Output) -> None:
    columns = {
        "source": "Place", "status": "Status", "detail": "Where", "token": "Token",
        "reason": "Because",
    }  # fmt: skip
    output.rows([vars(source) for source in sources], columns)


def _validate_all(output: Output) -> None:
    from hfl_auth._manager import AuthManager

    rows: list[dict[str, Any]] = []
    for profile in AuthManager().profiles():
        row: dict[str, Any] = {
            "profile": profile.name, "endpoint": profile.endpoint, "valid": False,
            "account": profile.account, "role": None, "expires_at": profile.expires_at,
            "problem": None,
        }  # fmt: skip
        try:
            identity = AuthManager(profile.name, profile.endpoint).whoami()
            row.update(valid=True, account=identity.name, role=identity.role)
        except HflError as error:
            row["problem"] = error.message
        rows.append(row)
    columns = {
        "profile": "Profile", "endpoint": "Hub", "valid": "Valid", "account": "Account",
        "expires_at": "Expires", "problem": "Problem",
    }  # fmt: skip
    output.rows(rows, columns, show={"expires_at": _day}, empty="No profile yet.")
    invalid = [row["profile"] for row in rows if not row["valid"]]
    if invalid:
        raise AuthError(
            f"{len(invalid)} of {len(rows)} profiles could not be validated: {', '.join(invalid)}.",
            hint="Sign in again with: hfl auth login --profile NAME",
        )


def _warn_if_not_used(name: str, endpoint: str, output: Output) -> None:
    from hfl_auth._manager import AuthManager

    try:
        used = AuthManager(endpoint=endpoint).credential()
    except HflError as error:
        output.warn(error.message)
        return
    if used.profile != name:
        output.warn(f"{used.place} comes first here. See: hfl auth explain")


def _orgs(orgs: Any) -> str:
    return ", ".join(f"{name} ({role})" if role else name for name, role in sorted(orgs.items()))


def _day(moment: Any) -> str:
    return str(moment)[:10]


main = main_for(auth)


if __name__ == "__main__":
    main()
