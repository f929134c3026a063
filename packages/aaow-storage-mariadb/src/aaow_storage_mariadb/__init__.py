"""The MariaDB backend, chosen by the name `mariadb`; see `aaow_storage.create_adapter`."""
