"""Intervals, promise by promise."""
