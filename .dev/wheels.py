"""Build every distribution into dist/, look into each, and try each wheel alone in a fresh environment.

"Alone" means: with what it declares and nothing else. A package that imports a sibling or a library that it
does not declare works in the workspace, where everything is installed, and fails here.
"""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
UV = ["sh", str(ROOT / ".dev" / "uv")]

# Runs inside the fresh environment: the package imports, and no sibling does that it does not declare.
TRIAL = """
import importlib, importlib.metadata, importlib.util, sys
module, distribution, undeclared = sys.argv[1], sys.argv[2], sys.argv[3:]
package = importlib.import_module(module)
assert package.__version__ == importlib.metadata.version(distribution), package.__version__
for name in getattr(package, "__all__", []):
    try:
        getattr(package, name)
    except ImportError as error:
        # Only an extra may be missing, and then the error says which.
        assert type(error).__name__ == "MissingExtraError", f"{module}.{name}: {error!r}"
found = [name for name in undeclared if importlib.util.find_spec(name)]
assert not found, f"installed although {distribution} does not declare it: {found}"
"""


def run(*command: str) -> None:
    """Run a command quietly; show what it said if it fails."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def modules() -> dict[str, str]:
    """Return each distribution's import name."""
    sources = (ROOT / "packages").glob("*/src/*/py.typed")
    return {path.parents[2].name: path.parent.name for path in sources}


def needs(wheels: dict[str, Path], name: str) -> set[str]:
    """Return the siblings that come with a distribution, directly or through others."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        with zipfile.ZipFile(wheels[waiting.pop()]) as wheel:
            metadata = next(
                path for path in wheel.namelist() if path.endswith(".dist-info/METADATA")
            )
            headers = email.message_from_bytes(wheel.read(metadata))
        for requirement in headers.get_all("Requires-Dist", []):
            other = (
                requirement.split(";")[0].split("[")[0].strip().split("<")[0].split(">")[0].strip()
            )
            if other in wheels and other not in found and "extra ==" not in requirement:
                found.add(other)
                waiting.append(other)
    return found


def look_into(name: str, module: str, version: str) -> Path:
    """Check what is in a distribution's wheel and sdist; return the wheel."""
    stem = f"{name.replace('-', '_')}-{version}"
    path = DIST / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path) as wheel:
        files = set(wheel.namelist())
        headers = email.message_from_bytes(wheel.read(f"{stem}.dist-info/METADATA"))
    wanted = {f"{module}/__init__.py", f"{module}/py.typed", f"{stem}.dist-info/licenses/LICENSE"}
    problems = [f"{path.name} lacks {file}" for file in sorted(wanted - files)]
    strangers = {file.split("/")[0] for file in files} - {module, f"{stem}.dist-info"}
    problems += [f"{path.name} would install {file}" for file in sorted(strangers)]
    for header in ("Summary", "License-Expression", "Requires-Python", "Description-Content-Type"):
        if not headers[header]:
            problems.append(f"{path.name} has no {header}")
    if not str(headers.get_payload()).strip():
        problems.append(f"{path.name} has no description")
    with tarfile.open(DIST / f"{stem}.tar.gz") as sdist:
        packed = set(sdist.getnames())
    for file in ("LICENSE", "README.md", "pyproject.toml", f"src/{module}/__init__.py"):
        if f"{stem}/{file}" not in packed:
            problems.append(f"{stem}.tar.gz lacks {file}")
    if problems:
        raise RuntimeError("\n".join(problems))
    return path


def main() -> int:
    """Build, look and try."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(*UV, "build", "--quiet", "--all-packages", "--out-dir", str(DIST))
    names = modules()
    version = next(DIST.glob("hfl_core-*.tar.gz")).name[len("hfl_core-") : -len(".tar.gz")]
    wheels = {name: look_into(name, module, version) for name, module in sorted(names.items())}
    failed = []
    with tempfile.TemporaryDirectory(prefix="hfl-") as folder:
        constraints = Path(folder) / "constraints.txt"
        export = (
            "export --quiet --locked --all-packages --all-extras --no-emit-workspace --no-hashes"
        )
        run(*UV, *export.split(), "--output-file", str(constraints))
        trial = Path(folder) / "trial.py"
        trial.write_text(TRIAL, encoding="utf-8")
        for name, module in sorted(names.items()):
            environment = Path(folder) / name
            python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
            siblings = needs(wheels, name)
            strangers = sorted(names[other] for other in set(names) - siblings - {name})
            try:
                run(*UV, "venv", "--quiet", "--no-project", str(environment))
                files = [str(wheels[other]) for other in (name, *sorted(siblings))]
                install = ["pip", "install", "--quiet", "--constraint", str(constraints)]
                run(*UV, *install, "--python", str(python), *files)
                run(str(python), "-W", "error", str(trial), module, name, *strangers)
            except RuntimeError as error:
                failed.append(name)
                print(f"{name}: FAILED\n{error}", file=sys.stderr)
            else:
                print(f"{name}: {wheels[name].name} works alone", flush=True)
            shutil.rmtree(environment, ignore_errors=True)
    if failed:
        print(f"wheels: problems in {', '.join(failed)}", file=sys.stderr)
        return 1
    print(f"wheels: {len(wheels)} wheels and sdists of version {version} in dist/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
