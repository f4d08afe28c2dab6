"""Run every script of a folder, each in a process and an empty folder of its own.

A script is a ``*.py`` file, at any depth, whose name does not begin with an underscore. The run fails if
one of them does, after all of them had their turn.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def run(script: Path, *, show: bool, timeout: float) -> bool:
    """Run one script; print its outcome, and its output if asked for or if it failed."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hfl-") as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-W", "error::DeprecationWarning:__main__", str(script)],
                cwd=folder,
                env={**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                timeout=timeout,
                check=False,
            )
            output, ok = done.stdout, done.returncode == 0
            outcome = "ok" if ok else f"FAILED (exit status {done.returncode})"
        except subprocess.TimeoutExpired as error:
            captured = error.stdout or ""
            output = captured if isinstance(captured, str) else captured.decode("utf-8", "replace")
            ok, outcome = False, f"FAILED (not done after {timeout:.0f} s)"
    print(
        f"{os.path.relpath(script, ROOT)}: {outcome}, {time.monotonic() - began:.1f} s", flush=True
    )
    if output and (show or not ok):
        print("\n".join("    " + line for line in output.rstrip().splitlines()), flush=True)
    return ok


def main() -> int:
    """Run the scripts of the folder named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--show", action="store_true", help="print what the scripts print")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for each script")
    arguments = parser.parse_args()
    folder = ROOT / arguments.folder
    scripts = sorted(path for path in folder.rglob("*.py") if not path.name.startswith("_"))
    if not scripts:
        print(f"{arguments.folder}/ holds no script yet.")
        return 0
    results = [run(script, show=arguments.show, timeout=arguments.timeout) for script in scripts]
    print(f"{arguments.folder}: {sum(results)} of {len(results)} scripts ran without an error")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
