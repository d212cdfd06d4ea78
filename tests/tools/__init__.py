"""What writes generated parts, notebooks and figures: each a command of the Makefile."""
