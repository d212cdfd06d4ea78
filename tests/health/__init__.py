"""The status and the glance, promise by promise."""
