"""Lightning: a checkpoint callback, a checkpoint plugin and a helper for Fabric."""
