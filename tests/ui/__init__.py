"""Prefect as people and alerts see it: a whole server with its UI, a worker in a process of its own, a browser."""
