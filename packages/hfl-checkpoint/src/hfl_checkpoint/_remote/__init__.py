"""A run on the Hub: its queue, its publication, and the way back."""
