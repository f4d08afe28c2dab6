"""Code preservation: the files that a model's classes need, gathered so that they stand alone."""
