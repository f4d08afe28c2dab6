"""Checkpoints that others wrote: torch.save files, Trainer, accelerate and Lightning."""
