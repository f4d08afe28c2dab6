"""What a record must not say: who is logged in, where they live, and their secrets."""

from __future__ import annotations

import functools
import getpass
import re
from pathlib import Path
from typing import Sequence

from hfl_core import redact

# Accounts that machines come with. They say nothing about a person, and as words ("data",
# "root") they are common enough that replacing them would damage the record.
_GENERIC = frozenset(
    [
        "admin",
        "administrator",
        "app",
        "azureuser",
        "data",
        "debian",
        "docker",
        "ec2-user",
        "guest",
        "jovyan",
        "nobody",
        "root",
        "runner",
        "sagemaker-user",
        "ubuntu",
        "user",
        "vagrant",
        "vscode",
    ]
)

_ANY_HOME = re.compile(r"(?<![\w.~-])(?:/home/|/Users/|[A-Za-z]:[\\/]Users[\\/])[^/\\\s'\":,;]+")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")


def private_text(text: str) -> str:
    """Remove secrets, home directories and the user's name from a text.

    Args:
        text: Anything that goes into a record.

    Returns:
        The text with secrets masked (`hfl_core.redact`), credentials in addresses removed, and
        home directories and the name of the current user replaced by ``~``.

    Example:
        >>> private_text("/home/alice/data/train.csv")
        '~/data/train.csv'
    """
    text = redact(_CREDENTIALS.sub("", text))
    for pattern in _identity():
        text = pattern.sub("~", text)
    return _ANY_HOME.sub("~", text)


def private_value(name: str, value: str) -> str:
    """Remove from a named value what `private_text` removes, and mask it whole if secret.

    Whether a name announces a secret is `hfl_core.redact`'s knowledge: it is asked about the
    two joined, as they would stand in a file.

    Args:
        name: The key, or the option on a command line.
        value: The text that belongs to it.

    Returns:
        What may be recorded.
    """
    joined = f"{name}={value}"
    masked = redact(joined)
    if masked != joined and redact(value) == value:
        return masked.partition("=")[2] if masked.startswith(f"{name}=") else masked
    return private_text(value)


def private_command(arguments: Sequence[str]) -> list[str]:
    """Make a command line fit to be recorded.

    Args:
        arguments: The command line, split.

    Returns:
        The same number of arguments, secrets masked: those that look like one, and those that
        follow an option such as ``--token``.
    """
    safe: list[str] = []
    for index, argument in enumerate(arguments):
        before = arguments[index - 1] if index else ""
        is_value = before.startswith("-") and "=" not in before and not argument.startswith("-")
        safe.append(
            private_value(before.lstrip("-"), argument) if is_value else private_text(argument)
        )
    return safe


def without_credentials(address: str) -> str:
    """Remove user name and password from an address.

    Args:
        address: A URL, an ``scp``-like address, or a path.

    Returns:
        The address that others may see. ``git@host:path`` keeps its ``git``, which is an
        account of the service and not a person.

    Example:
        >>> without_credentials("https://me:secret@example.com/team/code.git")
        'https://example.com/team/code.git'
    """
    return private_text(address)


@functools.lru_cache(maxsize=1)
def _identity() -> tuple[re.Pattern[str], ...]:
    patterns = []
    home = _home()
    if home is not None:
        # The boundaries keep /home/al from eating the start of /home/alice, and /root from
        # eating the end of /data/root.
        patterns.append(re.compile(r"(?<![\w.~-])" + re.escape(home) + r"(?![\w.-])"))
    user = _user()
    if user is not None:
        patterns.append(re.compile(r"(?<![\w.-])" + re.escape(user) + r"(?![\w-]|\.\w)"))
    return tuple(patterns)


def _home() -> str | None:
    try:
        home = str(Path.home())
    except (RuntimeError, KeyError):  # an account without an entry, as containers have
        return None
    return home if len(home) > 1 else None


def _user() -> str | None:
    try:
        user = getpass.getuser()
    except (ImportError, KeyError, OSError):  # no variable and no entry
        return None
    return user if len(user) > 1 and user.lower() not in _GENERIC else None
