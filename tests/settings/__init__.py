"""Settings, promise by promise."""
