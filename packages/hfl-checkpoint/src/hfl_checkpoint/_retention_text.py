"""What to keep, written as a text, as configuration files, the environment and commands have it.

text   = both ("|" both)*
both   = one ("&" one)*
one    = "(" text ")" | "all" | "last:3" | "best:eval_loss:2:max" | "every:1000" | "within:24h"
"""

from __future__ import annotations

import re
from typing import Callable, Dict, List, Union

from hfl_checkpoint._retention import (
    KeepAll,
    KeepAny,
    KeepBest,
    KeepBoth,
    KeepEvery,
    KeepLast,
    KeepPolicy,
)
from hfl_checkpoint._retention_within import KeepWithin
from hfl_checkpoint._sizes import UNITS
from hfl_core import ConfigError

_HINT = "For example: last:3 | best:eval_loss:2:min | every:10000 | within:24h | within:200GB"

_HOURS = {"m": 1 / 60, "h": 1.0, "d": 24.0, "w": 168.0}


def keep_from(text: str) -> KeepPolicy:
    """Read a retention policy from a text.

    ======================  =========================================================================
    ``all``                 `KeepAll()`
    ``last:3``              `KeepLast(3)`
    ``best:eval_loss``      `KeepBest("eval_loss")`; ``best:accuracy:2:max`` is the best two, more is better
    ``every:1000``          `KeepEvery(steps=1000)`
    ``within:24h``          `KeepWithin(hours=24)`; also ``m``, ``d`` and ``w``
    ``within:200GB``        `KeepWithin(bytes=200 * 10**9)`; ``GiB`` counts in powers of 1024
    ======================  =========================================================================

    ``|`` keeps what either wants and ``&`` what both want; ``&`` binds closer, and parentheses group.

    Args:
        text: The policy.

    Returns:
        The policy, as code would have made it.

    Raises:
        ConfigError: It is malformed, or makes no sense; the message says where.

    Example:
        >>> keep_from("last:3 | best:eval_loss:2")
        KeepAny(policies=(KeepLast(n=3), KeepBest(metric='eval_loss', n=2, mode='min')))
    """
    if not isinstance(text, str):
        raise ConfigError(f"{text!r} is not the text of a retention policy.", hint=_HINT)
    reader = _Reader(text)
    try:
        policy = reader.any_of()
    except RecursionError as error:
        raise reader.wrong("it has too many parentheses") from error
    if reader.tokens:
        raise reader.wrong(f"there is a {reader.tokens[0]!r} too much")
    return policy


class _Reader:
    """Reads tokens from the left; what is left over stays in `tokens`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: List[str] = [
            token.strip() for token in re.findall(r"[|&()]|[^|&()]+", text) if token.strip()
        ]

    def any_of(self) -> KeepPolicy:
        parts = self._list("|", self._all_of)
        return parts[0] if len(parts) == 1 else KeepAny(tuple(parts))

    def _all_of(self) -> KeepPolicy:
        parts = self._list("&", self._one)
        return parts[0] if len(parts) == 1 else KeepBoth(tuple(parts))

    def _list(self, operator: str, read: Callable[[], KeepPolicy]) -> List[KeepPolicy]:
        parts = [read()]
        while self.tokens and self.tokens[0] == operator:
            self.tokens.pop(0)
            parts.append(read())
        return parts

    def _one(self) -> KeepPolicy:
        token = self.tokens.pop(0) if self.tokens else ""
        if token == "(":  # noqa: S105  # punctuation, not a password
            policy = self.any_of()
            if not self.tokens or self.tokens.pop(0) != ")":
                raise self.wrong("a parenthesis is not closed")
            return policy
        kind, _, rest = token.partition(":")
        if kind not in _KINDS:
            raise self.wrong(
                f"there is no policy {kind!r}" if kind.strip("|&()") else "a policy is missing"
            )
        try:
            return _KINDS[kind](rest)
        except ConfigError as error:
            where = "" if token == self.text.strip() else f"{token!r}: "
            raise self.wrong(where + error.message.rstrip(".")) from error
        except (ValueError, OverflowError) as error:
            raise self.wrong(f"{token!r} is malformed") from error

    def wrong(self, problem: str) -> ConfigError:
        return ConfigError(f"The retention policy {self.text!r}: {problem}.", hint=_HINT)


def _all(rest: str) -> KeepPolicy:
    if rest:
        raise ValueError(rest)
    return KeepAll()


def _best(rest: str) -> KeepPolicy:
    # From the right: a metric's name may hold a colon.
    options: Dict[str, Union[int, str]] = {}
    parts = rest.split(":")
    if len(parts) > 1 and parts[-1] in ("min", "max"):
        options["mode"] = parts.pop()
    if len(parts) > 1 and re.fullmatch(r"-?\d+", parts[-1]):
        options["n"] = int(parts.pop())
    return KeepBest(":".join(parts), **options)  # type: ignore[arg-type]  # it checks them


def _within(rest: str) -> KeepPolicy:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", rest)
    if found is None:
        raise ValueError(rest)
    number, unit = found.groups()
    if unit in _HOURS:
        return KeepWithin(hours=float(number) * _HOURS[unit])
    if unit in UNITS:
        return KeepWithin(bytes=int(float(number) * UNITS[unit]))
    raise ConfigError(f"There is no unit {unit!r}; there are {', '.join([*_HOURS, *UNITS])}.")


_KINDS: Dict[str, Callable[[str], KeepPolicy]] = {
    "all": _all,
    "last": lambda rest: KeepLast(int(rest)),
    "best": _best,
    "every": lambda rest: KeepEvery(steps=int(rest)),
    "within": _within,
}
