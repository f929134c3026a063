"""The pytest suite that an aaow-storage backend has to pass."""
