"""How operations get to the threads of a store, and their outcomes back to the event loops."""
