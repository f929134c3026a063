"""What runs and watches tests: the store, other processes, cancellation, limits of time. Private to the suite."""
