raise RuntimeError("training starts when this is imported")
