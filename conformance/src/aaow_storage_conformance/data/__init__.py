"""Data that tests share: records, values, and calls of every operation. Private to the suite."""
