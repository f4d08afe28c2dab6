"""Which of the loops over one object is the current one."""

from __future__ import annotations

from hfl_core import ConfigError


class Turns:
    """Let one loop at a time go on, and end it when something moved the position under it."""

    def __init__(self) -> None:
        self._current: object = None

    def begin(self) -> object:
        """Begin a loop.

        Returns:
            What stands for it.
        """
        self._current = object()
        return self._current

    def interrupt(self) -> None:
        """End the loop that is under way, if there is one."""
        self._current = None

    def is_over(self, turn: object) -> bool:
        """Tell whether a loop was ended.

        Args:
            turn: What `begin` returned for it.

        Returns:
            Whether it was.

        Raises:
            ConfigError: Another loop was begun meanwhile.
        """
        if self._current is None:
            return True
        if self._current is not turn:
            raise ConfigError(
                "Two loops over one ResumableLoader are under way; it has one position only.",
                hint="Finish the first loop, or wrap the DataLoader a second time.",
            )
        return False
