"""The simulated feed and simulated archives."""
