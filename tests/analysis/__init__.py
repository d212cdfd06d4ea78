"""Analysis, promise by promise."""
