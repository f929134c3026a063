"""Upper bounds, in seconds, for what tests wait for. A correct backend stays far below them, on a busy machine too."""

AT_ONCE_S = 5.0
"""For a call that is refused at once, or waits for nothing."""
CANCELLED_WITHIN_S = 10.0
"""For a cancelled task to end. Less than the default timeout of a transaction, so that none can expire meanwhile."""
SOON_S = 20.0
"""For calls that wait for no transaction. Less than the default timeout of a transaction, as above."""
ENDS_WITHIN_S = 30.0
"""For many calls, for another process to open a store, and for a thread to end."""
MANY_END_WITHIN_S = 60.0
"""For what many tasks, threads or processes do at once."""
