"""Look up known vulnerabilities of everything in the lock, with pip-audit.

pip-audit asks PyPI's advisory service. Where that does not answer (an air-gapped machine, a mirror without
advisories) this says so loudly and succeeds, unless ``--required`` is given, as the security workflow does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXPORT = (
    "sh .dev/uv export --quiet --locked --all-packages --all-extras --all-groups "
    "--no-emit-workspace --no-hashes --no-header --no-annotate --output-file"
)
AUDIT = "-m pip_audit --no-deps --disable-pip --progress-spinner off --format json --requirement"


def ask(requirements: Path) -> dict[str, list[dict[str, str]]] | None:
    """Return each package's vulnerabilities, or None when nobody answered for any package."""
    done = subprocess.run(
        [sys.executable, *AUDIT.split(), str(requirements)],
        check=False,
        capture_output=True,
        text=True,
    )
    try:
        entries = json.loads(done.stdout)["dependencies"]
    except ValueError:
        return None  # no report at all: the service could not be reached
    answered = {entry["name"]: entry["vulns"] for entry in entries if "skip_reason" not in entry}
    return answered or None


def main() -> int:
    """Ask about everything in the lock that this Python would install, and print what is known."""
    with tempfile.TemporaryDirectory(prefix="hfl-") as folder:
        everything = Path(folder) / "requirements.txt"
        export = [*EXPORT.split(), str(everything)]
        subprocess.run(export, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        # One question first: where it stays unanswered there is no point in asking 200 more.
        probe = Path(folder) / "probe.txt"
        lines = everything.read_text(encoding="utf-8").splitlines()
        probe.write_text(next(line for line in lines if ";" not in line) + "\n", encoding="utf-8")
        answers = ask(everything) if ask(probe) is not None else None
    if answers is None:
        print("pip-audit: NOT RUN, no advisory service answers from here", file=sys.stderr)
        return 1 if "--required" in sys.argv[1:] else 0
    vulnerable = {name: found for name, found in answers.items() if found}
    for name, found in vulnerable.items():
        for vulnerability in found:
            fixed = ", ".join(vulnerability.get("fix_versions") or ["no release yet"])
            print(f"{name}: {vulnerability['id']}, fixed in: {fixed}", file=sys.stderr)
    print(
        f"pip-audit: {len(answers)} packages looked up, {len(vulnerable)} with known vulnerabilities"
    )
    return 1 if vulnerable else 0


if __name__ == "__main__":
    sys.exit(main())
