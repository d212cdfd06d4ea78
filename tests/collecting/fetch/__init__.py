"""The feed over HTTP: what is asked, and what becomes of each answer."""
