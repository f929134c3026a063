"""The SQLite backend of aaow-storage."""
