"""Who may see and do what: each module is one check, made before any page runs."""
