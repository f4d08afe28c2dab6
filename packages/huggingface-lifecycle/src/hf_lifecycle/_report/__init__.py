"""What ``hfl report`` says of a run, and how it is written."""
