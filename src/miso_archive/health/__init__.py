"""How the collection stands: the last interval, the day's coverage, what was refused, and whether the parts answer."""
