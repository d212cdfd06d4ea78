"""MISO's reports, promise by promise."""
