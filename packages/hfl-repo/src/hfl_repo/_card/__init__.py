"""Cards: the README.md of a repository, with its metadata."""
