"""Which files are large files: ``.gitattributes``."""

from __future__ import annotations

import functools
import re
from typing import Tuple

__all__ = ["LfsRules", "default_gitattributes"]

_COMMON = [
    "*.7z",
    "*.arrow",
    "*.bin",
    "*.bz2",
    "*.ckpt",
    "*.ftz",
    "*.gz",
    "*.h5",
    "*.joblib",
    "*.lfs.*",
    "*.mlmodel",
    "*.model",
    "*.msgpack",
    "*.npy",
    "*.npz",
    "*.onnx",
    "*.ot",
    "*.parquet",
    "*.pb",
    "*.pickle",
    "*.pkl",
    "*.pt",
    "*.pth",
    "*.rar",
    "*.safetensors",
    "saved_model/**/*",
    "*.tar.*",
    "*.tar",
    "*.tflite",
    "*.tgz",
    "*.wasm",
    "*.xz",
    "*.zip",
    "*.zst",
    "*tfevents*",
]
_DATASET = [
    "*.lz4",
    "*.mds",
    "*.pcm",
    "*.sam",
    "*.raw",
    "*.aac",
    "*.flac",
    "*.mp3",
    "*.ogg",
    "*.wav",
    "*.bmp",
    "*.gif",
    "*.png",
    "*.tiff",
    "*.jpg",
    "*.jpeg",
    "*.webp",
    "*.mp4",
    "*.webm",
]


def default_gitattributes(repo_type: str) -> str:
    """Return the file that a new repository starts with."""
    patterns = _COMMON + (_DATASET if repo_type == "dataset" else [])
    return "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in patterns)


class LfsRules:
    r"""The rules of a ``.gitattributes`` file; the last one that says something counts.

    Args:
        text: The file's text.

    Example:
        >>> rules = LfsRules("*.bin filter=lfs\nsmall/*.bin -filter\n")
        >>> rules.match("a/b.bin"), rules.match("small/b.bin"), rules.match("b.txt")
        (True, False, False)
    """

    def __init__(self, text: str) -> None:
        self._rules: list[Tuple[re.Pattern[str], bool]] = []
        for line in text.splitlines():
            pattern, *attributes = line.split() or [""]
            if not pattern or pattern.startswith(("#", "!", "[attr]")):
                continue
            for attribute in attributes:
                if attribute.lstrip("-!").split("=")[0] == "filter":
                    self._rules.append((_regex(pattern.strip('"')), attribute == "filter=lfs"))

    def match(self, path: str) -> bool:
        """Whether a path is a large file by these rules."""
        for pattern, is_lfs in reversed(self._rules):
            if pattern.fullmatch(path):
                return is_lfs
        return False


@functools.lru_cache(maxsize=1024)
def _regex(pattern: str) -> re.Pattern[str]:
    anchored = "/" in pattern
    translated = _translate(pattern.lstrip("/"))
    try:
        return re.compile(translated if anchored else f"(?:.*/)?{translated}", re.DOTALL)
    except re.error:  # a range like [z-a]: git matches nothing with it, or only itself
        return re.compile(re.escape(pattern))


def _translate(pattern: str) -> str:
    result, index = [], 0
    while index < len(pattern):
        if pattern.startswith("**/", index):
            result.append("(?:.*/)?")
            index += 3
        elif pattern.startswith("/**", index) and index + 3 == len(pattern):
            result.append("/.*")
            index += 3
        elif pattern[index] == "*":
            result.append("[^/]*")
            index += 1
        elif pattern[index] == "?":
            result.append("[^/]")
            index += 1
        elif pattern.startswith("[[:space:]]", index):  # how git-lfs writes a blank
            result.append(r"\s")
            index += len("[[:space:]]")
        elif pattern[index] == "\\" and index + 1 < len(pattern):
            result.append(re.escape(pattern[index + 1]))
            index += 2
        elif pattern[index] == "[" and "]" in pattern[index + 2 :]:
            end = pattern.index("]", index + 2)
            inside = pattern[index + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            negated = inside[:1] in ("!", "^")
            result.append(f"[{'^' if negated else ''}{inside[1:] if negated else inside}]")
            index = end + 1
        else:
            result.append(re.escape(pattern[index]))
            index += 1
    return "".join(result)
