"""A thousand runs among faults, and the proof that nothing is lost, doubled or left unannounced: `make soak`."""
