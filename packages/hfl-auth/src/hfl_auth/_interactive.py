"""Signing in by asking a person, for every command that needs somebody to be signed in."""

from __future__ import annotations

import sys

import click

from hfl_auth._credential import Profile, Storage
from hfl_auth._hub import DeviceCode
from hfl_auth._manager import AuthManager
from hfl_auth._tokens import clean_token
from hfl_auth.errors import MalformedTokenError
from hfl_core.cli import Output
from hfl_core.errors import AuthError

_TRIES = 3


def ask_for_token(endpoint: str, output: Output) -> str:
    """Ask for a token on the terminal, without showing what is typed.

    Args:
        endpoint: The Hub that it will be sent to.
        output: Where to say what is expected.

    Returns:
        The token, in shape.

    Raises:
        AuthError: There is no terminal to ask on.
        MalformedTokenError: What was typed is no token, several times over.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise AuthError(
            "There is no terminal to ask for a token on.",
            hint="Pipe it in with --token-stdin, or set HF_TOKEN.",
        )
    output.note(f"The token will be sent to {endpoint}, and to nobody else.")
    output.note(f"Make one at {endpoint}/settings/tokens. What you paste is not shown.")
    for left in reversed(range(_TRIES)):
        text = click.prompt("Token", hide_input=True, err=True, default="", show_default=False)
        try:
            return clean_token(text, source="what was typed")
        except MalformedTokenError as error:
            if not left:
                raise
            output.warn(f"{error.message} Try again.")
    raise AssertionError


def show_code(code: DeviceCode, output: Output) -> None:
    """Tell a person how to go on in the browser."""
    output.note(f"Open {code.url} on any device and enter the code {code.code}")
    output.note(f"Waiting; the code is good for {max(1, code.expires_in // 60)} minutes.")


def sign_in(
    auth: AuthManager,
    output: Output,
    *,
    profile: str | None = None,
    storage: Storage = "file",
    device: bool = False,
    from_stdin: bool = False,
) -> Profile:
    """Sign in, and say as whom.

    Args:
        auth: The manager to sign in with.
        output: Where to talk.
        profile: The profile's name, if one is wished for.
        storage: Where the token is kept.
        device: With a browser instead of a token.
        from_stdin: Read the token from standard input instead of asking.

    Returns:
        The profile.

    Raises:
        AuthError: It did not work.
    """
    if device:
        signed_in = auth.login_with_browser(
            lambda code: show_code(code, output), profile=profile, storage=storage
        )
    else:
        endpoint = auth.login_endpoint(profile)  # before the token is typed: it may be refused
        token = read_token() if from_stdin else ask_for_token(endpoint, output)
        signed_in = auth.login(token, profile=profile, storage=storage)
    where = "the keyring" if signed_in.storage == "keyring" else "an owner-only file"
    output.note(
        f"Signed in at {signed_in.endpoint} as {signed_in.account}. "
        f"The token is in {where}, as the profile '{signed_in.name}'."
    )
    return signed_in


def read_token() -> str:
    """Read a token from standard input.

    Raises:
        MalformedTokenError: There is none.
    """
    text = "" if sys.stdin is None else sys.stdin.read()  # closed, as in `… <&-`
    return clean_token(text, source="standard input")
