"""Reading, promise by promise."""
