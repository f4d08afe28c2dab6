"""What people do to a run's directory behind our back: copies, merges, deleted manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Collection, Dict, Iterable, List, Sequence, Tuple

if TYPE_CHECKING:
    from pathlib import Path

    from hfl_checkpoint._manifest import Manifest

Found = Tuple["Path", "Manifest"]


def split_copies(found: Sequence[Found]) -> Tuple[List[Found], List[Found], List[str]]:
    """Tell originals from copies that somebody made of them inside the run.

    Two directories with one place in the order of one run are copies if their manifests are equal, and
    else come from two copies of the run that both went on and were merged.

    Args:
        found: Every directory with its manifest.

    Returns:
        The originals, the copies, and a remark on each oddity.
    """
    places: Dict[Tuple[str, int], List[Found]] = {}
    for item in found:
        places.setdefault((item[1].run_id, item[1].sequence), []).append(item)
    originals: List[Found] = []
    copies: List[Found] = []
    remarks: List[str] = []
    for (_, sequence), group in places.items():
        different: List[Found] = []
        # The original has the name that it was committed under. Where an older manifest does not tell, it
        # is the shortest name, to which a copy's mostly adds something.
        for item in sorted(group, key=lambda one: (one[0].name != one[1].name, *_length(one))):
            original = next((one for one in different if one[1] == item[1]), None)
            if original is None:
                different.append(item)
            else:
                copies.append(item)
                remarks.append(
                    f"{item[0].name} is a copy of {original[0].name}; it does not count, and is never deleted"
                )
        originals.extend(different)
        if len(different) > 1:
            names = " and ".join(sorted(path.name for path, _ in different))
            remarks.append(
                f"{names} have the same place ({sequence}) in one run, as when two copies of it went on "
                "and were merged; they are ordered by the time of their commit"
            )
    return originals, copies, remarks


def bare(paths: Iterable[Path], known: Collection[Path]) -> List[str]:
    """Remark on directories that hold a checkpoint's files and no manifest.

    Args:
        paths: All directories of the run.
        known: Those that have a manifest, whatever its state.
    """
    return [
        f"{path.name} holds files of a checkpoint and no manifest.json, so it is none and is ignored"
        for path in sorted(set(paths) - set(known))
        if (path / "state").is_dir() or (path / "model.safetensors").is_file()
    ]


def _length(item: Found) -> Tuple[int, str]:
    return len(item[0].name), item[0].name
