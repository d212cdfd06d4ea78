"""Healing, promise by promise."""
