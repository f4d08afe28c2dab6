"""The version of every distribution in the workspace; the only place where it is set."""

__version__ = "0.1.0"
