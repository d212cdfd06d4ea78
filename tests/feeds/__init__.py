"""The feeds, promise by promise."""
