"""The memory backend: records in dicts. It is for tests, and the example to read before you write a backend."""

from aaow_storage_memory._adapter import MemoryAdapter

__all__ = ["MemoryAdapter"]
