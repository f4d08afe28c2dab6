"""``hfl demo``: kill a training run, resume it, and prove that nothing was lost."""
