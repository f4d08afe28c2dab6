import json
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent


def scales(size):
    """Read from a file beside this one, and from one of the package."""
    table = json.loads((HERE / "scales.json").read_text())
    offset = float((Path(__file__).parents[3] / "assets" / "offset.txt").read_text())
    return torch.tensor([table[i % len(table)] for i in range(size)]) + offset
