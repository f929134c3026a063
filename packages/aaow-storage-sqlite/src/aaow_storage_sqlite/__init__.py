"""The SQLite backend, chosen by the name `sqlite`; see `aaow_storage.create_adapter`."""
