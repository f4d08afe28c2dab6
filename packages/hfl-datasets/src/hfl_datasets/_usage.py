"""The example in a card, executed before it is printed there, by a process that knows nothing of this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hfl_core import redact
from hfl_core.errors import IntegrityError
from hfl_datasets._features import has_files

__all__ = ["executed_example"]

_PATIENCE = 300
_LONGEST_OUTPUT = 600


def executed_example(
    repo_id: str, folder: Path, config: str, split: str, *, rows: int, features: object, home: Path
) -> str:
    """Execute the example with the files that are about to be sent, and return it with its output.

    Args:
        repo_id: The repository, as the example names it.
        folder: The same files here.
        config: The configuration.
        split: A split.
        rows: How many rows it has.
        features: Its features.
        home: A folder for the caches of the child process.

    Returns:
        Markdown.

    Raises:
        IntegrityError: The datasets library cannot load them.
    """
    named = "" if config == "default" else f", {config!r}"
    # Without rows there is no first one, and to show a picture needs one more library.
    shown = "dataset.features" if has_files(features) or not rows else "next(iter(dataset))"
    lines = [
        "from datasets import load_dataset",
        "",
        f'dataset = load_dataset("{repo_id}"{named}, split="{split}", streaming=True)',
        f"print({shown})",
    ]
    example = "\n".join(lines).replace("'", '"')
    code = example.replace(f'"{repo_id}"', repr(os.fspath(folder)), 1)
    output = _run(code, home)
    if len(output) > _LONGEST_OUTPUT:
        output = f"{output[:_LONGEST_OUTPUT]}…"
    printed = "\n".join(f"#> {line}" for line in output.splitlines())
    return f"```python\n{example}\n{printed}\n```\n"


def _run(code: str, home: Path) -> str:
    keep = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HFL_"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **keep,
            "HF_HOME": os.fspath(home),
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
            "PYTHONIOENCODING": "utf-8",
        },
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_PATIENCE,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["nothing"]
        raise IntegrityError(
            f"The datasets library cannot load what was to be uploaded: {redact(said[-1])}",
            hint="Nothing was sent. Validate the data with: hfl dataset validate",
        )
    return done.stdout.decode("utf-8", "replace").strip()
