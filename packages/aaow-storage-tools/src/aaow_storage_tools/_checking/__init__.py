"""Checking a store: its records against each other, and what its backend finds."""
