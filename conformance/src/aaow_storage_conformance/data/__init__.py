"""Data for tests: records, values and calls. Private to the suite."""
