"""Statements, and the connection that runs them: what a database does in its own way is on the page of its dialect."""
