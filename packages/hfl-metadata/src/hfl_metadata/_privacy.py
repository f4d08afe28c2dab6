"""What a record must not say: who is logged in, where they live, and their secrets."""

from __future__ import annotations

import contextlib
import functools
import getpass
import json
import os
import re
from pathlib import Path
from typing import Sequence

from hfl_core import redact

MASK = "***"

# Accounts that machines come with. They say nothing about a person, and as words ("data",
# "root") they are common enough that replacing them would damage the record.
_GENERIC = {
    *("admin", "administrator", "app", "azureuser", "data", "debian", "docker", "ec2-user"),
    *("guest", "jovyan", "nobody", "root", "runner", "sagemaker-user", "ubuntu", "user"),
    *("vagrant", "vscode"),
}

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")
_ACCOUNT = re.compile(r"^(?!git@)[^/@:\s]+@(?=[^/\s]+:)")  # alice@host:path

# Names that people have and options, too: a user Max is hidden in "/data/max/run", not in "mode: max".
_WORDS = {
    *(
        "ada",
        "adam",
        "albert",
        "alpaca",
        "auto",
        "base",
        "bart",
        "bert",
        "claude",
        "constant",
        "cosine",
    ),
    *(
        "dean",
        "dev",
        "dora",
        "elmo",
        "ernie",
        "eval",
        "falcon",
        "gemma",
        "julia",
        "lamb",
        "large",
        "last",
    ),
    *(
        "linear",
        "lion",
        "llama",
        "lora",
        "low",
        "max",
        "mean",
        "mid",
        "min",
        "model",
        "none",
        "norm",
    ),
    *("nova", "rex", "rob", "rose", "small", "sum", "test", "tiny", "train", "true", "will", "yes"),
}


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
    return MASK if quoted == f'{name}="{MASK}"' else private_text(value)


@functools.lru_cache(maxsize=4096)
def is_secret(name: str, value: str = "correct horse battery") -> bool:
    """Say whether a value is secret because of the name that it has.

    Args:
        name: The key.
        value: The value; a passphrase if there is none yet.

    Returns:
        True for ``password``, False for ``use_cls_token`` and ``num_memory_tokens``.
    """
    return private_value(name, value) == MASK


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
    address = _CREDENTIALS.sub("", address)
    if "://" not in address:
        address = _ACCOUNT.sub("", address)
    return private_text(address)


@functools.lru_cache(maxsize=1)
def _user_pattern() -> re.Pattern[str] | None:
    patterns = []
    for user in sorted(_user_names(), key=len, reverse=True):
        if len(user) < 2 or user.lower() in _GENERIC:
            continue
        name = re.escape(user)
        if user.lower() in _WORDS:
            patterns.append(rf"(?<=[/\\]){name}(?=[/\\])|(?<![\w.-]){name}(?=@)")
        else:
            patterns.append(rf"(?<![\w.-]){name}(?![\w-]|\.\w)")
    return re.compile("|".join(patterns)) if patterns else None


def _user_names() -> set[str]:
    names = {os.environ.get("SUDO_USER", "")}
    with contextlib.suppress(ImportError, KeyError, OSError):
        names.add(getpass.getuser())  # without variable and entry, as containers have it, it raises
    with contextlib.suppress(RuntimeError):
        home = Path.home()
        if home.parent.name.lower() in ("home", "users", "people", "homes"):
            names.add(home.name)
    return names
