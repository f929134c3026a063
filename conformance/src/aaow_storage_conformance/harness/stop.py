"""`Stop`, which tests raise to leave a block or to undo a savepoint."""


class Stop(Exception):  # noqa: N818 - not an error
    """No error of a backend: a block that it leaves must raise it unchanged."""
