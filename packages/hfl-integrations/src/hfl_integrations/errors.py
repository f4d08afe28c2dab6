"""What can go wrong between a training framework and the checkpoint manager.

::

    HflError
    ├── ConfigError
    │   └── UnsupportedFrameworkError   (ValueError)  this version of the framework is not known to work
    └── ConflictError
        └── CompetingCheckpointsError                 the framework saves checkpoints of its own
"""

from __future__ import annotations

from hfl_core.errors import ConfigError, ConflictError

__all__ = ["CompetingCheckpointsError", "UnsupportedFrameworkError"]


class UnsupportedFrameworkError(ConfigError):
    """The installed version of a framework is not one that the integration works with.

    Args:
        framework: The framework's name as it is installed: ``"lightning"``.
        version: The version that is installed.
        supported: The versions that work, as a requirement: ``">=2.3,<3"``.

    Attributes:
        framework: As given.
        version: As given.
        supported: As given.

    Example:
        >>> print(UnsupportedFrameworkError("lightning", "1.9.0", supported=">=2.3,<3").message)
        lightning 1.9.0 is installed; the integration works with lightning>=2.3,<3.
    """

    def __init__(self, framework: str, version: str, *, supported: str) -> None:
        super().__init__(
            f"{framework} {version} is installed; the integration works with "
            f"{framework}{supported}.",
            hint=f"Install one with: pip install '{framework}{supported}'",
        )
        self.framework = framework
        self.version = version
        self.supported = supported


class CompetingCheckpointsError(ConflictError):
    """The framework would save and delete checkpoints of its own beside the manager's.

    Two owners of one folder delete each other's checkpoints, so neither may start.

    Args:
        framework: The framework's name.
        setting: The setting that turns its own checkpoints on, as it is written in code.
        remedy: What to write instead.

    Attributes:
        framework: As given.
        setting: As given.
        remedy: As given.

    Example:
        >>> error = CompetingCheckpointsError(
        ...     "transformers", setting="save_strategy='steps'", remedy="save_strategy='no'"
        ... )
        >>> print(error.message)
        With save_strategy='steps', transformers saves checkpoints of its own in the same folder.
    """

    def __init__(self, framework: str, *, setting: str, remedy: str) -> None:
        super().__init__(
            f"With {setting}, {framework} saves checkpoints of its own in the same folder.",
            hint=f"Write {remedy} and leave saving to the manager.",
        )
        self.framework = framework
        self.setting = setting
        self.remedy = remedy
