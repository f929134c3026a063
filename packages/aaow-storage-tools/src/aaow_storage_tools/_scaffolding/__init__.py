"""A new package for a third-party backend."""
