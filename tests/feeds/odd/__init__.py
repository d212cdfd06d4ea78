"""Hostile and odd bodies by hand, a table a feed: what is done to the recorded body, and what comes of it."""
