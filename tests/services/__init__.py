"""The servers tests talk to, each a context manager; `python -m tests.services` runs a command with the real ones."""
