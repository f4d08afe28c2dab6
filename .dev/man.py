"""Write the man pages of `hfl` and of every command below it into a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from click_man.core import write_man_pages
from commands import everything

from hfl_core import __version__


def main() -> None:
    """Write them into the folder named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    write_man_pages("hfl", everything, version=__version__, target_dir=str(folder))
    print(f"man: {len(list(folder.glob('*.1')))} pages in {folder}")


if __name__ == "__main__":
    main()
