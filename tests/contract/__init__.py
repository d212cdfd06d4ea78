"""The contract, promise by promise."""
