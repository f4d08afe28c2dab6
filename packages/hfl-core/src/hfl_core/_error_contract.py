"""What every error of this project keeps, checked for a package's whole module of errors."""

from __future__ import annotations

import doctest
import pickle
from types import ModuleType
from typing import Iterable, Iterator, Tuple, Type

from hfl_core.errors import HflError

__all__ = ["check_errors"]

_Example = Tuple[HflError, Tuple[Type[BaseException], ...], int]


def check_errors(module: ModuleType, examples: Iterable[_Example]) -> list[str]:
    """Find what a package's errors do not keep of the contract.

    Each is caught as the families that it is said to belong to, ends a command with its exit code, has a hint,
    comes out of another process as it was, has an example here, and a documentation whose examples run.

    A helper for the tests of this project's packages, private to it:
    ``assert check_errors(errors, EXAMPLES) == []``.

    Args:
        module: The package's ``errors``; its ``__all__`` names the classes.
        examples: One for each class or more: an error, what else it is caught as, its exit code.

    Returns:
        One sentence per breach; nothing when all is kept.

    Example:
        >>> from hfl_core import errors
        >>> check_errors(errors, [(errors.AuthError("No.", hint="Sign in."), (LookupError,), 3)])[0]
        'AuthError is not caught as LookupError.'
    """
    given = list(examples)
    seen = {type(error).__name__ for error, _, _ in given}
    return [
        *(problem for example in given for problem in _breaches(*example)),
        *(f"{name} has no example." for name in module.__all__ if name not in seen),
        *_wrong_documentation(module),
    ]


def _breaches(
    error: HflError, families: tuple[type[BaseException], ...], exit_code: int
) -> Iterator[str]:
    name = type(error).__name__
    caught_as: list[type[BaseException]] = [HflError, *families]
    for family in caught_as:
        if not isinstance(error, family):
            yield f"{name} is not caught as {family.__name__}."
    if error.exit_code != exit_code:
        yield f"{name} ends with {error.exit_code}, not with {exit_code}."
    if not error.hint:
        yield f"{name} has no hint."
    try:
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # nosec B301  # our own, made here
    except Exception as reason:  # noqa: BLE001  # whatever it is, it is the finding
        yield f"{name} does not reach another process: {reason!r}."
        return
    if (type(copy), str(copy), vars(copy)) != (type(error), str(error), vars(error)):
        yield f"{name} reaches another process as {copy!r}."


def _wrong_documentation(module: ModuleType) -> Iterator[str]:
    results = doctest.testmod(module)
    if results.failed or not results.attempted:
        yield f"{results.failed} of {results.attempted} examples in the documentation fail."
