import torch


def gate(value):
    return value * torch.sigmoid(value)
