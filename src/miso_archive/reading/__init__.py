"""Reading: archived bodies to typed frames, coverage, fetch times, compaction."""
