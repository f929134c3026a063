"""Erasing sessions with a receipt, and checking a receipt against a store."""
