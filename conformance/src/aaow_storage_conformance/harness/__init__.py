"""The machinery of tests: store, subprocesses, cancellation points, history, watchdog. Private to the suite."""
