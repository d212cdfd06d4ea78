"""Compaction, promise by promise."""
