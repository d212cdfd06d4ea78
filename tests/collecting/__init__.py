"""Collecting, promise by promise."""
