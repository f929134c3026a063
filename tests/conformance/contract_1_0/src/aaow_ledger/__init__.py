"""A backend that was written for contract 1.0, and is never changed: it proves that such backends still work."""
