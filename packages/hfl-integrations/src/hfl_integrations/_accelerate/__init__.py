"""accelerate: save_state and load_state on the checkpoint manager."""
