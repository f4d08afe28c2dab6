"""A part of the state that looks at what it is given before it takes any of it."""

from __future__ import annotations

import abc
from typing import Any, Dict, List, Literal, Mapping, Sequence

from hfl_core import ConfigError, IncompatibleStateError, get_logger

logger = get_logger(__name__)

OnChange = Literal["error", "keep", "override"]

FORMAT = 1
"""The version of every state dict that this package writes."""


class Component(abc.ABC):
    """An object whose ``load_state_dict`` changes nothing unless all of the state fits.

    Attributes:
        on_change: What to do when the run was set up differently when the state was saved:
            ``"error"`` refuses, ``"keep"`` goes on as it was, ``"override"`` as it is now.
    """

    on_change: OnChange = "error"

    can_keep = False
    """Whether what differs can be put back as it was; an object of the user's cannot."""

    @abc.abstractmethod
    def state_dict(self) -> Dict[str, Any]:
        """Return a copy of the state, made of plain values only."""

    @abc.abstractmethod
    def problems(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words why a saved state can never be this object's.

        Args:
            saved: What ``state_dict()`` returned, in this process or another.

        Returns:
            One sentence per problem; the object is not changed.
        """

    def differences(self, saved: Mapping[str, Any]) -> List[str]:  # noqa: ARG002  # most have none
        """Say in words how the run was set up differently when the state was saved.

        Args:
            saved: A state that `problems` found nothing wrong with.

        Returns:
            One sentence per difference; the object is not changed.
        """
        return []

    def check(self, saved: Mapping[str, Any]) -> List[str]:
        """Say in words what keeps a saved state from being loaded, given `on_change`.

        Args:
            saved: What ``state_dict()`` returned, in this process or another.

        Returns:
            One sentence per problem; nothing when the state fits. The object is not changed.
        """
        problems = self.problems(saved)
        if problems or self.on_change == "override" or self._keeps:
            return problems
        return self.differences(saved)

    def report(self, saved: Mapping[str, Any]) -> List[str]:
        """Say everything that differs, whatever `on_change` makes of it.

        Args:
            saved: What ``state_dict()`` returned, in this process or another.

        Returns:
            One sentence per problem or difference.
        """
        return self.problems(saved) or self.differences(saved)

    @abc.abstractmethod
    def _apply(self, saved: Mapping[str, Any]) -> None:
        """Take over a state that `check` found nothing wrong with."""

    @property
    def _keeps(self) -> bool:
        return self.on_change == "keep" and self.can_keep

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a saved state, or change nothing.

        Args:
            state_dict: What ``state_dict()`` returned, in this process or another.

        Raises:
            IncompatibleStateError: The state does not fit; the message names what differs.
        """
        raise_for(self.check(state_dict), what=type(self).__name__)
        for text in self.differences(state_dict):
            which = "it was" if self._keeps else "it is now"
            logger.warning("%s The run goes on as %s.", text, which)
        self._apply(state_dict)


def raise_for(problems: Sequence[str], *, what: str) -> None:
    """Turn a list of problems into one error.

    Args:
        problems: What is wrong, one sentence each.
        what: The noun that the state was meant for.

    Raises:
        IncompatibleStateError: There is at least one problem.
    """
    if problems:
        raise IncompatibleStateError(
            f"The saved state does not fit this {what}: " + " ".join(problems),
            hint="Nothing was changed. Build the run as it was when the state was saved, or say what to "
            "do about other settings: on_change='keep' goes on with the saved ones where it can, "
            "on_change='override' with those of now.",
        )


def format_problems(saved: object, expected: Mapping[str, type | tuple[type, ...]]) -> List[str]:
    """Check the format number, the names and the types of a saved state.

    Args:
        saved: What should be a state dict.
        expected: The name of every entry and the types it may have.

    Returns:
        One sentence per problem.
    """
    if not isinstance(saved, Mapping):
        return [f"It is a {type(saved).__name__}, not a mapping."]
    if saved.get("format") != FORMAT:
        return [f"Its format is {saved.get('format')!r}; this version reads format {FORMAT}."]
    missing = [name for name in expected if name not in saved]
    if missing:
        return [f"It has no {name!r}." for name in missing]
    return [
        f"Its {name!r} is a {type(saved[name]).__name__}."
        for name, types in expected.items()
        if not isinstance(saved[name], types) or _is_stray_bool(saved[name], types)
    ]


def _is_stray_bool(value: object, types: type | tuple[type, ...]) -> bool:
    allowed = types if isinstance(types, tuple) else (types,)
    return isinstance(value, bool) and bool not in allowed


def count_problems(saved: Mapping[str, Any], names: Sequence[str]) -> List[str]:
    """Check that counts are not negative.

    Args:
        saved: A state dict whose format was checked.
        names: The entries that count something.

    Returns:
        One sentence per negative count.
    """
    return [f"Its {name!r} is {saved[name]}." for name in names if saved[name] < 0]


def is_count(value: object, least: int) -> bool:
    """Tell whether a value is a whole number, and not a stray boolean, from a least one.

    Args:
        value: Anything.
        least: The smallest number that makes sense.

    Returns:
        Whether it is.
    """
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def check_on_change(value: object) -> None:
    """Refuse an `on_change` that is none of the three.

    Args:
        value: What was passed.

    Raises:
        ConfigError: It is something else.
    """
    if value not in ("error", "keep", "override"):
        raise ConfigError(
            f"on_change={value!r} makes no sense.",
            hint="Use 'error' to refuse, 'keep' for the saved settings, 'override' for those of now.",
        )
