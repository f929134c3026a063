"""Backups: a file in the form of the backend, and a manifest with digests beside it."""
