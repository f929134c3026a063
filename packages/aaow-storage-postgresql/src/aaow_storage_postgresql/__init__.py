"""The PostgreSQL backend, chosen by the name `postgresql`; see `aaow_storage.create_adapter`."""
