"""transformers' Trainer: a callback that takes over saving and resuming."""
