"""The store, promise by promise."""
