"""Collecting: the feed is asked, a body archived, registered and announced; one run and what is told of it."""
