"""A backend of contract 1.0, which the tools have to serve too."""

from aaow_storage import StorageOperations
from aaow_storage_memory import MemoryAdapter


class OfContract10(MemoryAdapter):
    """An adapter of contract 1.0: the lists over all sessions are the defaults."""

    list_execution_states = StorageOperations.list_execution_states
    list_llm_executions = StorageOperations.list_llm_executions
    list_tool_calls = StorageOperations.list_tool_calls
    list_stream_events = StorageOperations.list_stream_events
    save_stream_events = StorageOperations.save_stream_events
