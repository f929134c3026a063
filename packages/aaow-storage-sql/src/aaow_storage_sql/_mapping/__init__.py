"""Records become rows, and rows records."""
