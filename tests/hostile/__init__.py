"""Hostile input: whatever the feed sends is refused with a code or accepted rightly, and never does harm."""
