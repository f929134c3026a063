"""Looking into a store: the query language, descriptions of a store, trees of sessions and budgets, usage."""
