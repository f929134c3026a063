"""Deleting the sessions that a policy gives up, and what belongs to them."""
