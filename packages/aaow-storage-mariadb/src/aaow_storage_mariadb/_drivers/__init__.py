"""The Python drivers of MariaDB: a module for each, and `choice`, which has their names."""
