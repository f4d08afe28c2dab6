"""Plain torch modules."""

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import nn


class Tied(nn.Module):
    """Its embedding is its head, and a table is computed by the constructor."""

    def __init__(self, vocabulary, size=4):
        super().__init__()
        self.vocabulary, self.size = vocabulary, size
        self.embed = nn.Embedding(vocabulary, size)
        self.head = nn.Linear(size, vocabulary, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("table", torch.linspace(0, 1, size), persistent=False)

    def forward(self, ids):
        return self.head(self.embed(ids) + self.table)


class Mixed(nn.Module, PyTorchModelHubMixin):
    """Keeps none of its arguments; the mixin does."""

    def __init__(self, size, sizes, act="relu"):
        super().__init__()
        parts, before = [], size
        for each in sizes:
            parts += [nn.Linear(before, each), getattr(nn, "ReLU" if act == "relu" else "Tanh")()]
            before = each
        self.layers = nn.Sequential(*parts)

    def forward(self, features):
        return self.layers(features)


class Forgetful(nn.Module):
    """Keeps its argument nowhere."""

    def __init__(self, size):
        super().__init__()
        self.layer = nn.Linear(size, 2)

    def forward(self, features):
        return self.layer(features)
