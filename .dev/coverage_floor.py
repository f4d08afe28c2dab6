"""Measure every package's coverage, branches counted, and hold each to the floor.

``start`` prepares a run: old data is removed, and processes that tests start are measured too.
``report`` combines what was recorded, prints a table and fails if a package is below the floor.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / ".coverage-data"


def start() -> int:
    """Remove old data and see to it that child processes are measured."""
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir()
    site_packages = Path(sysconfig.get_paths()["purelib"])
    # Newer coverage brings this hook; older ones (the last for Python 3.8) do not.
    if not list(site_packages.glob("*coverage*.pth")):
        hook = "import os; os.getenv('COVERAGE_PROCESS_START') and __import__('coverage').process_startup()\n"
        (site_packages / "a1_hfl_coverage.pth").write_text(hook, encoding="utf-8")
    return 0


def report(floor: float) -> int:
    """Print a line per package; return 1 if one of them is below the floor."""
    if not any(DATA.glob("run*")):
        print("coverage: nothing was recorded; run the tests through `make test`.", file=sys.stderr)
        return 1
    environment = {**os.environ, "COVERAGE_FILE": str(DATA / "run")}
    coverage = [sys.executable, "-m", "coverage"]
    report_file = DATA / "coverage.json"
    if any(DATA.glob("run.*")):  # none when the report is asked for again
        subprocess.run(
            [*coverage, "combine", "--append", "--quiet"], check=True, cwd=ROOT, env=environment
        )
    subprocess.run(
        [*coverage, "json", "--quiet", "-o", report_file], check=True, cwd=ROOT, env=environment
    )
    files = json.loads(report_file.read_text(encoding="utf-8"))["files"]

    print(f"{'package':<24} {'lines':>7} {'branches':>9} {'covered':>9}")
    too_low = []
    for package in sorted(path for path in (ROOT / "packages").iterdir() if path.is_dir()):
        summaries = [
            entry["summary"]
            for name, entry in files.items()
            if Path(name).parts[:2] == ("packages", package.name)
        ]
        if not summaries:
            print(f"{package.name:<24} not measured")
            too_low.append(package.name)
            continue
        lines = sum(summary["num_statements"] for summary in summaries)
        branches = sum(summary["num_branches"] for summary in summaries)
        covered = sum(
            summary["covered_lines"] + summary["covered_branches"] for summary in summaries
        )
        percent = 100.0 if lines + branches == 0 else 100.0 * covered / (lines + branches)
        mark = "" if percent >= floor else f"  below {floor:.0f} %"
        print(f"{package.name:<24} {lines:>7} {branches:>9} {percent:>7.1f} %{mark}")
        if percent < floor:
            too_low.append(package.name)
    if too_low:
        print(
            f"coverage: too low in {', '.join(too_low)}. "
            "Lines: COVERAGE_FILE=.coverage-data/run .dev/uv run --no-sync coverage report",
            file=sys.stderr,
        )
        return 1
    print(f"coverage: every package at {floor:.0f} % or more")
    return 0


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["start", "report"])
    parser.add_argument("--floor", type=float, default=90.0, help="per cent, for each package")
    arguments = parser.parse_args()
    return start() if arguments.command == "start" else report(arguments.floor)


if __name__ == "__main__":
    sys.exit(main())
