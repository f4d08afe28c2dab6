"""Check for every package that it declares what it imports, and imports what it declares."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The umbrella exists to depend on the rest; it names the other packages in strings, which are loaded lazily.
# Lightning has two names, and the one that the user's objects are of is imported by name.
# Pillow is imported by name where it is installed.
OPTIONS = {
    "hfl-datasets": ["--per-rule-ignores", "DEP002=pillow"],
    "huggingface-lifecycle": ["--ignore", "DEP002"],
    "hfl-integrations": ["--per-rule-ignores", "DEP002=lightning"],
}


def main() -> int:
    """Run deptry in each package named on the command line."""
    failed = []
    for package in sys.argv[1:]:
        command = [sys.executable, "-m", "deptry", "--no-ansi", *OPTIONS.get(package, []), "src"]
        done = subprocess.run(
            command, cwd=ROOT / "packages" / package, capture_output=True, text=True, check=False
        )
        if done.returncode:
            failed.append(package)
            print(f"{package}:\n{done.stdout}{done.stderr}", file=sys.stderr)
    if failed:
        print(f"deptry: problems in {', '.join(failed)}", file=sys.stderr)
        return 1
    print(f"deptry: {len(sys.argv) - 1} packages declare what they import")
    return 0


if __name__ == "__main__":
    sys.exit(main())
