"""The in-memory backend of aaow-storage."""
