"""The classes of tests, one module a subject. Import them from `aaow_storage_conformance`."""
