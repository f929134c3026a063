"""The commands, one module each; the module `catalogue` lists them and says how to add one."""
