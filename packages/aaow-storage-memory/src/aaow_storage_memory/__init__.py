"""The memory backend: dicts and nothing else. It is for tests, and the example to read before writing a backend."""

from aaow_storage_memory._adapter import MemoryAdapter

__all__ = ["MemoryAdapter"]
