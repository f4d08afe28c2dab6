"""Everything that can be given as a dataset, read as one interface."""
