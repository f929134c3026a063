"""What the SQLite backend does in a second, beside what the bare `sqlite3` module does at the same moment."""
