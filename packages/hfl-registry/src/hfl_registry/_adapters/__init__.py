"""Adapters: a base model that is pinned, and what was trained on top of it."""
