"""Run `hfl` as ``python -m hfl_cli``."""

from __future__ import annotations

from hfl_cli.cli import main

main()
