"""Archives: a store as a file of JSON Lines."""
