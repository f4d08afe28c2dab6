"""What a record must not say: who is logged in, where they live, and their secrets."""

from __future__ import annotations

import functools
import getpass
import json
import re
from typing import Sequence

from hfl_core import redact

_MASK = "***"

# Accounts that machines come with. They say nothing about a person, and as words ("data",
# "root") they are common enough that replacing them would damage the record.
_GENERIC = {
    *("admin", "administrator", "app", "azureuser", "data", "debian", "docker", "ec2-user"),
    *("guest", "jovyan", "nobody", "root", "runner", "sagemaker-user", "ubuntu", "user"),
    *("vagrant", "vscode"),
}

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")


def private_text(text: str) -> str:
    """Remove secrets, home directories and the user's name from a text.

    Args:
        text: Anything that goes into a record.

    Returns:
        The text with secrets masked and home directories replaced by ``~`` (`hfl_core.redact`),
        and the name of the current user, where it stands alone, replaced by ``~``.

    Example:
        >>> private_text("/home/alice/data/train.csv")
        '~/data/train.csv'
    """
    text = redact(text)
    user = _user_pattern()
    return text if user is None else user.sub("~", text)


def private_value(name: str, value: str) -> str:
    """Remove from a named value what `private_text` removes, and mask it whole if secret.

    Whether a name announces a secret is `hfl_core.redact`'s knowledge: it is asked about the
    two joined, quoted so that a passphrase of several words is one value.

    Args:
        name: The key, or the option on a command line.
        value: The text that belongs to it.

    Returns:
        What may be recorded.
    """
    quoted = redact(f"{name}={json.dumps(value)}")
    return _MASK if quoted == f'{name}="{_MASK}"' else private_text(value)


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
    return private_text(_CREDENTIALS.sub("", address))


@functools.lru_cache(maxsize=1)
def _user_pattern() -> re.Pattern[str] | None:
    try:
        user = getpass.getuser()
    except (ImportError, KeyError, OSError):  # no variable and no entry, as containers have it
        return None
    if len(user) < 2 or user.lower() in _GENERIC:
        return None
    return re.compile(r"(?<![\w.-])" + re.escape(user) + r"(?![\w-]|\.\w)")
