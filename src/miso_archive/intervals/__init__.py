"""Intervals: labels in EST, market days, which are closed, which are asked for; how seldom to ask. Pure."""
