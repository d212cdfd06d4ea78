"""The flows, on a real Prefect server, promise by promise."""
