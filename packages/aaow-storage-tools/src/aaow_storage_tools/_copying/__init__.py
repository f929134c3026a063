"""Copying one store into another, and comparing two."""
