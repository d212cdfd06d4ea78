"""The command line, promise by promise."""
