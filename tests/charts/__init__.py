"""Charts, promise by promise."""
